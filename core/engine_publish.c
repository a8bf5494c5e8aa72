// Outputs on their way into the log, all in the worker's one open transaction: transitions and triggers, dead
// letters, and the journal's decisions. During a replay, what is published already is skipped here.
#include "engine_private.h"
#include <inttypes.h>

enum { HEADERS_MAX = 96, NUMBER_BYTES = 24 };

// ---- records

struct record_text { // what the headers of one record point to
    char partition[300], offset[NUMBER_BYTES], clock[NUMBER_BYTES];
    struct out_header headers[HEADERS_MAX];
    size_t n;
};

static void add_header(struct record_text *t, const char *name, struct span value)
{
    if (t->n < HEADERS_MAX)
        t->headers[t->n++] = (struct out_header){.name = name, .value = value};
}

static void add_text(struct record_text *t, const char *name, const char *value)
{
    add_header(t, name, (struct span){value, strlen(value)});
}

static void our_headers(struct record_text *t, const struct engine *e, const struct part *p, const char *kind,
                        int64_t next, int64_t clock)
{
    snprintf(t->partition, sizeof t->partition, "%s/%d", p->topic, p->key.partition);
    snprintf(t->offset, sizeof t->offset, "%" PRId64, next);
    add_text(t, "engaged-app", e->config.app);
    add_text(t, "engaged-partition", t->partition);
    add_text(t, "engaged-offset", t->offset);
    add_text(t, "engaged-kind", kind);
    if (clock != INT64_MIN) {
        snprintf(t->clock, sizeof t->clock, "%" PRId64, clock);
        add_text(t, "engaged-clock", t->clock);
    }
}

static int begin(struct engine *e, struct why *why)
{
    if (e->in_transaction)
        return PORT_OK;
    int r = e->ports.sink->begin(e->ports.sink_ctx, why);
    if (r == PORT_OK) {
        e->in_transaction = true;
        e->transaction_since = e->ports.world->mono_ms(e->ports.world_ctx);
    }
    return r;
}

static void failed(struct engine *e, int r, const char *text);

// PORT_OK. PORT_REFUSED: this record can never be produced; the transaction goes on. Other conditions: the transaction
// is undone, and all that have a part in it, this partition too, are in doubt already.
static int produce(struct engine *e, struct part *p, const struct out_record *r, struct why *why)
{
    int result = begin(e, why);
    if (result == PORT_OK)
        result = e->ports.sink->produce(e->ports.sink_ctx, r, why);
    if (result < 0 || result == PORT_REFUSED)
        return result;
    p->outputs++;
    if (result != PORT_OK) {
        e->ports.sink->abort(e->ports.sink_ctx, &(struct why){0});
        e->in_transaction = false;
        failed(e, result, why->text);
    }
    return result;
}

static const char *topic_of(const struct engine *e, const struct model *m, const struct effect *fx)
{
    if (effect_is_transition(fx))
        return e->config.transitions;
    const char *campaign = effect_campaign(m, fx);
    for (size_t i = 0; i < e->config.ncampaigns; i++)
        if (!strcmp(e->config.campaigns[i].campaign, campaign))
            return e->config.campaigns[i].topic;
    return e->config.triggers;
}

static int render(struct engine *e, const struct output *o, struct record_text *t, char time[static TIME_TEXT_BYTES])
{
    struct span id = {e->id.p, e->id.n};
    bool msgpack = e->config.format == OUTPUT_MSGPACK;
    e->body.n = 0;
    if (e->config.binary) {
        output_data(o, false, NULL, &e->body);
        format_time(o->effect->at, time);
        add_text(t, "content-type", msgpack ? "application/msgpack" : "application/json");
        add_text(t, "ce_specversion", "1.0");
        add_header(t, "ce_id", id);
        add_text(t, "ce_type", output_cloudevent_type(o->effect));
        add_header(t, "ce_subject", o->id);
        add_text(t, "ce_time", time);
        e->scratch.n = 0;
        buffer_printf(&e->scratch, "engaged/%s", e->config.app);
        add_header(t, "ce_source", (struct span){e->scratch.p, e->scratch.n});
    } else {
        output_cloudevent(o, e->config.app, id, &e->body);
        add_text(t, "content-type", msgpack ? "application/cloudevents+msgpack" : "application/cloudevents+json");
    }
    if (msgpack) {
        struct buffer packed = {0};
        int r = output_msgpack((struct span){e->body.p, e->body.n}, &packed);
        e->body.n = 0;
        buffer_put(&e->body, packed.p, packed.n);
        buffer_clear(&packed);
        if (r)
            return r < 0 ? r : ERR_INTERNAL;
    }
    return e->body.failed || e->scratch.failed || e->id.failed ? ERR_NOMEM : 0;
}

