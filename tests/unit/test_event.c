// Records and the events that they are. An event is compared as one line of text; the rows in JSON are read a
// second time as msgpack, written by msgpack-c, and must give the same line: the same fact is the same event
// however it was written.
#define _GNU_SOURCE // open_memstream
#include "event_line.h"

#define TIMESTAMP INT64_C(1767608431000) // the records' own: 2026-01-05T10:20:31Z

#define AT "2026-01-05T10:20:30.123Z"
#define PLAIN(more) "{'customer':'c-1','type':'buy','time':'" AT "'" more "}"
#define LINE "c-1 buy " AT
#define SEGMENT(more) "{'timestamp':'" AT "'," more "}"
#define CLOUD(more) "{'subject':'c-1','type':'buy','time':'" AT "'" more "}"
#define SNOW(more) "{'derived_tstamp':'2026-01-05 10:20:30.123'," more "}"

static const struct {
    enum event_preset preset;
    const char *json, *line;
} records[] = {
    {PRESET_PLAIN, PLAIN(",'id':'e-9','value':25.00,'properties':{'plan':'vip'}"),
     LINE " id=e-9 value=25.0 plan='vip"},
    {PRESET_PLAIN, PLAIN(""), LINE},
    {PRESET_PLAIN, " \n" PLAIN("") "\r\n", LINE},
    {PRESET_PLAIN, PLAIN(",'customer':'c-2'"), LINE}, // the first of two alike
    {PRESET_PLAIN, PLAIN(",'nested':{'customer':'c-2'},'list':[[],{},[{}]]"), LINE},

    // Who and what: texts, and whole numbers as written.
    {PRESET_PLAIN, "{'customer':12345,'type':7,'time':'" AT "','id':-3}", "12345 7 " AT " id=-3"},
    {PRESET_PLAIN, "{'customer':18446744073709551615,'type':'buy','time':0}",
     "18446744073709551615 buy 1970-01-01T00:00:00.000Z"},
    {PRESET_PLAIN, "{'customer':'\\u00e9\\ud83d\\ude00','type':'a \\\\b','time':0}",
     "\xc3\xa9\xf0\x9f\x98\x80 a \\b 1970-01-01T00:00:00.000Z"},
    {PRESET_PLAIN, "{'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':null,'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':'','type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':'a\\u0000b','type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':true,'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':1.5,'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':5.0,'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':1e30,'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':{'id':1},'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':['c-1'],'type':'buy','time':0}", "bad: customer"},
    {PRESET_PLAIN, "{'customer':'c-1','time':0}", "bad: type"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'','time':0}", "bad: type"},
    {PRESET_PLAIN, "{'customer':'c-1','type':false,'time':0}", "bad: type"},
    {PRESET_PLAIN, PLAIN(",'id':null"), LINE},
    {PRESET_PLAIN, PLAIN(",'id':''"), LINE},
    {PRESET_PLAIN, PLAIN(",'id':true"), LINE},
    {PRESET_PLAIN, PLAIN(",'id':1.5"), LINE},
    {PRESET_PLAIN, PLAIN(",'id':{}"), LINE},

    // When.
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':1767608430123}", LINE},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':1.767608430123e12}", LINE},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':1767608430123.0}", LINE},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':17676084301230e-1}", LINE},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':1e12}", "c-1 buy 2001-09-09T01:46:40.000Z"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':1e-1}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':1e99}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':'2026-01-05T12:20:30.123456+02:00'}", LINE},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':253402300799999}",
     "c-1 buy 9999-12-31T23:59:59.999Z"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':253402300800000}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':-1}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':1767608430123.5}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':'1767608430123'}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':'yesterday'}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':null}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy','time':true}", "bad: time"},
    {PRESET_PLAIN, "{'customer':'c-1','type':'buy'}", "bad: time"},

    // Value.
    {PRESET_PLAIN, PLAIN(",'value':0.0005"), LINE " value=0.001"},
    {PRESET_PLAIN, PLAIN(",'value':-1.0005"), LINE " value=-1.001"},
    {PRESET_PLAIN, PLAIN(",'value':1.0005"), LINE " value=1.001"}, // the double is below the half
    {PRESET_PLAIN, PLAIN(",'value':2.6785"), LINE " value=2.679"}, // likewise
    {PRESET_PLAIN, PLAIN(",'value':'-12.50'"), LINE " value=-12.5"},
    {PRESET_PLAIN, PLAIN(",'value':1e3"), LINE " value=1000.0"},
    {PRESET_PLAIN, PLAIN(",'value':1e-7"), LINE " value=0.0"},
    {PRESET_PLAIN, PLAIN(",'value':-0.0"), LINE " value=0.0"},
    {PRESET_PLAIN, PLAIN(",'value':123456789012.3455"), LINE " value=123456789012.346"},
    {PRESET_PLAIN, PLAIN(",'value':999999999999.999"), LINE " value=999999999999.999"},
    {PRESET_PLAIN, PLAIN(",'value':1000000000000"), LINE " no-value"},
    {PRESET_PLAIN, PLAIN(",'value':-1e300"), LINE " no-value"},
    {PRESET_PLAIN, PLAIN(",'value':'12 EUR'"), LINE " no-value"},
    {PRESET_PLAIN, PLAIN(",'value':''"), LINE " no-value"},
    {PRESET_PLAIN, PLAIN(",'value':true"), LINE " no-value"},
    {PRESET_PLAIN, PLAIN(",'value':{}"), LINE " no-value"},
    {PRESET_PLAIN, PLAIN(",'value':[5]"), LINE " no-value"},
    {PRESET_PLAIN, PLAIN(",'value':null"), LINE},

    // Properties that the map asks for: plan, paid, a/b.
    {PRESET_PLAIN, PLAIN(",'properties':{'plan':'','paid':true,'a/b':-0.5,'other':1}"),
     LINE " plan=' paid=true a/b=-0.5"},
    {PRESET_PLAIN, PLAIN(",'properties':{'paid':false,'plan':5}"), LINE " plan=5.0 paid=false"},
    {PRESET_PLAIN, PLAIN(",'properties':{'plan':null,'paid':[true],'a/b':{'plan':1}}"), LINE},
    {PRESET_PLAIN, PLAIN(",'properties':{'plan':1e12,'Plan':'x','a':{'b':1}}"), LINE},
    {PRESET_PLAIN, PLAIN(",'properties':['plan'],'plan':'vip'"), LINE},
    {PRESET_PLAIN, PLAIN(",'properties':'plan'"), LINE},

    // Segment's calls.
    {PRESET_SEGMENT,
     SEGMENT("'type':'track','event':'Order Completed','userId':'u','anonymousId':'a',"
             "'messageId':'m-1','properties':{'revenue':'9.5','total':7,'plan':'vip'}"),
     "u Order Completed " AT " id=m-1 value=9.5 plan='vip"},
    {PRESET_SEGMENT, SEGMENT("'type':'page','event':'x','userId':null,'anonymousId':'a'"),
     "a page " AT},
    {PRESET_SEGMENT, SEGMENT("'type':'group','event':'x','userId':'u'"), "u group " AT},
    {PRESET_SEGMENT, SEGMENT("'type':'identify','userId':'u','properties':{'revenue':null,'value':3}"),
     "u identify " AT " value=3.0"},
    {PRESET_SEGMENT, SEGMENT("'type':'page','userId':'','anonymousId':'a'"), "bad: customer"},
    {PRESET_SEGMENT, SEGMENT("'type':'track','userId':'u'"), "bad: type"},
    {PRESET_SEGMENT, SEGMENT("'type':'track','event':'','userId':'u'"), "bad: type"},
    {PRESET_SEGMENT, SEGMENT("'event':'x','userId':'u'"), "bad: type"},
    {PRESET_SEGMENT, SEGMENT("'type':'page','userId':'u','properties':{'revenue':'free','value':3}"),
     "u page " AT " no-value"},
    {PRESET_RUDDERSTACK, "{'type':'track','event':'x','userId':'u','originalTimestamp':'" AT "'}",
     "u x " AT},
    {PRESET_RUDDERSTACK, "{'type':'screen','userId':'u','properties':{'total':1}}", "bad: time"},

    {PRESET_CLOUDEVENTS, CLOUD(",'specversion':'1.0','id':'e','data':{'value':1.5,'plan':'vip'}"),
     LINE " id=e value=1.5 plan='vip"},
    {PRESET_CLOUDEVENTS, CLOUD(",'data':'text'"), LINE},
    {PRESET_CLOUDEVENTS, CLOUD(",'data_base64':'AA=='"), LINE},
    {PRESET_CLOUDEVENTS, "{'type':'buy','time':'" AT "'}", "bad: customer"},

    {PRESET_SNOWPLOW, SNOW("'user_id':'u','domain_userid':'d','event_name':'page_view',"
                           "'event_id':'e','tr_total':9.99,'plan':'vip'"),
     "u page_view " AT " id=e value=9.99 plan='vip"},
    {PRESET_SNOWPLOW, SNOW("'user_id':null,'domain_userid':'d','event_name':'event','se_value':2"),
     "d event " AT " value=2.0"},
    {PRESET_SNOWPLOW, "{'user_id':'u','event_name':'event'}", "bad: time"},

    // No event at all.
    {PRESET_PLAIN, "{}", "bad: customer"},
    {PRESET_PLAIN, "", "bad: empty"},
    {PRESET_PLAIN, " ", "bad: syntax"},
    {PRESET_PLAIN, "{", "bad: syntax"},
    {PRESET_PLAIN, PLAIN("") "x", "bad: syntax"},
    {PRESET_PLAIN, PLAIN("") PLAIN(""), "bad: syntax"},
    {PRESET_PLAIN, PLAIN(","), "bad: syntax"},
    {PRESET_PLAIN, PLAIN(",'value':NaN"), "bad: syntax"},
    {PRESET_PLAIN, PLAIN(",'value':Infinity"), "bad: syntax"},
    {PRESET_PLAIN, PLAIN(",'value':01"), "bad: syntax"},
    {PRESET_PLAIN, PLAIN(",'x':'\xff'"), "bad: syntax"},
    {PRESET_PLAIN, PLAIN(",'x':'\\ud800'"), "bad: syntax"},
    {PRESET_PLAIN, "\xef\xbb\xbf" PLAIN(""), "bad: syntax"},
    {PRESET_PLAIN, "c-1,buy," AT, "bad: syntax"},
};

