// Facts as numbers at an instant, comparisons of them, and when a comparison next changes by time alone.
#pragma once
#include "customer.h"

// Whether the expression holds for the customer at `now` (>= its clock). root NONE: true.
bool expr_holds(const struct model *m, int root, const struct customer *c, int64_t now);
// The earliest instant >= from at which the expression holds if no event comes; NEVER if there is none.
int64_t expr_holds_from(const struct model *m, int root, const struct customer *c, int64_t from);
// What a comparison compares, at `now`: ms of a duration, thousandths of anything else (what is smaller is cut off).
// False: there is no such fact yet, and the comparison is not true.
bool expr_fact(const struct model *m, const struct compare *k, const struct customer *c, int64_t now, int64_t *ret);
// The score at `now`, 0..100.
double score_at(const struct model *m, const struct customer *c, int64_t now);
// 2^x for x <= 0, the same digits on every machine (no libm). Relative error < 4e-16; 0 below 2^-1074.
double exp2_neg(double x);
// Events of the signal in (now - window, now], as far as the kept times reach.
int64_t recent_count(const struct model *m, int signal, const struct customer *c, int64_t after, int64_t upto);
