// Configurations that are wrong, each with every line that must come out, in order: the rows of
// test_config.c.
#pragma once

#define MODELS "models: [model.yaml]\n"
#define SOURCES "sources: [{topics: [clicks], preset: plain}]\n"
#define BASE MODELS SOURCES

// How often seen messages end.
#define NAME_HINT "; write at most 64 letters, digits, '-', '_' and '.'\n"
#define TOPIC_HINT " is no name of a topic; Kafka takes at most 249 letters, digits, '-', '_' and '.'\n"
#define DURATION_HINT "; write a whole number and a unit (ms, s, m, h, d, w)\n"
#define SIZE_HINT "; write a whole number and a unit (B, KiB, MiB, GiB, TiB)\n"
#define LISTEN_HINT " is no address; write HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464, or null for none\n"
#define ONE_LOG_HINT " for now, because a customer's state belongs to one log with one partition count\n"
#define NO_MODEL "there is no model; name one or more files, such as models: [models/lifecycle.yaml]\n"
#define NO_SOURCE "there is no source; add one, such as sources: [{topics: [clickstream], preset: plain}]\n"

static const struct {
    const char *text, *mistakes;
} bad[] = {
    // what is missing, unknown, or of the wrong shape
    {"", "c.yaml: " NO_MODEL "c.yaml: " NO_SOURCE},
    {BASE "wokers: 3\n", "c.yaml:3:1: the configuration has no key 'wokers'; did you mean 'workers'?\n"},
    {BASE "redis: {uri: x}\n", "c.yaml:3:9: redis has no key 'uri'; did you mean 'url'?\n"},
    {BASE "flush:\n  customer: 5\n", "c.yaml:4:3: flush has no key 'customer'; did you mean 'customers'?\n"},
    {BASE "redis: redis://localhost\n", "c.yaml:3:8: redis is no map; write redis: {url: VALUE}\n"},
    {BASE "delivery: [exactly-once]\n", "c.yaml:3:11: delivery is a list; it should be a single value\n"},
    {BASE "app: {a: b}\n", "c.yaml:3:6: app is a map; it should be a single value\n"},
    {BASE "workers:\n", "c.yaml:3:9: workers has no value; write one, or leave the key out\n"},
    {BASE "app: ''\n", "c.yaml:3:6: app is empty; write a value, or leave the key out\n"},

    // names and topics
    {BASE "app: my app\n", "c.yaml:3:6: app 'my app' is no name" NAME_HINT},
    {BASE "instance: a/b\n", "c.yaml:3:11: instance 'a/b' is no name" NAME_HINT},
    {BASE "outputs: {triggers: 'a b'}\n", "c.yaml:3:21: outputs.triggers 'a b'" TOPIC_HINT},
    {BASE "outputs: {dead_letters: ..}\n", "c.yaml:3:25: outputs.dead_letters '..'" TOPIC_HINT},
    {BASE "outputs: {dead_letters: null}\n",
     "c.yaml:3:25: outputs.dead_letters has no value; write one, or leave the key out\n"},
    {BASE "outputs: {transitions: clicks}\n",
     "c.yaml:3:24: outputs.transitions 'clicks' is the topic that events come from; take another\n"},
    {BASE "app: shop\noutputs: {triggers: shop.journal}\n",
     "c.yaml:4:21: outputs.triggers 'shop.journal' is the journal's topic; take another\n"},
    {MODELS "sources: [{topics: engaged.journal, preset: plain}]\n",
     "c.yaml:2:20: topics 'engaged.journal' is the journal's topic; take another\n"},
    {MODELS "sources: [{topics: engaged.triggers, preset: plain}]\n",
     "c.yaml: outputs.triggers 'engaged.triggers' is the topic that events come from; take another\n"},
    {BASE "outputs: {dead_letters: x, campaigns: {onboarding: x}}\n",
     "c.yaml: outputs.dead_letters 'x' is the topic of other outputs, too; give bad events their own\n"},
    {BASE "outputs: {campaigns: [x]}\n",
     "c.yaml:3:22: outputs.campaigns is no map; write campaigns: {name: value}\n"},

    // choices
    {BASE "delivery: exactly-one\n", "c.yaml:3:11: delivery 'exactly-one' is none of exactly-once, "
                                     "at-least-once; did you mean 'exactly-once'?\n"},
    {BASE "time: {mode: sundial}\n", "c.yaml:3:14: time.mode 'sundial' is none of wall, event\n"},
    {BASE "log: {level: warn}\n", "c.yaml:3:14: log.level 'warn' is none of debug, info, warning, error\n"},
    {BASE "outputs: {create: yes}\n", "c.yaml:3:19: outputs.create 'yes' is neither true nor false\n"},

    // numbers and units
    {BASE "workers: -1\n", "c.yaml:3:10: workers '-1' is no whole number from 0 to 256\n"},
    {BASE "workers: 257\n", "c.yaml:3:10: workers '257' is no whole number from 0 to 256\n"},
    {BASE "batch: {events: 0}\n", "c.yaml:3:17: batch.events '0' is no whole number from 1 to 1000000\n"},
    {BASE "flush: {customers: 20001}\n",
     "c.yaml:3:20: flush.customers '20001' is no whole number from 1 to 20000\n"},
    {BASE "flush: {every: 200}\n",
     "c.yaml:3:16: flush.every '200' is no duration from 1ms to 1m" DURATION_HINT},
    {BASE "time: {grace: 53w}\n",
     "c.yaml:3:15: time.grace '53w' is no duration from 0s to 365d" DURATION_HINT},
    {BASE "cache: 256\n", "c.yaml:3:8: cache '256' is no size from 1MiB to 1TiB" SIZE_HINT},
    {BASE "cache: 1025GiB\n", "c.yaml:3:8: cache '1025GiB' is no size from 1MiB to 1TiB" SIZE_HINT},
    {BASE "cache: 9999999999TiB\n",
     "c.yaml:3:8: cache '9999999999TiB' is no size from 1MiB to 1TiB" SIZE_HINT},

    // addresses
    {BASE "http: {listen: 9464}\n", "c.yaml:3:16: http.listen '9464'" LISTEN_HINT},
    {BASE "http: {listen: '::1:9464'}\n", "c.yaml:3:16: http.listen '::1:9464'" LISTEN_HINT},
    {BASE "http: {listen: localhost:65536}\n", "c.yaml:3:16: http.listen 'localhost:65536'" LISTEN_HINT},
    {BASE "redis: {url: 'redis-sentinel://h/m?sentinel_pass=x'}\n",
     "c.yaml:3:14: redis.url: an unknown parameter after '?'; there are ?ca=FILE where the scheme begins with rediss, "
     "?db=N for unix:// and redis-sentinel://, ?user= and ?password= for unix://, ?sentinel_username= and "
     "?sentinel_password= for redis-sentinel://\n"},
    {BASE "redis: {url: localhost}\n",
     "c.yaml:3:14: redis.url: not a URL, such as redis://localhost:6379/0\n"},

    // models
    {"models: []\n" SOURCES, "c.yaml:1:9: " NO_MODEL},
    {"models: [model.yaml, none.yaml]\n" SOURCES, "c.yaml:1:22: the model none.yaml cannot be read: No such "
                                                  "file or directory; paths are relative to this file\n"},
    {"models: [model.yaml, ./model.yaml]\n" SOURCES,
     "c.yaml:1:22: the model 'tiny' is already that of model.yaml; give one of them another name, or leave "
     "one out\n"},
    {"models: broken.yaml\n" SOURCES "workers: x\n",
     "broken.yaml:5:1: a model has no key 'trigger'; did you mean 'triggers'?\n"
     "c.yaml:3:10: workers 'x' is no whole number from 0 to 256\n"},

    // sources
    {MODELS "sources: {topics: [x]}\n",
     "c.yaml:2:10: sources is no list; write sources: [{topics: [clickstream], preset: plain}]\n"},
    {MODELS "sources: []\n", "c.yaml:2:10: " NO_SOURCE},
    {MODELS "sources: [clicks]\n", "c.yaml:2:11: a source is no map; write keys and values\n"},
    {MODELS "sources:\n  - {topics: [a], preset: plain}\n  - {topics: [b], preset: plain}\n",
     "c.yaml:4:5: there are 2 sources; there can be one" ONE_LOG_HINT},
    {MODELS "sources: [{topics: [a, b], preset: plain}]\n",
     "c.yaml:2:24: the source has 2 topics; it can have one" ONE_LOG_HINT},
    {MODELS "sources: [{preset: plain}]\n",
     "c.yaml:2:11: the source has no topics; name the one that events come from\n"},
    {MODELS "sources: [{topics: [], preset: plain}]\n",
     "c.yaml:2:20: the source has no topic; name the one that events come from\n"},
    {MODELS "sources: [{topics: [a], preset: segmnt}]\n",
     "c.yaml:2:33: preset 'segmnt' is none of plain, segment, rudderstack, cloudevents, snowplow; did you "
     "mean 'segment'?\n"},
    {MODELS "sources: [{topics: [a]}]\n",
     "c.yaml:2:11: the source has neither preset nor fields; add preset: plain, or the one that your events "
     "come in (segment, rudderstack, cloudevents, snowplow)\n"},
    {MODELS "sources: [{topics: [a], preset: plain, fields: {customer: /c, type: /t}}]\n",
     "c.yaml:2:33: the source has a preset and fields; keep the one that describes the events\n"},
    {MODELS "sources: [{topics: [a], preset: plain, key: any}]\n",
     "c.yaml:2:45: key: any does not work yet; the events of a customer must be in one partition, which only "
     "a message key that is the customer id ensures: write key: customer\n"},
    {MODELS "sources: [{topics: [a], preset: plain, reset: newest, format: xml}]\n",
     "c.yaml:2:47: reset 'newest' is none of earliest, latest\n"
     "c.yaml:2:63: format 'xml' is none of json, msgpack\n"},
    {MODELS "sources: [{topics: [a], fields: /userId}]\n",
     "c.yaml:2:33: fields is no map; write fields: {customer: /userId, type: /event}\n"},
    {MODELS "sources: [{topics: [a], fields: {user: /userId, type: event}}]\n",
     "c.yaml:2:33: fields has no customer; every event needs one, such as customer: /userId\n"
     "c.yaml:2:34: fields has no key 'user'; it can have customer, type, time, id, value, properties\n"
     "c.yaml:2:55: type 'event' is no path; write a JSON pointer, such as /context/traits/plan\n"},
    {MODELS "sources: [{topics: [a], fields: {type: /t, customer: [/1, /2, /3, /4, /5, /6, /7, /8, /9]}}]\n",
     "c.yaml:2:54: customer has 9 alternatives; it can have 8\n"},

    // librdkafka's properties
    {BASE "kafka: {properties: [a]}\n",
     "c.yaml:3:21: kafka.properties is no map; write properties: {name: value}\n"},
    {BASE "kafka: {properties: {acks: 1}}\n",
     "c.yaml:3:22: the property 'acks' is not yours to set: an output counts as published when all replicas "
     "have it; remove it\n"},
    {BASE "kafka: {properties: {fetch.weight: 1}}\n",
     "c.yaml:3:22: the property 'fetch.weight' is refused by librdkafka: No such configuration property: "
     "\"fetch.weight\"\n"},
    {BASE "kafka:\n  properties:\n    security.protocol: tls\n",
     "c.yaml:5:5: the property 'security.protocol' is refused by librdkafka: Invalid value \"tls\" for "
     "configuration property \"security.protocol\"\n"},

    // environment and secrets: what they became is never shown
    {BASE "app: ${ENGAGED_TEST_UNSET}\n",
     "c.yaml:3:6: the environment variable ENGAGED_TEST_UNSET is not set; set it, or write the value here\n"},
    {BASE "app: ${ENGAGED_TEST_EMPTY}\n", "c.yaml:3:6: app is empty; write a value, or leave the key out\n"},
    {BASE "app: ${A-B}\n", "c.yaml:3:6: 'A-B' is no name of an environment variable; write ${NAME} or "
                           "${file:PATH}, and $${ for ${\n"},
    {BASE "app: x${HOME\n",
     "c.yaml:3:6: a ${ is not closed; write ${NAME} or ${file:PATH}, and $${ for ${\n"},
    {BASE "app: ${file:none}\n", "c.yaml:3:6: the secret file none cannot be read: No such file or "
                                 "directory; check its name and permissions\n"},
    {BASE "app: ${file:nothing}\n", "c.yaml:3:6: the secret file nothing is empty\n"},
    {BASE "app: ${file:zero}\n", "c.yaml:3:6: the secret file zero is no text; it contains NUL bytes\n"},
    {BASE "delivery: ${file:secret}\n",
     "c.yaml:3:11: delivery '${file:secret}' is none of exactly-once, at-least-once\n"},
    {BASE "redis: {url: '${file:secret}'}\n",
     "c.yaml:3:14: redis.url: not a URL, such as redis://localhost:6379/0\n"},

    // many in one run
    {"app: a b\nmodels: x.yaml\nsources: []\nworkers: many\ncache: 1\n",
     "c.yaml:1:6: app 'a b' is no name" NAME_HINT "c.yaml:2:9: the model x.yaml cannot be read: No such file "
                                                  "or directory; paths are relative to this file\n"
     "c.yaml:3:10: " NO_SOURCE "c.yaml:4:10: workers 'many' is no whole number from 0 to 256\n"
     "c.yaml:5:8: cache '1' is no size from 1MiB to 1TiB" SIZE_HINT},
};