START_TEST(test_record)
{
    struct field_map m;
    map_for(&m, records[_i].preset);
    char text[JSON_BYTES];
    struct record r = {.timestamp = TIMESTAMP, .value = json(records[_i].json, text)};
    check_record(&m, &r, records[_i].line);
    check_packed(&m, &r, records[_i].line);
    field_map_clear(&m);
}
END_TEST

enum { AUTO = FORMAT_AUTO };

// "name=value" for each header, the rest of the record, and what it is.
static const struct {
    enum event_preset preset;
    int format; // AUTO, …
    const char *headers[6];
    const char *value, *line;
} envelopes[] = {
    {PRESET_PLAIN, AUTO, {"content-type=application/json"}, PLAIN(""), LINE},
    {PRESET_PLAIN, AUTO, {"x=y", "Content-Type=Application/JSON ; charset=utf-8"}, PLAIN(""), LINE},
    {PRESET_PLAIN, AUTO, {"content-type=application/vnd.shop.order+json"}, PLAIN(""), LINE},
    {PRESET_PLAIN, AUTO, {"content-type=text/plain"}, PLAIN(""), LINE},
    {PRESET_PLAIN, AUTO, {"content-type="}, PLAIN(""), LINE},
    {PRESET_PLAIN, AUTO, {"content-type=application/msgpack"}, PLAIN(""), "bad: syntax"},
    {PRESET_PLAIN, AUTO, {"content-type=application/x-msgpack"}, "\x80", "bad: customer"},
    {PRESET_PLAIN, AUTO, {"content-type=application/json"}, "\x80", "bad: syntax"},
    {PRESET_PLAIN, FORMAT_JSON, {"content-type=application/msgpack"}, PLAIN(""), LINE},
    {PRESET_PLAIN, FORMAT_MSGPACK, {"content-type=application/json"}, PLAIN(""), "bad: syntax"},
    {PRESET_PLAIN, AUTO, {"ce_subject=c-2"}, PLAIN(""), LINE}, // no matter to other presets
    {PRESET_CLOUDEVENTS, AUTO, {"content-type=application/cloudevents+json", "ce_subject=c-2"}, CLOUD(""),
     LINE},
    {PRESET_CLOUDEVENTS, AUTO, {"content-type=application/json"}, CLOUD(""), LINE},
    {PRESET_CLOUDEVENTS, AUTO,
     {"ce_specversion=1.0", "ce_subject=c-1", "ce_type=buy", "ce_time=" AT, "ce_id=e",
      "content-type=application/json"},
     "{'value':2,'plan':'vip','data':{'value':3}}", LINE " id=e value=2.0 plan='vip"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_type=buy", "ce_time=" AT}, "{'value':2}",
     LINE " value=2.0"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_type=buy", "ce_time=" AT}, "\x81\xa5value\x02",
     LINE " value=2.0"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_type=buy", "ce_time=" AT}, "", LINE},
    {PRESET_CLOUDEVENTS, AUTO,
     {"ce_subject=c-1", "ce_type=buy", "ce_time=" AT, "content-type=image/png"}, "\x89PNG", LINE},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_type=buy", "ce_time=" AT}, "{'value'", "bad: syntax"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_type=buy", "ce_time=" AT}, "text", "bad: syntax"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_type=buy", "ce_time=" AT}, CLOUD(""), "bad: customer"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=\xff", "ce_type=buy", "ce_time=" AT}, "{}", "bad: customer"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_time=" AT}, "{}", "bad: type"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_type=buy"}, "{}", "bad: time"},
    {PRESET_CLOUDEVENTS, AUTO, {"ce_subject=c-1", "ce_type=buy", "ce_time=noon"}, "{}", "bad: time"},
    {PRESET_CLOUDEVENTS, AUTO, {NULL}, "", "bad: empty"},
};

