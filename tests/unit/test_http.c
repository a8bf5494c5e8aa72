// The HTTP interface over a real socket on the loopback: each row a request and what must come back.
#include "http.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

static struct status_board *board;
static struct counters counters;
static struct http *http;

static int customer(void *arg, struct span id, struct buffer *ret_body, struct why *ret_why)
{
    ck_assert_ptr_eq(arg, &counters);
    if (id.n == 4 && memcmp(id.p, "none", 4) == 0)
        return 1;
    if (id.n == 4 && memcmp(id.p, "away", 4) == 0) {
        snprintf(ret_why->text, sizeof(ret_why->text), "Redis: timed out");
        return 2;
    }
    buffer_printf(ret_body, "{\"customer\":\"%.*s\"}", (int)id.n, id.p);
    return 0;
}

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void publish(bool redis)
{
    const struct status_stat stats[] = {{"life:stage:active", NULL, 3}};
    const struct status_part parts[] = {
        {.topic = "clicks",
         .partition = 1,
         .state = PART_HALTED,
         .reason = "events are gone",
         .offset = 5,
         .end = 8,
         .clock = 1767608430123,
         .owner = "abc",
         .n = 4,
         .customers = 3,
         .stats = stats,
         .nstats = 1},
        {.topic = "clicks", .partition = 0, .state = PART_LIVE, .end = -1, .clock = INT64_MIN},
    };
    const struct status_worker w = {
        .kafka = true, .redis = redis, .trouble = redis ? "" : "Redis: refused", .parts = parts, .nparts = 2};
    ck_assert_int_eq(status_publish(board, &w), 0);
}

static void setup(void)
{
    static const struct counters *const sets[] = {&counters};
    board = status_board_new("shop", "web-7", 1, 0);
    struct http_options o = {.host = "127.0.0.1",
                             .port = "0",
                             .board = board,
                             .counters = sets,
                             .ncounters = 1,
                             .stalled_ms = 60000,
                             .customer = customer,
                             .arg = &counters};
    struct why why;
    ck_assert_int_eq(http_start(&o, &http, &why), 0);
    status_progress(board, 0, mono_ms());
    publish(true);
}

static void teardown(void)
{
    http = http_stop(http);
    board = status_board_free(board);
}

// The whole answer to a request, with a NUL; the caller's.
static char *ask(const char *request)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_port(http)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    ck_assert_int_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    struct buffer b = {0};
    for (ssize_t n = 1; n > 0;) {
        char *at = buffer_reserve(&b, 4097);
        ck_assert_ptr_nonnull(at);
        n = read(fd, at, 4096);
        b.n += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    buffer_byte(&b, '\0');
    return b.p;
}

