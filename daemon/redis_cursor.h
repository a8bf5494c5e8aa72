// A partition's cursor as the fields of its hash in Redis:
//   owner n offset clock start partitions format program tail    buckets:MODEL customers:MODEL for each model
// All but owner, program and tail are whole numbers; tail is "TOPIC=OFFSET" separated by blanks. Flushes add `sizes`,
// "DUES STATS@N": how many entries :due and :stat had after flush N.
#pragma once
#include <hiredis/hiredis.h>

#include "redis_resp.h"
#include "ports.h"

// How many arguments redis_put_cursor puts.
size_t redis_cursor_args(int nmodels);
// Puts fields and values of a cursor, with `n` in the place of its own. Models go by their names.
void redis_put_cursor(struct resp *r, const struct cursor *c, uint64_t n, const char *owner, const char *const *models,
                      int nmodels);
// Reads an answer to HGETALL that has fields; tails point into it (it is cut up in place), and so does
// *ret_owner, which may be NULL. Fields of other models are passed over. 0; 1: it is no cursor, *ret_why says
// which field.
int redis_read_cursor(redisReply *fields, const char *const *models, int nmodels, struct cursor *ret,
                      const char **ret_owner, struct why *ret_why);