START_TEST(test_envelope)
{
    struct field_map m;
    map_for(&m, envelopes[_i].preset);
    m.format = (enum event_format)envelopes[_i].format;
    struct record_header headers[6];
    char text[JSON_BYTES];
    struct record r = {.timestamp = TIMESTAMP, .value = json(envelopes[_i].value, text), .headers = headers};
    for (; r.nheaders < 6 && envelopes[_i].headers[r.nheaders]; r.nheaders++) {
        const char *name = envelopes[_i].headers[r.nheaders], *value = strchr(name, '=') + 1;
        headers[r.nheaders].name = (struct span){name, (size_t)(value - name) - 1};
        headers[r.nheaders].value = span(value);
    }
    check_record(&m, &r, envelopes[_i].line);
    field_map_clear(&m);
}
END_TEST

START_TEST(test_header_without_value)
{
    struct field_map m;
    map_for(&m, PRESET_CLOUDEVENTS);
    const struct record_header headers[] = {
        {span("content-type"), span(NULL)}, {span("ce_subject"), span(NULL)}, {span("ce_type"), span("buy")},
    };
    struct record r = {.value = span("{}"), .headers = headers, .nheaders = 3};
    check_record(&m, &r, "bad: customer");
    field_map_clear(&m);
}
END_TEST