// Whether a replay has this output already; or finds that it contradicts what was said.
static bool skipped(struct engine *e, struct part *p, const struct output *o, const char *digest, const char *topic)
{
    struct span id = {e->id.p, e->id.n};
    struct published_id *f = published_find(&p->published, id);
    if (f) {
        p->published.left -= !f->seen;
        f->seen = true;
        if (strcmp(f->digest, digest) != 0 && !e->config.exactly_once)
            return false; // one that was given up said what was decided otherwise meanwhile; this one is yet to come
        if (strcmp(f->digest, digest) != 0) {
            part_contradiction(
                e, p,
                "output %.*s is published with digest %s, the replay makes it %s: the program or the log "
                "differs from the one that published it",
                (int)id.n, id.p, f->digest, digest);
            return true;
        }
        count_add(&e->counters->outputs_skipped, 1);
        return true;
    }
    if (!topic || !published_later(&p->published, id, o->effect->ordinal))
        return false;
    if (!e->config.exactly_once)
        return false; // without transactions a later output can be there though this one was lost
    if (effect_is_transition(o->effect))
        part_contradiction(e, p, "transition %.*s is missing in %s, though a later output of the customer is there",
                           (int)id.n, id.p, topic);
    return true; // a trigger that was stale when it was due
}

static void count_effect(struct engine *e, struct part *p, int model, const struct effect *fx)
{
    if (effect_is_transition(fx)) {
        p->stats[e->stat_stage[model] + fx->from]--;
        p->stats[e->stat_stage[model] + fx->to]++;
        p->stats[e->stat_rule[model] + fx->rule]++;
    } else if (fx->kind == EFFECT_TRIGGER && !fx->capped) {
        p->stats[e->stat_trigger[model] + fx->trigger]++;
    }
    if (fx->by_deadline && p->state == PART_LIVE && e->config.program->wall)
        histogram_add(&e->counters->deadline_lateness_seconds, (e->wall - fx->at) * 1000);
}

static int publish_effect(struct engine *e, struct part *p, int model, const struct output *o, int64_t next,
                          int64_t clock)
{
    const struct effect *fx = o->effect;
    const char *topic = topic_of(e, o->model, fx);
    char digest[17], time[TIME_TEXT_BYTES];
    count_effect(e, p, model, fx);
    e->id.n = 0;
    output_id(o->model, o->id, fx->ordinal, &e->id);
    output_digest(o, e->config.program->digest, digest);
    if (p->published.n > 0 && skipped(e, p, o, digest, topic))
        return 0;
    bool stale = !effect_is_transition(fx) && e->config.max_age_ms != NEVER && fx->at < e->wall - e->config.max_age_ms;
    count_add(&e->counters->triggers_capped, fx->capped);
    count_add(&e->counters->triggers_stale, !fx->capped && stale);
    if (fx->capped || stale || !topic)
        return 0;
    struct record_text t;
    t.n = 0;
    int r = render(e, o, &t, time);
    if (r)
        return r;
    add_header(&t, "engaged-id", (struct span){e->id.p, e->id.n});
    add_text(&t, "engaged-digest", digest);
    our_headers(&t, e, p, effect_is_transition(fx) ? "transition" : "trigger", next, clock);
    struct out_record out = {.topic = topic,
                             .partition = p->key.partition,
                             .key = o->id,
                             .value = {e->body.p, e->body.n},
                             .timestamp = e->wall,
                             .headers = t.headers,
                             .nheaders = t.n};
    struct why why = {0};
    r = produce(e, p, &out, &why);
    if (r == PORT_REFUSED)
        part_halt(e, p, "output %.*s cannot be written to %s: %s", (int)e->id.n, e->id.p, topic, why.text);
    else if (r == PORT_OK)
        count_add(effect_is_transition(fx) ? &e->counters->transitions : &e->counters->triggers, 1);
    return r < 0 ? r : 0;
}

