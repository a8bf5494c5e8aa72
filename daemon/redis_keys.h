// The names of what a partition keeps in Redis. All its keys carry the hash tag {app:topic:partition}, so
// that they lie in one slot of a cluster and one script can write them all:
//   TAG:cursor   TAG:b:MODEL:BUCKET   TAG:due (members MODEL:BUCKET)   TAG:stat
// A bucket's fields are customer ids. A UUID in canonical lower case is stored as a NUL and its 16 bytes: no
// other id begins with a NUL, and 20 bytes a customer are saved.
#pragma once
#include "ports.h"
#include "redis_resp.h"

enum { UUID_TEXT_BYTES = 36, UUID_PACKED_BYTES = 17 };

// The hash tag of a partition, braces included; the caller frees it. NULL: no memory.
char *redis_tag(const char *app, const struct part_key *p);
// Puts the key TAG + suffix (":cursor") as an argument.
void redis_put_key(struct resp *r, struct span tag, const char *suffix);
// Puts the key of a bucket as an argument.
void redis_put_bucket(struct resp *r, struct span tag, const char *model, uint64_t bucket);
// Puts MODEL:BUCKET as an argument.
void redis_put_member(struct resp *r, const char *model, uint64_t bucket);
// Takes MODEL:BUCKET apart. 0; 1: no such model among the names, or nothing of the kind.
int redis_read_member(struct span member, const char *const *models, int nmodels, int16_t *ret_model,
                      uint64_t *ret_bucket);

// A customer id as a field; the result points to the id or into room.
struct span redis_pack_id(struct span id, char room[static UUID_PACKED_BYTES]);
// Whether the field is a packed UUID, and so needs room when unpacked.
bool redis_is_packed(struct span field);
void redis_unpack_id(struct span field, char room[static UUID_TEXT_BYTES]); // a packed one
