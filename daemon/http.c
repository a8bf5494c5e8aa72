// Each path is a row: its address and the function that writes its body. Everything is answered from a copy
// of the status board, so that nobody who asks can hold up a worker; only a customer is asked of Redis, by
// the caller's function.
#include "http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "json_write.h"
#include "metrics.h"
#include "version.h"

enum {
    CONNECTIONS_MAX = 64,
    CONNECTION_BYTES_MAX = 16 << 10, // of request line and headers
    CONNECTION_IDLE_S = 15,
};

struct http {
    struct http_options o;
    struct MHD_Daemon *daemon;
    int fd; // listening; the daemon's once it has started
};

struct answer {
    unsigned status;
    const char *type; // static
    struct buffer body;
};

struct request {
    const struct http *http;
    const char *rest; // of the path, after the row's
    bool verbose;
};

static const char plain[] = "text/plain; charset=utf-8", json[] = "application/json";

static void say(struct answer *a, unsigned status, const char *text)
{
    a->status = status;
    a->type = plain;
    a->body.n = 0;
    buffer_printf(&a->body, "%s\n", text);
}

// ---- the paths

static int answer_metrics(const struct request *q, struct answer *a)
{
    _cleanup_(status_clear) struct status s = {0};
    if (status_take(q->http->o.board, &s) != 0)
        return ERR_NOMEM;
    metrics_write(&s, q->http->o.counters, q->http->o.ncounters, &a->body);
    a->type = METRICS_CONTENT_TYPE;
    return 0;
}

static int answer_livez(const struct request *q, struct answer *a)
{
    int worker = status_stalled(q->http->o.board, now_ms(), q->http->o.stalled_ms);
    if (worker < 0) {
        say(a, MHD_HTTP_OK, "live");
        return 0;
    }
    char text[96];
    snprintf(text, sizeof(text), "worker %d has made no progress for %lld ms", worker,
             (long long)q->http->o.stalled_ms);
    say(a, MHD_HTTP_SERVICE_UNAVAILABLE, text);
    return 0;
}

static void put_check(struct buffer *b, bool ok, const char *name, const char *detail)
{
    buffer_printf(b, "[%c] %s%s%s\n", ok ? '+' : '-', name, *detail ? ": " : "", detail);
}

// Partitions are told of, but decide nothing: one that halts needs a person, not another machine.
static void put_checks(struct buffer *b, const struct status *s)
{
    char text[64];
    snprintf(text, sizeof(text), "%d of %d", s->nreporting, s->nworkers);
    put_check(b, s->nreporting == s->nworkers, "workers", text);
    put_check(b, s->kafka, "kafka", s->kafka ? "" : s->trouble);
    put_check(b, s->redis, "redis", s->redis ? "" : s->trouble);
    for (size_t i = 0; i < s->nparts; i++) {
        const struct status_part *p = &s->parts[i];
        if (p->state == PART_LIVE)
            continue;
        buffer_printf(b, "[%c] partition %s/%d: %s%s%s\n", p->state == PART_HALTED ? '-' : ' ', p->topic, p->partition,
                      status_state_name(p->state), *p->reason ? ": " : "", p->reason);
    }
}

static int answer_readyz(const struct request *q, struct answer *a)
{
    _cleanup_(status_clear) struct status s = {0};
    if (status_take(q->http->o.board, &s) != 0)
        return ERR_NOMEM;
    bool ready = s.kafka && s.redis;
    say(a, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, ready ? "ready" : "not ready");
    if (q->verbose)
        put_checks(&a->body, &s);
    return 0;
}

static void put_stats(struct json_writer *j, const struct status_stat *v, size_t n)
{
    json_object(j);
    for (size_t i = 0; i < n; i++)
        json_key(j, v[i].field), json_int(j, v[i].value);
    json_object_end(j);
}

static void put_part(struct json_writer *j, const struct status_part *p)
{
    json_object(j);
    json_key(j, "topic"), json_text(j, p->topic);
    json_key(j, "partition"), json_int(j, p->partition);
    json_key(j, "worker"), json_int(j, p->worker);
    json_key(j, "owner"), json_text(j, *p->owner ? p->owner : NULL);
    json_key(j, "state"), json_text(j, status_state_name(p->state));
    json_key(j, "reason"), json_text(j, *p->reason ? p->reason : NULL);
    json_key(j, "offset"), json_int(j, p->offset);
    json_key(j, "end"), p->end < 0 ? json_null(j) : json_int(j, p->end);
    json_key(j, "lag"), p->end < 0 ? json_null(j) : json_int(j, status_lag(p));
    json_key(j, "clock"), p->clock < 0 ? json_null(j) : json_time(j, p->clock);
    json_key(j, "flushes"), json_uint(j, p->n);
    json_key(j, "customers"), json_uint(j, p->customers);
    json_key(j, "stats"), put_stats(j, p->stats, p->nstats);
    json_object_end(j);
}

static int answer_status(const struct request *q, struct answer *a)
{
    _cleanup_(status_clear) struct status s = {0};
    if (status_take(q->http->o.board, &s) != 0)
        return ERR_NOMEM;
    struct json_writer writer = json_writer_to(&a->body), *j = &writer;
    json_object(j);
    json_key(j, "app"), json_text(j, s.app);
    json_key(j, "instance"), json_text(j, s.instance);
    json_key(j, "version"), json_text(j, ENGAGED_VERSION);
    json_key(j, "started"), json_time(j, s.started_ms);
    json_key(j, "kafka"), json_bool(j, s.kafka);
    json_key(j, "redis"), json_bool(j, s.redis);
    json_key(j, "trouble"), json_text(j, *s.trouble ? s.trouble : NULL);
    json_key(j, "workers"), json_int(j, s.nworkers);
    json_key(j, "partitions"), json_array(j);
    for (size_t i = 0; i < s.nparts; i++)
        put_part(j, &s.parts[i]);
    json_array_end(j);
    json_key(j, "populations"), put_stats(j, s.populations, s.npopulations);
    json_object_end(j);
    buffer_byte(&a->body, '\n');
    a->type = json;
    return 0;
}