int publish_effects(struct engine *e, struct part *p, const struct entry *entry, const struct event_source *source,
                    int64_t next, int64_t clock)
{
    const struct model *m = engine_model(e, entry->model);
    count_add(&e->counters->triggers_silenced, e->effects.silenced);
    count_add(&e->counters->rests, e->effects.rests);
    e->effects.silenced = e->effects.rests = 0;
    for (size_t i = 0; i < e->effects.n && part_running(p); i++) {
        struct output o = {.model = m,
                           .customer = entry->c,
                           .effect = &e->effects.v[i],
                           .id = {entry->id, entry->id_bytes},
                           .source = source};
        int r = publish_effect(e, p, entry->model, &o, next, clock);
        if (r)
            return r;
    }
    return 0;
}

// ---- dead letters

int publish_dead_letter(struct engine *e, struct part *p, const struct record *r, enum bad_reason reason,
                        const char *detail)
{
    char partition[NUMBER_BYTES], offset[NUMBER_BYTES];
    snprintf(partition, sizeof partition, "%d", r->partition);
    snprintf(offset, sizeof offset, "%" PRId64, r->offset);
    e->id.n = 0;
    buffer_printf(&e->id, "%s/%s/%s", p->topic, partition, offset);
    struct published_id *f = published_find(&p->published, (struct span){e->id.p, e->id.n});
    if (f) {
        p->published.left -= !f->seen;
        f->seen = true;
        count_add(&e->counters->outputs_skipped, 1);
        return 0;
    }
    struct record_text t;
    t.n = 0;
    e->scratch.n = 0; // names need a NUL, which the log's spans have not
    size_t names[HEADERS_MAX], n = 0;
    for (; n < r->nheaders && n < HEADERS_MAX - 16; n++) {
        names[n] = e->scratch.n;
        buffer_put(&e->scratch, r->headers[n].name.p, r->headers[n].name.n);
        buffer_byte(&e->scratch, '\0');
    }
    if (e->scratch.failed || e->id.failed)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        add_header(&t, e->scratch.p + names[i], r->headers[i].value);
    add_text(&t, "__engaged.errors.reason", bad_reason_name(reason));
    add_text(&t, "__engaged.errors.message", detail ? detail : "");
    add_header(&t, "__engaged.errors.topic", r->topic);
    add_text(&t, "__engaged.errors.partition", partition);
    add_text(&t, "__engaged.errors.offset", offset);
    add_header(&t, "engaged-id", (struct span){e->id.p, e->id.n});
    add_text(&t, "engaged-digest", bad_reason_name(reason));
    our_headers(&t, e, p, "dead-letter", r->offset + 1, p->clock);
    struct out_record out = {.topic = e->config.dead_letters,
                             .partition = p->key.partition,
                             .key = r->key,
                             .value = r->value,
                             .timestamp = r->timestamp,
                             .headers = t.headers,
                             .nheaders = t.n};
    struct why why = {0};
    int result = p->valueless ? PORT_REFUSED : produce(e, p, &out, &why);
    if (result == PORT_REFUSED) { // too large for its topic: the place in the source remains
        out.value = (struct span){0};
        out.headers = t.headers;
        add_text(&t, "__engaged.errors.value", "left out: too large for the dead-letter topic");
        out.nheaders = t.n;
        result = produce(e, p, &out, &why);
    }
    if (result == PORT_REFUSED)
        part_halt(e, p, "the dead letter of offset %s cannot be written to %s: %s", offset, e->config.dead_letters,
                  why.text);
    return result < 0 ? result : 0;
}

// ---- the journal