static const struct {
    const char *customer, *key, *line;
} keys[] = {
    {"'c-1'", "c-1", LINE}, {"'c-1'", "c-2", "bad: key"}, {"'c-1'", "c-11", "bad: key"},
    {"'c-1'", "c-", "bad: key"}, {"'c-1'", "", "bad: key"}, {"'c-1'", NULL, "bad: key"},
    {"17", "17", "17 buy " AT}, {"17", "18", "bad: key"}, {"'\\u0063-1'", "c-1", LINE},
    {"null", NULL, "bad: customer"},
};

START_TEST(test_key)
{
    struct field_map m;
    map_for(&m, PRESET_PLAIN);
    m.key_is_customer = true;
    char line[JSON_BYTES], text[JSON_BYTES];
    snprintf(line, sizeof(line), "{'customer':%s,'type':'buy','time':'%s'}", keys[_i].customer, AT);
    struct record r = {.value = json(line, text), .key = span(keys[_i].key)};
    check_record(&m, &r, keys[_i].line);
    check_packed(&m, &r, keys[_i].line);
    field_map_clear(&m);
}
END_TEST

START_TEST(test_sizes)
{
    struct field_map m;
    map_for(&m, PRESET_PLAIN);
    for (int over = 0; over <= 1; over++) {
        char text[CUSTOMER_BYTES_MAX + 64], name[CUSTOMER_BYTES_MAX + 2], want[CUSTOMER_BYTES_MAX + 64];
        memset(name, 'c', sizeof(name));
        name[CUSTOMER_BYTES_MAX + over] = '\0';
        snprintf(text, sizeof(text), "{\"customer\":\"%s\",\"type\":\"x\",\"time\":0}", name);
        snprintf(want, sizeof(want), "%s x 1970-01-01T00:00:00.000Z", name);
        check_record(&m, &(struct record){.value = span(text)}, over ? "bad: customer" : want);
    }
    size_t n = EVENT_BYTES_MAX + 1;
    char *large = malloc(n);
    memset(large, ' ', n);
    memcpy(large, "{}", 2);
    check_record(&m, &(struct record){.value = {large, n - 1}}, "bad: customer");
    check_record(&m, &(struct record){.value = {large, n}}, "bad: too-large");
    free(large);
    check_record(&m, &(struct record){.value = {NULL, 0}}, "bad: empty");
    field_map_clear(&m);
}
END_TEST