static int answer_customer(const struct request *q, struct answer *a)
{
    struct span id = {q->rest, strlen(q->rest)};
    if (id.n == 0 || id.n > CUSTOMER_BYTES_MAX || !utf8_valid(id.p, id.n)) {
        say(a, MHD_HTTP_BAD_REQUEST, "a customer id is 1 to 1024 bytes of UTF-8");
        return 0;
    }
    struct why why = {""};
    int k = q->http->o.customer(q->http->o.arg, id, &a->body, &why);
    a->type = json;
    if (k == 1)
        say(a, MHD_HTTP_NOT_FOUND, "no such customer");
    else if (k > 1)
        say(a, MHD_HTTP_SERVICE_UNAVAILABLE, *why.text ? why.text : "cannot tell now");
    return k < 0 ? k : 0;
}

static const struct {
    const char *path; // ends with '/': the rest is the request's
    int (*answer)(const struct request *q,
                  struct answer *a); // fills what differs from 200; 0, negative: no memory
} paths[] = {
    {"/metrics", answer_metrics},        {"/livez", answer_livez},
    {"/readyz", answer_readyz},          {"/v1/status", answer_status},
    {"/v1/customers/", answer_customer},
};
enum { PATHS = sizeof(paths) / sizeof(paths[0]) };

static bool path_matches(const char *path, const char *url)
{
    size_t n = strlen(path);
    return path[n - 1] == '/' ? strncmp(path, url, n) == 0 : strcmp(path, url) == 0;
}

// ---- libmicrohttpd

static enum MHD_Result send_answer(struct MHD_Connection *c, struct answer *a)
{
    if (a->body.failed) {
        a->body.failed = false;
        say(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(a->body.n, a->body.p, MHD_RESPMEM_MUST_FREE);
    if (!r)
        return MHD_NO; // closes the connection; the body is the caller's still
    a->body = (struct buffer){0};
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result k = MHD_queue_response(c, a->status, r);
    MHD_destroy_response(r);
    return k;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_n, void **state)
{
    (void)version;
    (void)upload;
    struct answer a = {.status = MHD_HTTP_OK, .type = plain};
    struct request q = {.http = arg};
    if (!*state) { // first call of a request: headers only; a body, which nothing here takes, comes later
        *state = arg;
        return MHD_YES;
    }
    if (*upload_n > 0) {
        *upload_n = 0;
        return MHD_YES;
    }
    const char *value;
    size_t n;
    q.verbose = MHD_lookup_connection_value_n(c, MHD_GET_ARGUMENT_KIND, "verbose", 7, &value, &n) == MHD_YES;
    int row = 0, k = 0;
    while (row < PATHS && !path_matches(paths[row].path, url))
        row++;
    if (row == PATHS) {
        say(&a, MHD_HTTP_NOT_FOUND, "nothing here; there are /metrics /livez /readyz /v1/status /v1/customers/{id}");
    } else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        say(&a, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    } else {
        q.rest = url + strlen(paths[row].path);
        k = paths[row].answer(&q, &a);
    }
    a.body.failed |= k < 0;
    enum MHD_Result sent = send_answer(c, &a);
    buffer_clear(&a.body);
    return sent;
}

// ---- listening

static int wrong(struct why *why, const struct http_options *o, const char *what, const char *reason)
{
    snprintf(why->text, sizeof(why->text), "cannot %s %s:%s: %s; change http.listen, or set it to null", what, o->host,
             o->port, reason);
    return 1;
}

static int listen_on(const struct http_options *o, int *ret_fd, struct why *ret_why)
{
    struct addrinfo *list = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int k = getaddrinfo(*o->host ? o->host : NULL, o->port, &hints, &list);
    if (k != 0)
        return wrong(ret_why, o, "resolve", gai_strerror(k));
    int fd = -1, error = 0;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        const int on = 1;
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        if (fd < 0) {
            error = errno;
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                   sizeof(on)); // a restart need not wait for old connections
        if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, CONNECTIONS_MAX) == 0)
            break;
        error = errno;
        close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return wrong(ret_why, o, "listen on", strerror(error));
    *ret_fd = fd;
    return 0;
}

int http_start(const struct http_options *o, struct http **ret, struct why *ret_why)
{
    struct http *h = calloc(1, sizeof(*h));
    if (!h)
        return ERR_NOMEM;
    h->o = *o;
    int k = listen_on(o, &h->fd, ret_why);
    if (k != 0) {
        free(h);
        return k;
    }
    h->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, on_request, h,
                                 MHD_OPTION_LISTEN_SOCKET, h->fd, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES_MAX, MHD_OPTION_END);
    if (!h->daemon) {
        close(h->fd);
        free(h);
        return wrong(ret_why, o, "serve", strerror(errno));
    }
    *ret = h;
    return 0;
}

int http_port(const struct http *h)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof(a);
    if (getsockname(h->fd, (struct sockaddr *)&a, &n) != 0)
        return -1;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

struct http *http_stop(struct http *h)
{
    if (!h)
        return NULL;
    MHD_stop_daemon(h->daemon); // closes the socket, too
    free(h);
    return NULL;
}