#define END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static const struct {
    const char *request, *status, *type, *has; // has: somewhere in the answer
} rows[] = {
    {"GET /livez" END, "200", "text/plain; charset=utf-8", "\r\n\r\nlive\n"},
    {"GET /readyz" END, "200", "text/plain; charset=utf-8", "\r\n\r\nready\n"},
    {"GET /readyz?verbose" END, "200", "text/plain; charset=utf-8",
     "ready\n[+] workers: 1 of 1\n[+] kafka\n[+] redis\n[-] partition clicks/1: halted: events are gone\n"},
    {"GET /readyz?verbose=1" END, "200", "text/plain; charset=utf-8", "[+] kafka"},
    {"GET /metrics" END, "200", "text/plain; version=0.0.4; charset=utf-8",
     "\nengaged_partition_halted{topic=\"clicks\",partition=\"1\"} 1\n"},
    {"GET /v1/status" END, "200", "application/json",
     "{\"topic\":\"clicks\",\"partition\":1,\"worker\":0,\"owner\":\"abc\",\"state\":\"halted\",\"reason\":"
     "\"events are "
     "gone\",\"offset\":5,\"end\":8,\"lag\":3,\"clock\":\"2026-01-05T10:20:30.123Z\",\"flushes\":4,"
     "\"customers\":3,"
     "\"stats\":{\"life:stage:active\":3}}"},
    {"GET /v1/customers/c-1" END, "200", "application/json", "{\"customer\":\"c-1\"}"},
    {"GET /v1/customers/a%2Fb%20c" END, "200", "application/json", "{\"customer\":\"a/b c\"}"},
    {"GET /v1/customers/none" END, "404", "text/plain; charset=utf-8", "no such customer\n"},
    {"GET /v1/customers/away" END, "503", "text/plain; charset=utf-8", "Redis: timed out\n"},
    {"GET /v1/customers/" END, "400", "text/plain; charset=utf-8", "1 to 1024 bytes"},
    {"GET /v1/customers/%ff" END, "400", "text/plain; charset=utf-8", "1 to 1024 bytes"},
    {"GET /" END, "404", "text/plain; charset=utf-8", "/metrics"},
    {"GET /metrics/" END, "404", "text/plain; charset=utf-8", "/metrics"},
    {"GET /v1/customers" END, "404", "text/plain; charset=utf-8", "/metrics"},
    {"HEAD /livez" END, "200", "text/plain; charset=utf-8", "Content-Length: 5\r\n"},
    {"DELETE /livez" END, "405", "text/plain; charset=utf-8", "Allow: GET, HEAD\r\n"},
    {"POST /v1/customers/c-1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", "405",
     "text/plain; charset=utf-8", "Allow: GET, HEAD\r\n"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

START_TEST(test_request)
{
    char *answer = ask(rows[_i].request), type[128];
    snprintf(type, sizeof(type), "\r\nContent-Type: %s\r\n", rows[_i].type);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 ", 9) == 0 && strncmp(answer + 9, rows[_i].status, 3) == 0, "%s", answer);
    ck_assert_msg(strstr(answer, type) != NULL, "no %s in %s", type, answer);
    ck_assert_msg(strstr(answer, rows[_i].has) != NULL, "no %s in %s", rows[_i].has, answer);
    ck_assert_msg(strstr(answer, "\r\nCache-Control: no-store\r\n") != NULL, "%s", answer);
    free(answer);
}
END_TEST

START_TEST(test_status_is_json)
{
    char *answer = ask("GET /v1/status" END), *body = strstr(answer, "\r\n\r\n");
    ck_assert_ptr_nonnull(body);
    yyjson_doc *doc = yyjson_read(body + 4, strlen(body + 4), 0);
    ck_assert_ptr_nonnull(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    ck_assert_uint_eq(yyjson_arr_size(yyjson_obj_get(root, "partitions")), 2);
    ck_assert_int_eq(yyjson_get_int(yyjson_obj_get(yyjson_obj_get(root, "populations"), "life:stage:active")), 3);
    ck_assert(yyjson_is_null(yyjson_obj_get(yyjson_arr_get_first(yyjson_obj_get(root, "partitions")), "lag")));
    yyjson_doc_free(doc);
    free(answer);
}
END_TEST

// An id that does not fit a request is refused, and the server lives on.
START_TEST(test_too_long)
{
    static char request[40000];
    int n = snprintf(request, sizeof(request), "GET /v1/customers/");
    memset(request + n, 'x', 1025);
    strcpy(request + n + 1025, END);
    char *answer = ask(request);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 400", 12) == 0, "%s", answer);
    free(answer);
    memset(request + n, 'x', 30000);
    strcpy(request + n + 30000, END);
    free(ask(request));
    answer = ask("GET /livez" END);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 200", 12) == 0, "%s", answer);
    free(answer);
}
END_TEST

START_TEST(test_unready_is_live)
{
    publish(false);
    char *answer = ask("GET /readyz?verbose" END);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 503", 12) == 0, "%s", answer);
    ck_assert_msg(strstr(answer, "not ready\n[+] workers: 1 of 1\n[+] kafka\n[-] redis: Redis: refused\n"), "%s",
                  answer);
    free(answer);
    answer = ask("GET /livez" END);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 200", 12) == 0, "%s", answer);
    free(answer);
}
END_TEST

START_TEST(test_stalled)
{
    status_progress(board, 0, mono_ms() - 60001);
    char *answer = ask("GET /livez" END);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 503", 12) == 0, "%s", answer);
    ck_assert_msg(strstr(answer, "worker 0 has made no progress for 60000 ms\n"), "%s", answer);
    free(answer);
}
END_TEST

START_TEST(test_port_taken)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", http_port(http));
    struct http_options o = {.host = "127.0.0.1", .port = port, .board = board};
    struct http *second = NULL;
    struct why why;
    ck_assert_int_eq(http_start(&o, &second, &why), 1);
    ck_assert_ptr_null(second);
    ck_assert_msg(strstr(why.text, "Address already in use") && strstr(why.text, port), "%s", why.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *t = tcase_create("requests");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_request, 0, ROWS);
    tcase_add_test(t, test_status_is_json);
    tcase_add_test(t, test_too_long);
    tcase_add_test(t, test_unready_is_live);
    tcase_add_test(t, test_stalled);
    tcase_add_test(t, test_port_taken);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
