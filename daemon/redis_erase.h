// Taking a partition's keys away, all of them: before its states are built anew.
#pragma once
#include "redis_store.h"

// Deletes the cursor first, so that whoever owns the partition can write nothing any more, and then
// everything else under its hash tag; Redis is never held for long, but looks at all keys that it has.
// *ret_keys: how many there were. PORT_OK, PORT_AWAY (some may be left: call again), PORT_REFUSED or
// negative.
int redis_erase(struct redis_store *s, const struct part_key *p, uint64_t *ret_keys, struct why *ret_why);
