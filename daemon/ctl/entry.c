// How a customer came into its stage is not part of the state: it was said, in the transitions topic. A
// record's timestamp is the instant at which its effect took place, and the state has that instant; so the
// brokers' index of times leads close to the record, and no more than some thousands need to be read.
#include "sources.h"

#include <inttypes.h>
#include <string.h>

#include "kafka_query.h"

enum { RECORDS_MAX = 200000, FOUND = -1000 };

enum { MODEL, FROM, RULE, VISIT };                 // properties of `data`
enum { KIND, TYPE, ID, TOPIC, PARTITION, OFFSET }; // properties of `data.cause`
static const char *const data_names[] = {"model", "from", "rule", "visit", NULL};
static const char *const cause_names[] = {"kind", "type", "id", "topic", "partition", "offset", NULL};

struct search {
    const struct lookup_found *f;
    struct event_parser *parser;
    struct field_map data, cause; // an output read as an event: whatever its format
    struct buffer *words;
    int64_t read;
};

static int map_make(struct field_map *m, const char *properties, const char *const *names)
{
    if (field_map_preset(m, PRESET_CLOUDEVENTS))
        return ERR_NOMEM;
    m->properties.n = 0;
    if (field_map_path(m, &m->properties, properties))
        return ERR_NOMEM;
    for (; *names; names++)
        if (field_map_prop(m, *names, strlen(*names)) < 0)
            return ERR_NOMEM;
    return 0;
}

static void search_clear(struct search *s)
{
    field_map_clear(&s->data);
    field_map_clear(&s->cause);
    event_parser_free(s->parser);
}

static bool is(const struct scalar *s, const char *text)
{
    return s->kind == SCALAR_STRING && s->text.n == strlen(text) && !memcmp(s->text.p, text, s->text.n);
}

static void put(struct buffer *b, const char *before, const struct scalar *s)
{
    if (s->kind == SCALAR_NONE)
        return;
    buffer_text(b, before);
    if (s->kind == SCALAR_STRING)
        buffer_put(b, s->text.p, s->text.n);
    else
        buffer_printf(b, "%" PRId64, s->milli / 1000);
}

static int each_record(void *arg, const struct record *r)
{
    struct search *s = arg;
    const struct lookup_found *f = s->f;
    struct event e;
    enum bad_reason reason;
    const char *detail;
    s->read++;
    if (!r->key.p || r->key.n != f->id.n || memcmp(r->key.p, f->id.p, f->id.n) != 0)
        return 0;
    int k = event_parse(s->parser, &s->data, r, &e, &reason, &detail);
    if (k)
        return k < 0 ? k : 0; // not ours
    if (e.time != f->customer->entered || !is(&e.props[MODEL], f->model->name) ||
        e.props[VISIT].milli != f->customer->slot[f->model->visits + f->customer->stage] * 1000)
        return 0;
    put(s->words, "", &e.props[RULE]);
    put(s->words, ", from ", &e.props[FROM]);
    if ((k = event_parse(s->parser, &s->cause, r, &e, &reason, &detail)) != 0)
        return k < 0 ? k : FOUND;
    if (is(&e.props[KIND], "deadline")) {
        buffer_text(s->words, ": by time alone");
        return FOUND;
    }
    put(s->words, ": ", &e.props[TYPE]);
    put(s->words, " ", &e.props[ID]);
    put(s->words, " (", &e.props[TOPIC]);
    put(s->words, "/", &e.props[PARTITION]);
    put(s->words, ", offset ", &e.props[OFFSET]);
    buffer_byte(s->words, ')');
    return FOUND;
}

// The first offset whose record is of that time or later; -1: there is none.
static int offset_of_time(struct sources *s, const struct part_key *p, int64_t time_ms, int64_t *ret,
                          struct why *ret_why)
{
    _cleanup_(kafka_list_destroy) rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *t = rd_kafka_topic_partition_list_add(list, p->topic, p->partition);
    t->offset = time_ms;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(s->reader.client.rk, list, KAFKA_CALL_MS);
    if (!err)
        err = t->err;
    if (err)
        return kafka_why(ret_why, PORT_AWAY, "partition %d of %s: %s", (int)p->partition, p->topic,
                         rd_kafka_err2str(err));
    *ret = t->offset >= 0 ? t->offset : -1;
    return PORT_OK;
}

static int look(struct sources *s, struct search *q, const struct part_key *p, struct why *why)
{
    int64_t end = 0, from = -1;
    int r = sources_end(s, p, &end, why);
    if (r == PORT_OK)
        r = offset_of_time(s, p, q->f->customer->entered, &from, why);
    if (r != PORT_OK || from < 0 || from >= end)
        return r;
    int64_t upto = end - from > RECORDS_MAX ? from + RECORDS_MAX : end;
    return kafka_read(&s->reader, &s->kafka, p, from, upto, each_record, q, why);
}

static bool never_moved(const struct lookup_found *f)
{
    int64_t visits = 0;
    for (int i = 0; i < f->model->nstages; i++)
        visits += f->customer->slot[f->model->visits + i];
    return f->customer->stage == 0 && visits == 1;
}

int sources_entry(struct sources *s, const struct lookup_found *f, struct buffer *words)
{
    const char *topic = s->config->outputs.transitions;
    if (never_moved(f))
        buffer_text(words, "its first event");
    else if (!topic)
        buffer_text(words, "not known: transitions are not published (outputs.transitions)");
    if (never_moved(f) || !topic)
        return 0;
    struct part_key p = {topic, f->source.partition};
    struct why why = {{0}};
    _cleanup_(search_clear) struct search q = {.f = f, .words = words, .parser = event_parser_new()};
    if (!q.parser || map_make(&q.data, "/data", data_names) || map_make(&q.cause, "/data/cause", cause_names))
        return ERR_NOMEM;
    int r = look(s, &q, &p, &why);
    if (r == PORT_OK)
        buffer_printf(words, "not known: not among %" PRId64 " records of its time in %s/%d", q.read, topic,
                      (int)p.partition);
    else if (r > 0)
        buffer_printf(words, "not known: %s", why.text);
    return r < 0 && r != FOUND ? r : 0;
}
