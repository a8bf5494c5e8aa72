// States are decoded by the very code that steps them; the facts are shown as of the partition's clock.
#include "lookup.h"

#include <string.h>

#include "buckets.h"
#include "cache.h"
#include "output.h"
#include "redis_query.h"
#include "redis_store.h"
#include "versions.h"

struct lookup {
    const struct config *config;
    int32_t partitions;
    const char *models[MODELS_MAX];
    struct redis_options options;
    struct redis_store *store;
    struct customer *spare;
};

struct lookup *lookup_new(const struct config *c, int32_t partitions)
{
    struct lookup *l = calloc(1, sizeof *l);
    size_t largest = sizeof *l->spare;
    if (!l)
        return NULL;
    l->config = c;
    l->partitions = partitions;
    for (int i = 0; i < c->program.nmodels; i++) {
        l->models[i] = c->program.models[i]->name;
        if (customer_bytes(c->program.models[i]) > largest)
            largest = customer_bytes(c->program.models[i]);
    }
    l->options = (struct redis_options){.app = c->app, .url = &c->redis.url, .timeout_ms = (int)c->redis.timeout_ms,
                                        .client = "engaged-lookup", .models = l->models,
                                        .nmodels = c->program.nmodels};
    l->spare = malloc(largest);
    l->store = redis_store_new(&l->options);
    return l->spare && l->store ? l : lookup_free(l);
}

struct lookup *lookup_free(struct lookup *l)
{
    if (l) {
        redis_store_free(l->store);
        free(l->spare);
        free(l);
    }
    return NULL;
}

enum { FORMER_MAX = 32 }; // states of former versions in one look-up: one a model, in one partition

struct former { // a state that another version wrote
    struct buffer state;
    int model;
    int32_t partition;
    int64_t clock; // of the partition
};

struct search {
    struct lookup *l;
    struct span id;
    void (*found)(void *arg, const struct lookup_found *f);
    void *arg;
    struct former former[FORMER_MAX];
    size_t nformer;
};

static uint64_t bucket(int model, struct span customer, uint64_t buckets)
{
    (void)model;
    return bucket_of(cache_hash(customer), buckets);
}

static void tell(const struct search *s, const struct part_key *p, int model, int64_t clock)
{
    const struct model *m = s->l->config->program.models[model];
    struct customer *c = s->l->spare;
    step_due(m, c);
    struct lookup_found f = {
        .model = m, .customer = c, .source = *p, .id = s->id, .now = clock > c->clock ? clock : c->clock};
    s->found(s->arg, &f);
}

static void found_state(void *arg, const struct part_key *p, int model, const struct cursor *cursor, struct span state)
{
    struct search *s = arg;
    if (!customer_decode(s->l->config->program.models[model], (const uint8_t *)state.p, state.n, s->l->spare)) {
        tell(s, p, model, cursor->clock);
    } else if (s->nformer < FORMER_MAX) { // looked at when the store is free to tell the texts of former versions
        struct former *f = &s->former[s->nformer++];
        *f = (struct former){.model = model, .partition = p->partition, .clock = cursor->clock};
        buffer_put(&f->state, state.p, state.n);
    }
}

// What the daemon will make of the state when it next touches the customer.
static int tell_former(struct search *s, const struct former *f, struct why *ret_why)
{
    struct part_key p = {.topic = s->l->config->source.topic, .partition = f->partition};
    const struct model *m = s->l->config->program.models[f->model];
    struct model_text present = {.name = {m->name, strlen(m->name)}, .text = {m->text, m->text_bytes},
                                 .version = m->version, .order = UINT64_MAX, .clock = INT64_MIN};
    struct versions v = {0};
    if (f->state.failed)
        return ERR_NOMEM;
    int r = redis_store_ops.recall(s->l->store, &p, versions_add, &v, ret_why);
    if (r == PORT_OK && !versions_find(&v, m->name, m->version)) // configured, and not at work yet
        r = versions_add(&v, &present);
    versions_sort(&v);
    int unreadable = 0;
    if (r == PORT_OK)
        unreadable = versions_read(&v, m, (struct span){f->state.p, f->state.n}, s->l->spare);
    if (r == PORT_OK && unreadable == 0)
        tell(s, &p, f->model, f->clock);
    versions_clear(&v);
    return unreadable < 0 ? unreadable : r;
}

int lookup_each(struct lookup *l, struct span id, void (*found)(void *arg, const struct lookup_found *f), void *arg,
                struct why *ret_why)
{
    struct search s = {.l = l, .id = id, .found = found, .arg = arg};
    struct redis_lookup q = {.customer = id, .bucket = bucket, .found = found_state, .arg = &s};
    int r = redis_query_customer(l->store, l->config->source.topic, l->partitions, &q, ret_why);
    for (size_t i = 0; i < s.nformer; i++) {
        if (r == PORT_OK)
            r = tell_former(&s, &s.former[i], ret_why);
        buffer_clear(&s.former[i].state);
    }
    return r;
}

// ---- as JSON

static void put_deadline(struct json_writer *j, const struct lookup_found *f)
{
    struct due d = step_next(f->model, f->customer);
    if (d.at == NEVER)
        return;
    json_key(j, "deadline");
    json_object(j);
    json_key(j, "at"), json_time(j, d.at);
    if (d.kind == DUE_RULE)
        json_key(j, "rule"), json_text(j, f->model->rules[d.index].name);
    else
        json_key(j, "trigger"),
            json_text(j, d.kind == DUE_TRIGGER ? f->model->triggers[d.index].name : "objective.missed");
    json_object_end(j);
}

static void put_state(void *arg, const struct lookup_found *f)
{
    struct json_writer *j = arg;
    const struct customer *c = f->customer;
    json_object(j);
    json_key(j, "model"), json_text(j, f->model->name);
    json_key(j, "version"), json_int(j, f->model->version);
    json_key(j, "stage"), json_text(j, f->model->stages[c->stage].name);
    json_key(j, "entered"), json_time(j, c->entered);
    json_key(j, "visit"), json_int(j, c->slot[f->model->visits + c->stage]);
    json_key(j, "ordinal"), json_int(j, c->ordinal);
    json_key(j, "clock"), json_time(j, c->clock);
    json_key(j, "facts");
    json_object(j);
    output_facts(j, f->model, c, f->now);
    json_object_end(j);
    put_deadline(j, f);
    json_key(j, "topic"), json_text(j, f->source.topic);
    json_key(j, "partition"), json_int(j, f->source.partition);
    json_object_end(j);
}

int lookup_customer(void *lookup, struct span id, struct buffer *ret_body, struct why *ret_why)
{
    struct json_writer j = json_writer_to(ret_body);
    json_object(&j);
    json_key(&j, "customer"), json_span(&j, id);
    json_key(&j, "models");
    json_array(&j);
    size_t before = ret_body->n;
    int r = lookup_each(lookup, id, put_state, &j, ret_why);
    if (r != PORT_OK)
        return r < 0 ? r : 2;
    if (ret_body->n == before)
        return 1;
    json_array_end(&j);
    json_object_end(&j);
    return ret_body->failed ? ERR_NOMEM : 0;
}
