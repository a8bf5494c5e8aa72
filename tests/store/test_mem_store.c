// The twin's own faults and misfortunes, which other tests rely on.
#include <stdlib.h>

#include "world.h"

START_TEST(test_faults)
{
    struct world w;
    world_open(&w, WORLD_MEMORY, NULL);
    struct cursor c = world_begin(&w, w.a, &ALICE);
    struct flush_write put = {.customer = SPAN("c"), .state = SPAN("s")};
    mem_client_fail(w.a, MEM_FLUSH, 2, PORT_UNKNOWN, _i);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &put, 1), 0);
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("c")), SPAN("s"), "the state");
    struct why why = {0};
    struct flush f = {.cursor = &c};
    ck_assert_int_eq(w.ops->flush(w.a, &P, &ALICE, &f, &why), PORT_UNKNOWN);
    ck_assert_uint_eq(mem_store_cursor(w.mem, &P).n, c.n + (uint64_t)_i);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &put, 1), _i ? PORT_FENCED : 0);

    struct mem_store *before = mem_store_new();
    mem_store_restore(before, w.mem);
    c = world_claim(&w, w.a, &ALICE);
    put.state = SPAN("lost");
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &put, 1), 0);
    mem_store_restore(w.mem, before);
    ck_assert_int_eq(world_write(&w, w.a, &ALICE, &c, &put, 1), PORT_FENCED);
    c = world_claim(&w, w.a, &ALICE);
    check_span(world_read(&w, w.a, &ALICE, &c, 0, 0, SPAN("c")), SPAN("s"), "the state");
    mem_store_free(before);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mem_store");
    TCase *t = tcase_create("faults");
    tcase_add_loop_test(t, test_faults, 0, 2); // before, after
    suite_add_tcase(s, t);
    return world_run(s);
}
