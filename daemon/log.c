// A line is made outside of the lock and written with one call, so that threads never mix theirs. What an
// outage repeats every second must not fill a disk: lines are remembered for a while by their hash, in a
// small table.
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION // where in our source is no field for operators
#include <systemd/sd-journal.h>

#include "buffer.h"
#include "clock.h"
#include "config.h"

enum { REMEMBERED = 64, FIELDS_MAX = 16 };

struct repeated {     // a line of the last while
    uint64_t hash;    // 0: free
    int64_t since_ms; // monotonic: begin of its window
    unsigned written, held;
    enum note_level level;
    char message[200];
};

static struct {
    _Atomic int level;
    bool journal; // set before threads start
    pthread_mutex_t lock;
    struct repeated repeated[REMEMBERED]; // under the lock
} logger = {.level = NOTE_INFO, .lock = PTHREAD_MUTEX_INITIALIZER};

static const struct {
    const char *name;
    char priority; // syslog's
} levels[] = {{"debug", '7'}, {"info", '6'}, {"warning", '4'}, {"error", '3'}};

// systemd says in JOURNAL_STREAM which device and inode it gave us; the standard error may have been
// redirected since.
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(fd, &st) == 0 && st.st_dev == dev &&
           st.st_ino == ino;
}

void log_open(enum note_level level, int format)
{
    logger.journal = format == LOG_FORMAT_JOURNALD || (format == LOG_FORMAT_AUTO && is_journal(STDERR_FILENO));
    log_level_set(level);
}

void log_level_set(enum note_level level)
{
    atomic_store(&logger.level, (int)level);
}

bool log_wants(enum note_level level)
{
    return (int)level >= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

// ---- making a line

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_bare(const char *text)
{
    const char *s = text;
    while (*s && !strchr(" \"=\\", *s) && !is_control(*s))
        s++;
    return s > text && !*s;
}

static void put_value(struct buffer *b, const char *text)
{
    if (is_bare(text)) {
        buffer_text(b, text);
        return;
    }
    buffer_byte(b, '"');
    for (const char *s = text; *s; s++) {
        if (*s == '"' || *s == '\\')
            buffer_printf(b, "\\%c", *s);
        else if (*s == '\n')
            buffer_text(b, "\\n");
        else if (is_control(*s))
            buffer_printf(b, "\\x%02x", (unsigned)*s);
        else
            buffer_byte(b, *s);
    }
    buffer_byte(b, '"');
}

static void put_fields(struct buffer *b, const struct log_field *f)
{
    for (; f->key; f++) {
        buffer_printf(b, " %s=", f->key);
        if (f->text)
            put_value(b, f->text);
        else
            buffer_printf(b, "%lld", (long long)f->number);
    }
}

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(STDERR_FILENO, p, n);
        if (k < 0 && errno != EINTR)
            return; // nobody to tell
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
}

static void write_logfmt(enum note_level level, const struct log_field *fields)
{
    struct buffer b = {0};
    char now[TIME_TEXT_BYTES];
    format_time(clock_ms(CLOCK_REALTIME), now);
    buffer_printf(&b, "ts=%s level=%s", now, levels[level].name);
    put_fields(&b, fields);
    buffer_byte(&b, '\n');
    if (!b.failed)
        write_all(b.p, b.n);
    buffer_clear(&b);
}

// Every field as one of the journal's (ENGAGED_TOPIC=…), and all of them in the message, too: that is what
// journalctl shows.
static void write_journal(enum note_level level, const struct log_field *fields)
{
    struct buffer b = {0};
    size_t at[FIELDS_MAX + 3], n = 0;
    at[n++] = b.n;
    buffer_printf(&b, "PRIORITY=%c", levels[level].priority);
    at[n++] = b.n;
    buffer_printf(&b, "MESSAGE=%s", fields[0].text);
    put_fields(&b, fields + 1);
    for (const struct log_field *f = fields + 1; f->key && n < FIELDS_MAX + 2; f++) {
        at[n++] = b.n;
        buffer_text(&b, "ENGAGED_");
        for (const char *c = f->key; *c; c++)
            buffer_byte(&b, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
        if (f->text)
            buffer_printf(&b, "=%s", f->text);
        else
            buffer_printf(&b, "=%lld", (long long)f->number);
    }
    at[n] = b.n;
    struct iovec parts[FIELDS_MAX + 2];
    for (size_t i = 0; i < n; i++)
        parts[i] = (struct iovec){b.p + at[i], at[i + 1] - at[i]};
    if (b.failed || sd_journal_sendv(parts, (int)n) < 0)
        write_logfmt(level, fields);
    buffer_clear(&b);
}

static void write_line(enum note_level level, const struct log_field *fields)
{
    if (logger.journal)
        write_journal(level, fields);
    else
        write_logfmt(level, fields);
}

// ---- repetitions

static uint64_t hash_of(enum note_level level, const struct log_field *f)
{
    uint64_t h = UINT64_C(14695981039346656037) + level; // FNV-1a
    for (; f->key; f++) {
        for (const char *s = f->text ? f->text : ""; *s; s++)
            h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
        h = (h ^ (uint64_t)f->number) * UINT64_C(1099511628211);
    }
    return h ? h : 1;
}

static void release(struct repeated *r)
{
    if (r->held > 0)
        write_line(r->level, (const struct log_field[]){LOG_MESSAGE(r->message), LOG_INT("repeated", r->held), {0}});
    *r = (struct repeated){0};
}

// Whether this line is to be written now.
static bool remember(enum note_level level, const struct log_field *fields)
{
    int64_t now = clock_ms(CLOCK_MONOTONIC);
    uint64_t hash = hash_of(level, fields);
    struct repeated *oldest = &logger.repeated[0], *found = NULL;
    for (int i = 0; i < REMEMBERED; i++) {
        struct repeated *r = &logger.repeated[i];
        if (r->hash && now - r->since_ms >= LOG_WINDOW_MS)
            release(r);
        if (r->hash == hash)
            found = r;
        if (r->since_ms < oldest->since_ms)
            oldest = r;
    }
    if (!found) {
        release(oldest);
        *oldest = (struct repeated){.hash = hash, .since_ms = now, .level = level};
        snprintf(oldest->message, sizeof(oldest->message), "%s", fields[0].text);
        found = oldest;
    }
    if (found->written < LOG_BURST) {
        found->written++;
        return true;
    }
    found->held++;
    return false;
}

void log_write(enum note_level level, const struct log_field *fields)
{
    if (!log_wants(level))
        return;
    pthread_mutex_lock(&logger.lock);
    bool now = remember(level, fields);
    pthread_mutex_unlock(&logger.lock);
    if (now)
        write_line(level, fields);
}

void log_flush(bool all)
{
    pthread_mutex_lock(&logger.lock);
    int64_t now = clock_ms(CLOCK_MONOTONIC);
    for (int i = 0; i < REMEMBERED; i++)
        if (logger.repeated[i].hash && (all || now - logger.repeated[i].since_ms >= LOG_WINDOW_MS))
            release(&logger.repeated[i]);
    pthread_mutex_unlock(&logger.lock);
}