static int journal(struct engine *e, struct part *p, const char *kind, int64_t offset, int64_t clock,
                   const struct buffer *body, struct why *why)
{
    struct record_text t;
    t.n = 0;
    add_text(&t, "content-type", "application/json");
    add_text(&t, "engaged-digest", e->config.program->digest);
    our_headers(&t, e, p, kind, offset, clock);
    struct out_record out = {.topic = e->config.journal,
                             .partition = p->key.partition,
                             .key = {t.partition, strlen(t.partition)},
                             .value = {body->p, body->n},
                             .timestamp = e->wall,
                             .headers = t.headers,
                             .nheaders = t.n};
    return produce(e, p, &out, why);
}

static void journal_head(struct json_writer *j, const struct engine *e, const char *kind, int64_t offset, int64_t clock)
{
    json_object(j);
    json_key(j, "kind"), json_text(j, kind);
    json_key(j, "offset"), json_int(j, offset);
    if (clock != INT64_MIN)
        json_key(j, "clock"), json_time(j, clock);
    json_key(j, "program"), json_text(j, e->config.program->digest);
}

int publish_decision(struct engine *e, struct part *p, const char *kind, int64_t offset, int64_t clock)
{
    struct why why = {0};
    e->body.n = 0;
    struct json_writer j = json_writer_to(&e->body);
    journal_head(&j, e, kind, offset, clock);
    json_object_end(&j);
    if (e->body.failed)
        return ERR_NOMEM;
    int r = journal(e, p, kind, offset, clock, &e->body, &why);
    if (r == PORT_REFUSED)
        part_halt(e, p, "the journal %s does not take a decision: %s", e->config.journal, why.text);
    return r < 0 ? r : 0;
}

static void note_tails(struct engine *e, const struct produced *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < e->nparts; k++) {
            int topic = engine_topic(e, v[i].topic);
            if (e->parts[k]->key.partition == v[i].partition && topic >= 0)
                e->parts[k]->tails[topic] = v[i].next;
        }
}

static void put_models(struct json_writer *j, const struct program *p)
{
    json_key(j, "models");
    json_array(j);
    for (int i = 0; i < p->nmodels; i++) {
        const struct model *m = p->models[i];
        json_object(j);
        json_key(j, "name"), json_text(j, m->name);
        json_key(j, "version"), json_int(j, m->version);
        json_key(j, "digest"), json_text(j, m->digest);
        json_key(j, "text"), json_span(j, (struct span){m->text, m->text_bytes});
        json_object_end(j);
    }
    json_array_end(j);
}

// `start`, the first entry: where stepping begins, and by which program; `switch`: another program from here on.
int publish_program(struct engine *e, struct part *p, const char *kind, int64_t offset, int64_t clock, struct why *why)
{
    if (e->in_transaction)
        publish_commit(e, false);
    e->body.n = 0;
    struct json_writer j = json_writer_to(&e->body);
    journal_head(&j, e, kind, offset, clock);
    put_models(&j, e->config.program);
    json_object_end(&j);
    if (e->body.failed)
        return ERR_NOMEM;
    int r = journal(e, p, kind, offset, clock, &e->body, why);
    struct commit_offset to = {.source = p->key,
                               .offset = offset > p->committed ? offset : p->committed,
                               .clock = clock > p->committed_clock ? clock : p->committed_clock};
    const struct produced *produced;
    size_t n;
    if (r == PORT_OK)
        r = e->ports.sink->commit(e->ports.sink_ctx, &to, 1, &produced, &n, why);
    else if (e->in_transaction)
        e->ports.sink->abort(e->ports.sink_ctx, &(struct why){0});
    e->in_transaction = false;
    p->outputs = 0;
    if (r == PORT_OK) {
        count_add(&e->counters->commits, 1);
        note_tails(e, produced, n);
        p->committed = to.offset;
        p->committed_clock = to.clock;
        note(e, NOTE_INFO, p, "%s at offset %" PRId64 " with program %s", kind, offset, e->config.program->digest);
    }
    return r;
}

// ---- transactions

