// Connections that break at any moment, also between the order to commit and its answer. What the sink says of each
// transaction must be what readers see: committed is there once, undone is not there, unknown may be either, and the
// offset of the group is that of the last one that is there.
// librdkafka is linked into this program, so its calls of connect() come here: this is how we know what to cut.
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SOCKETS = 64, TRANSACTIONS = 1000, RUN_MS = 20000 };

static _Atomic int sockets[SOCKETS]; // the latest, as fd + 1
static _Atomic unsigned nsockets;
static _Atomic bool cutting, down;

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (down) {
        errno = ECONNREFUSED;
        return -1;
    }
    sockets[nsockets++ % SOCKETS] = fd + 1;
    return (int)syscall(SYS_connect, fd, address, size);
}

static void wait_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

// Cuts one connection, or all of them for a while. A number may be another socket's by now, which is just as well.
static void *cut(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    while (cutting) {
        wait_ms(1 + rand_r(&seed) % 60);
        down = rand_r(&seed) % 60 == 0;
        for (int i = down ? 0 : rand_r(&seed) % SOCKETS, last = down ? SOCKETS - 1 : i; i <= last; i++)
            if (sockets[i] > 0)
                shutdown(sockets[i] - 1, SHUT_RDWR);
        if (down)
            wait_ms(rand_r(&seed) % 4000);
        down = false;
    }
    return NULL;
}

struct seen {
    int count[TRANSACTIONS];
    int64_t last;
};

static int see(void *arg, const struct record *r)
{
    struct seen *seen = arg;
    int64_t i = number_of(r);
    ck_assert_int_gt(i, seen->last);
    seen->last = i;
    seen->count[i]++;
    return 0;
}

START_TEST(results_are_true)
{
    static struct seen seen;
    struct worker w;
    struct why why;
    int results[TRANSACTIONS], tally[6] = {0};
    unsigned seed = 1;
    seen.last = -1;
    worker_prepare(&w, 1);
    w.options.transaction_timeout_ms = 1500;
    worker_open(&w);
    worker_await(&w, 1);
    pthread_t cutter;
    cutting = true;
    ck_assert_int_eq(pthread_create(&cutter, NULL, cut, &seed), 0);
    int n = 0;
    for (int64_t stop = now_ms() + RUN_MS; n < TRANSACTIONS && now_ms() < stop; n++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", n);
        results[n] = publish(&w, 0, value, n + 1, 0, &why);
        ck_assert_int_ge(results[n], 0);
        tally[results[n]]++;
    }
    cutting = false;
    pthread_join(cutter, NULL);
    int64_t start, high, stable, offset, clock, end = now_ms() + PATIENCE_MS;
    struct part_key out = {w.output, 0}, source = source_of(&w, 0);
    int r;
    while ((r = kafka_sink_prepare(w.sink, &why)) == PORT_AWAY) // settles what is open
        ck_assert_msg(now_ms() < end, "%s", why.text);
    expect(r, PORT_OK, &why, __FILE__, __LINE__);
    while ((r = kafka_log_ops.ends(w.log, &out, &start, &high, &stable, &why)) == PORT_AWAY || stable < high)
        ck_assert_msg(now_ms() < end, "stable %d, high %d, %s", (int)stable, (int)high, why.text);
    EXPECT(PORT_OK, kafka_log_ops.read(w.log, &out, 0, high, see, &seen, &why));
    while ((r = kafka_log_ops.committed(w.log, &source, &offset, &clock, &why)) == PORT_AWAY)
        ck_assert_msg(now_ms() < end, "%s", why.text);
    expect(r, PORT_OK, &why, __FILE__, __LINE__);
    if (getenv("KAFKA_TEST_NOTES"))
        fprintf(stderr, "OK %d, AWAY %d, UNKNOWN %d, FENCED %d, ABORTED %d; takeovers %u\n", tally[PORT_OK],
                tally[PORT_AWAY], tally[PORT_UNKNOWN], tally[PORT_FENCED], tally[PORT_ABORTED],
                kafka_sink_takeovers(w.sink));
    for (int i = 0; i < n; i++) {
        bool fits = results[i] == PORT_OK        ? seen.count[i] == 1
                    : results[i] == PORT_UNKNOWN ? seen.count[i] <= 1
                                                 : seen.count[i] == 0;
        ck_assert_msg(fits, "transaction %d: result %d, seen %d times", i, results[i], seen.count[i]);
    }
    ck_assert_int_eq(offset, seen.last + 1);
    ck_assert_int_gt(tally[PORT_OK], 0);
    worker_close(&w);
}
END_TEST

void add_cut_cases(TCase *t)
{
    tcase_add_test(t, results_are_true);
}