// One parser reads record after record: nothing of one may show in the next.
START_TEST(test_reuse)
{
    struct field_map m;
    map_for(&m, PRESET_PLAIN);
    struct event_parser *p = event_parser_new();
    struct event e;
    enum bad_reason reason;
    const char *detail;
    for (int i = 0; i < 100; i++) {
        char text[JSON_BYTES], full[JSON_BYTES];
        snprintf(text, sizeof(text), PLAIN(",'id':%d,'value':%d,'properties':{'plan':%d}"), i, i, i);
        struct record r = {.value = json(text, full)};
        ck_assert_int_eq(event_parse(p, &m, &r, &e, &reason, &detail), 0);
        ck_assert_int_eq(e.value_milli, i * 1000);
        ck_assert(e.has_value && e.props[0].kind == SCALAR_NUMBER && e.id.p);
        r.value = json(i % 2 ? "{" : PLAIN(""), text);
        int k = event_parse(p, &m, &r, &e, &reason, &detail);
        ck_assert_int_eq(k, i % 2);
        ck_assert(i % 2 || (!e.has_value && !e.bad_value && e.props[0].kind == SCALAR_NONE && !e.id.p));
    }
    // Its memory follows the records' sizes, up and down.
    for (size_t i = 0; i < 12; i++) {
        size_t n = (size_t)1 << (i % 2 ? 6 + i / 2 * 3 : 20 - i);
        char *large = malloc(n);
        memset(large, '[', n);
        memset(large + n / 2, ']', n - n / 2);
        memcpy(large, "{\"x\":", 5);
        memcpy(large + n - 5, "    }", 5);
        struct record r = {.value = {large, n}};
        ck_assert_int_eq(event_parse(p, &m, &r, &e, &reason, &detail), 1);
        ck_assert_msg(reason == BAD_CUSTOMER, "%zu bytes: %s", n, detail);
        free(large);
    }
    ck_assert_ptr_null(event_parser_free(p));
    ck_assert_ptr_null(event_parser_free(NULL));
    field_map_clear(&m);
}
END_TEST

START_TEST(test_reason_names)
{
    static const char *const names[BAD_REASONS] = {
        "none", "empty", "syntax", "customer", "type", "time", "future", "key", "too-large",
    };
    for (int i = 0; i < BAD_REASONS; i++)
        ck_assert_str_eq(bad_reason_name((enum bad_reason)i), names[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event");
    TCase *t = tcase_create("records");
    tcase_add_loop_test(t, test_record, 0, ROWS(records));
    tcase_add_loop_test(t, test_envelope, 0, ROWS(envelopes));
    tcase_add_test(t, test_header_without_value);
    tcase_add_loop_test(t, test_key, 0, ROWS(keys));
    tcase_add_test(t, test_sizes);
    tcase_add_test(t, test_reuse);
    tcase_add_test(t, test_reason_names);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