static size_t offsets_of(const struct engine *e, struct commit_offset *offsets, struct part **parts, bool all)
{
    size_t n = 0;
    for (size_t i = 0; i < e->nparts; i++) {
        struct part *p = e->parts[i];
        if (!part_running(p) && p->outputs == 0)
            continue;
        int64_t offset = p->position > p->committed ? p->position : p->committed;
        if (offset < 0 || (p->outputs == 0 && !all) || (p->outputs == 0 && offset == p->sent))
            continue;
        int64_t clock = p->advancing ? p->clock_before : p->clock;
        // How far what is published goes was forgotten, and is not known before the replay is over.
        if (p->state == PART_REPLAYING && p->committed_clock == INT64_MIN)
            clock = INT64_MIN;
        offsets[n] = (struct commit_offset){
            .source = p->key, .offset = offset, .clock = clock > p->committed_clock ? clock : p->committed_clock};
        parts[n++] = p;
    }
    return n;
}

void publish_abort(struct engine *e, const char *why)
{
    struct why ignored = {0};
    if (!e->in_transaction)
        return;
    e->in_transaction = false;
    e->ports.sink->abort(e->ports.sink_ctx, &ignored);
    for (size_t i = 0; i < e->nparts; i++)
        if (e->parts[i]->outputs > 0) {
            e->parts[i]->outputs = 0;
            part_doubt(e, e->parts[i], PORT_ABORTED, "transaction undone", why);
        }
}

static void committed(struct engine *e, const struct commit_offset *offsets, struct part **parts, size_t n)
{
    bool plain = false; // then the offsets follow when there is nothing else
    for (size_t i = 0; i < n; i++)
        plain |= !e->config.exactly_once && parts[i]->outputs > 0;
    for (size_t i = 0; i < n; i++) {
        parts[i]->outputs = 0;
        parts[i]->valueless = false;
        if (plain)
            continue;
        parts[i]->sent = parts[i]->committed = offsets[i].offset;
        parts[i]->committed_clock = offsets[i].clock;
    }
    count_add(&e->counters->commits, 1);
    if (e->alone && ++e->successes % BATCH_SUCCESSES == 0) {
        e->batch = e->batch * 2 < e->config.batch_events ? e->batch * 2 : e->config.batch_events;
        e->alone = e->batch < e->config.batch_events;
    }
    histogram_add(&e->counters->commit_seconds,
                  (e->ports.world->mono_ms(e->ports.world_ctx) - e->transaction_since) * 1000);
}

// The outputs of these partitions are undone, or may be: half a batch each time, down to one event; then a dead letter
// goes without its value; what still fails halts the partition that it belongs to.
static void failed(struct engine *e, int r, const char *text)
{
    size_t with_outputs = 0;
    for (size_t i = 0; i < e->nparts; i++)
        with_outputs += e->parts[i]->outputs > 0;
    for (size_t i = 0; i < e->nparts; i++) {
        struct part *p = e->parts[i];
        if (p->outputs == 0)
            continue;
        p->outputs = 0;
        if (p->state == PART_TAKING)
            continue; // its taking fails by the result
        bool last = r == PORT_ABORTED && e->batch == 1 && with_outputs == 1;
        if (last && p->valueless)
            part_halt(e, p, "the outputs before offset %" PRId64 " cannot be published: %s", p->position, text);
        else
            part_doubt(e, p, r, "publishing", text);
        p->valueless |= last;
    }
    e->successes = 0;
    e->alone |= r == PORT_ABORTED;
    if (r == PORT_ABORTED && e->batch > 1)
        e->batch /= 2;
}

void publish_commit(struct engine *e, bool offsets_only)
{
    struct why why = {0};
    struct commit_offset offsets[e->nparts + 1];
    struct part *parts[e->nparts + 1];
    bool due = e->mono - e->offsets_at >= OFFSETS_EVERY_MS;
    if (!e->in_transaction && !offsets_only)
        return;
    size_t n = offsets_of(e, offsets, parts, true);
    if (offsets_only || due)
        e->offsets_at = e->mono;
    if (n == 0 && !e->in_transaction)
        return;
    int r = begin(e, &why);
    const struct produced *produced = NULL;
    size_t nproduced = 0;
    if (r == PORT_OK)
        r = e->ports.sink->commit(e->ports.sink_ctx, offsets, n, &produced, &nproduced, &why);
    e->in_transaction = false;
    if (r == PORT_OK) {
        note_tails(e, produced, nproduced);
        committed(e, offsets, parts, n);
        return;
    }
    note(e, NOTE_WARNING, NULL, "transaction failed: %s", why.text);
    failed(e, r, why.text);
}
