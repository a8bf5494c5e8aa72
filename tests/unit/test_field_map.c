// Field maps written by hand: which pointers are any, what they find, and which maps are described alike.
#define _GNU_SOURCE // open_memstream
#include "event_line.h"

static const struct {
    const char *pointer;
    int steps;             // -1: no pointer
    const char *step[3];
    int index[3];
} pointers[] = {
    {"", 0, {0}, {0}},
    {"/", 1, {""}, {-1}},
    {"/a", 1, {"a"}, {-1}},
    {"/a/b c/d", 3, {"a", "b c", "d"}, {-1, -1, -1}},
    {"/a~1b/~0/~01", 3, {"a/b", "~", "~1"}, {-1, -1, -1}},
    {"/a//", 3, {"a", "", ""}, {-1, -1, -1}},
    {"/0/10/999999999", 3, {"0", "10", "999999999"}, {0, 10, 999999999}},
    {"/01/1000000000/-1", 3, {"01", "1000000000", "-1"}, {-1, -1, -1}},
    {"/1a/\xc3\xa9/-", 3, {"1a", "\xc3\xa9", "-"}, {-1, -1, -1}},
    {"a", -1, {0}, {0}},
    {"#/a", -1, {0}, {0}},
    {"/a~", -1, {0}, {0}},
    {"/a~2b", -1, {0}, {0}},
    {"/~~0", -1, {0}, {0}},
    {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", -1, {0}, {0}},
};

START_TEST(test_pointer)
{
    struct field_map m = {0};
    int k = field_map_path(&m, &m.value, pointers[_i].pointer);
    ck_assert_int_eq(k, pointers[_i].steps < 0);
    ck_assert_int_eq(m.value.n, pointers[_i].steps >= 0);
    for (int s = 0; s < pointers[_i].steps; s++) {
        struct span step = m.value.v[0].steps[s];
        ck_assert_uint_eq(step.n, strlen(pointers[_i].step[s]));
        ck_assert_mem_eq(step.p, pointers[_i].step[s], step.n);
        ck_assert_int_eq(m.value.v[0].index[s], pointers[_i].index[s]);
    }
    if (k == 0)
        ck_assert_int_eq(m.value.v[0].n, pointers[_i].steps);
    field_map_clear(&m);
    ck_assert(!m.text && m.value.n == 0);
}
END_TEST

START_TEST(test_bounds)
{
    struct field_map m = {0};
    for (int i = 0; i < PATHS_MAX; i++)
        ck_assert_int_eq(field_map_path(&m, &m.customer, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"), 0);
    ck_assert_int_eq(field_map_path(&m, &m.customer, "/a"), 1);
    ck_assert_int_eq(field_map_path(&m, &m.type, "/a"), 0);
    ck_assert_mem_eq(m.customer.v[0].steps[15].p, "16", 2); // unmoved by what came after

    char name[16];
    for (int i = 0; i < PROPS_MAX; i++)
        ck_assert_int_eq(field_map_prop(&m, name, (size_t)sprintf(name, "p%d", i)), i);
    ck_assert_int_eq(field_map_prop(&m, "p64", 3), -1);
    ck_assert_int_eq(field_map_prop(&m, "p", 1), -1);
    ck_assert_int_eq(field_map_prop(&m, "p63", 3), 63);
    ck_assert_int_eq(field_map_prop(&m, "p12 and more", 3), 12);
    field_map_clear(&m);
}
END_TEST

static void add(struct field_map *m, struct paths *to, const char *pointers)
{
    char text[128];
    strcpy(text, pointers);
    for (char *p = strtok(text, " "); p; p = strtok(NULL, " "))
        ck_assert_int_eq(field_map_path(m, to, p), 0);
}

#define T0 " 1970-01-01T00:00:00.000Z"

// Fields as pointers separated by blanks.
static const struct {
    const char *customer, *type, *time, *value, *properties, *json, *line;
} maps[] = {
    {"/u/0/id", "/t", "/at", "", "", "{'u':[{'id':'c'}],'t':'x','at':0}", "c x" T0},
    {"/u/1", "/t", "/at", "", "", "{'u':{'1':'c'},'t':'x','at':0}", "c x" T0}, // a map's key
    {"/u/id /u", "/t", "/at", "", "", "{'u':'c','t':'x','at':0}", "c x" T0},
    {"/u/2 /v", "/t", "/at", "", "", "{'u':[1,2],'v':'c','t':'x','at':0}", "c x" T0},
    {"/u/a", "/t", "/at", "", "", "{'u':[1,2],'t':'x','at':0}", "bad: customer"},
    {"/ /a~1b", "/m~0n", "/at", "", "", "{'':null,'a/b':'c','m~n':'x','at':0}", "c x" T0},
    {"/u", "/t", "/at", "/v /w", "", "{'u':'c','t':'x','at':0,'v':null,'w':3}", "c x" T0 " value=3.0"},
    {"/u", "/t", "/at", "/v /w", "", "{'u':'c','t':'x','at':0,'v':[],'w':3}", "c x" T0 " no-value"},
    {"/u", "/t", "", "", "", "{'u':'c','t':'x'}", "c x 2026-01-05T10:20:31.000Z"},
    {"/u", "/t", "/at", "", "", "{'u':'c','t':'x'}", "bad: time"},
    {"/u", "/t", "/at", "", "/p /q", "{'u':'c','t':'x','at':0,'q':{'plan':true}}",
     "c x" T0 " plan=true"},
    {"/u", "/t", "/at", "", "/p /q", "{'u':'c','t':'x','at':0,'p':{},'q':{'plan':true}}", "c x" T0},
    {"/0/u", "/0/t", "/1", "/2/0", "", "[{'u':'c','t':'x'},0,[7]]", "c x" T0 " value=7.0"},
    {"", "/t", "/at", "", "", "{'t':'x','at':0}", "bad: customer"},
};

START_TEST(test_map)
{
    struct field_map m = {.format = FORMAT_JSON};
    add(&m, &m.customer, maps[_i].customer);
    add(&m, &m.type, maps[_i].type);
    add(&m, &m.time, maps[_i].time);
    add(&m, &m.value, maps[_i].value);
    add(&m, &m.properties, maps[_i].properties);
    ck_assert_int_eq(field_map_prop(&m, "plan", 4), 0);
    char text[JSON_BYTES];
    struct record r = {.timestamp = INT64_C(1767608431000), .value = json(maps[_i].json, text)};
    check_record(&m, &r, maps[_i].line);
    m.format = FORMAT_MSGPACK;
    check_packed(&m, &r, maps[_i].line);
    field_map_clear(&m);
}
END_TEST

START_TEST(test_record_timestamp)
{
    struct field_map m = {0};
    add(&m, &m.customer, "/u");
    add(&m, &m.type, "/u");
    struct record r = {.timestamp = 0, .value = span("{\"u\":\"c\"}")};
    check_record(&m, &r, "c c" T0);
    r.timestamp = TIME_MS_MAX;
    check_record(&m, &r, "c c 9999-12-31T23:59:59.999Z");
    r.timestamp++;
    check_record(&m, &r, "bad: time");
    r.timestamp = -1;
    check_record(&m, &r, "bad: time");
    field_map_clear(&m);
}
END_TEST

static char *describe_and_clear(struct field_map *m)
{
    char *text = field_map_describe(m);
    ck_assert_ptr_nonnull(text);
    field_map_clear(m);
    return text;
}

static char *describe_preset(enum event_preset preset)
{
    struct field_map m = {0};
    ck_assert_int_eq(field_map_preset(&m, preset), 0);
    return describe_and_clear(&m);
}

// Maps, each different from all others in what it reads, though some come close.
enum { VARIANTS = 16 };
static char *describe_variant(int i)
{
    static const char *const values[] = {"/v", "/v/w", "/v~1w", "/v /w", "/w /v", "/v~01:w", "", "/1:v", "/"};
    struct field_map m = {0};
    add(&m, &m.customer, "/u");
    if (i < ROWS(values))
        add(&m, &m.value, values[i]);
    else if (i == 9)
        m.format = FORMAT_JSON;
    else if (i == 10)
        m.format = FORMAT_MSGPACK;
    else if (i == 11)
        m.key_is_customer = true;
    else if (i == 12)
        field_map_prop(&m, "v", 1);
    else if (i == 13)
        field_map_prop(&m, "v 1:w", 5);
    else if (i == 14)
        field_map_prop(&m, "v", 1), field_map_prop(&m, "w", 1);
    else
        add(&m, &m.properties, "/v");
    return describe_and_clear(&m);
}

START_TEST(test_describe)
{
    char *one = describe_variant(_i);
    for (int i = 0; i < VARIANTS; i++) {
        char *other = describe_variant(i);
        ck_assert_msg((strcmp(one, other) == 0) == (i == _i), "%d and %d:\n%s\n%s", _i, i, one, other);
        free(other);
    }
    free(one);
}
END_TEST

START_TEST(test_describe_presets)
{
    struct field_map m = {0};
    add(&m, &m.customer, "/customer");
    add(&m, &m.type, "/type");
    add(&m, &m.time, "/time");
    add(&m, &m.id, "/id");
    add(&m, &m.value, "/value");
    add(&m, &m.properties, "/properties");
    char *fields = describe_and_clear(&m), *plain = describe_preset(PRESET_PLAIN);
    char *segment = describe_preset(PRESET_SEGMENT), *rudderstack = describe_preset(PRESET_RUDDERSTACK);
    char *cloud = describe_preset(PRESET_CLOUDEVENTS), *snow = describe_preset(PRESET_SNOWPLOW);
    ck_assert_str_eq(fields, plain);
    ck_assert_str_eq(segment, rudderstack);
    ck_assert_str_ne(plain, segment);
    ck_assert_str_ne(plain, cloud);
    ck_assert_str_ne(plain, snow);
    free(fields), free(plain), free(segment), free(rudderstack), free(cloud), free(snow);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("field_map");
    TCase *t = tcase_create("maps");
    tcase_add_loop_test(t, test_pointer, 0, ROWS(pointers));
    tcase_add_test(t, test_bounds);
    tcase_add_loop_test(t, test_map, 0, ROWS(maps));
    tcase_add_test(t, test_record_timestamp);
    tcase_add_loop_test(t, test_describe, 0, VARIANTS);
    tcase_add_test(t, test_describe_presets);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
