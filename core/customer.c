// Making, storing and restoring a customer. A stored state is one msgpack array of integers (and the score's double):
//   version, stage, ordinal, last, last-first, clock-last, clock-entered, flags, spent, ever,
//   [energy, last-energy_at,] slots…
// Times are distances from the latest event, so that they are short; what is still as on the first day at the end of
// the array is left out. flags: bit 0 objective_done, the rest moves in silence.
#include "customer.h"
#include "pack.h"
#include <assert.h>

enum { HEAD_ITEMS = 10, SCORE_ITEMS = 2, ARRAY_HEADER_BYTES = 3 };

size_t customer_bytes(const struct model *m)
{
    return sizeof(struct customer) + (size_t)m->nslots * sizeof(int64_t);
}

size_t customer_state_max(const struct model *m)
{
    return ARRAY_HEADER_BYTES + (HEAD_ITEMS + SCORE_ITEMS + (size_t)m->nslots) * PACK_MAX;
}

static int64_t slot_fresh(uint8_t kind)
{
    return kind == SLOT_TIME ? NEVER : 0;
}

static void slots_fresh(const struct model *m, struct customer *c, int from, int end)
{
    for (int i = from; i < end; i++)
        c->slot[i] = slot_fresh(m->slot_kinds[i]);
}

void customer_create(const struct model *m, struct customer *c, int64_t t)
{
    *c = (struct customer){.clock = t, .first = t, .last = t, .entered = t, .due = NEVER};
    slots_fresh(m, c, 0, m->nslots);
    c->slot[m->visits] = 1;
}

// The slot after the one at i: a SLOT_RECENT takes all that its signal or cap may need.
static int recent_end(const struct model *m, int i)
{
    int end = i + 1;
    while (end < m->nslots && m->slot_kinds[end] == SLOT_RECENT_ITEM)
        end++;
    return end;
}

static uint8_t *encode_slots(const struct model *m, const struct customer *c, uint8_t *p, uint32_t *items)
{
    uint8_t *kept = p; // up to here something is worth storing
    uint32_t n = *items, nkept = n;
    for (int i = 0; i < m->nslots;) {
        int64_t v = c->slot[i];
        bool fresh = v == slot_fresh(m->slot_kinds[i]);
        int end = i + 1;
        if (m->slot_kinds[i] == SLOT_TIME) {
            p = v == NEVER ? pack_nil(p) : pack_int(p, c->last - v);
            n++;
        } else {
            p = pack_int(p, v);
            n++;
            if (m->slot_kinds[i] == SLOT_RECENT) {
                end = recent_end(m, i);
                assert(v >= 0 && i + 1 + v <= end);
                for (int64_t k = 1; k <= v; k++, n++)
                    p = pack_int(p, c->last - c->slot[i + k]);
            }
        }
        if (!fresh) {
            kept = p;
            nkept = n;
        }
        i = end;
    }
    *items = nkept;
    return kept;
}

size_t customer_encode(const struct model *m, const struct customer *c, uint8_t *out)
{
    uint8_t *body = out + ARRAY_HEADER_BYTES, *p = body;
    uint32_t items = HEAD_ITEMS;
    p = pack_int(p, m->version);
    p = pack_int(p, c->stage);
    p = pack_int(p, c->ordinal);
    p = pack_int(p, c->last);
    p = pack_int(p, c->last - c->first);
    p = pack_int(p, c->clock - c->last);
    p = pack_int(p, c->clock - c->entered);
    p = pack_int(p, c->moves << 1 | c->objective_done);
    p = pack_uint(p, c->spent);
    p = pack_uint(p, c->ever);
    if (m->has_score) {
        p = c->energy != 0 ? pack_double(p, c->energy) : pack_int(p, 0);
        p = c->energy != 0 ? pack_int(p, c->last - c->energy_at) : pack_nil(p);
        items += SCORE_ITEMS;
    }
    p = encode_slots(m, c, p, &items);
    size_t bytes = (size_t)(p - body);
    if (items < 16) {
        out[0] = (uint8_t)(0x90 | items);
        memmove(out + 1, body, bytes);
        return 1 + bytes;
    }
    out[0] = 0xdc;
    pack_be(out + 1, items, 2);
    return ARRAY_HEADER_BYTES + bytes;
}

static void decode_slots(const struct model *m, struct unpack *u, uint32_t items, struct customer *c)
{
    int i = 0;
    while (items > 0 && i < m->nslots && !u->bad) {
        items--;
        if (m->slot_kinds[i] == SLOT_TIME) {
            int64_t d = unpack_int(u, NEVER);
            c->slot[i] = d == NEVER ? NEVER : c->last - d;
            i++;
            continue;
        }
        int64_t v = c->slot[i] = unpack_int(u, 0);
        int end = i + 1;
        if (m->slot_kinds[i] == SLOT_RECENT) {
            end = recent_end(m, i);
            if (v < 0 || v > end - i - 1 || (uint64_t)v > items)
                u->bad = true;
            for (int64_t k = 1; k <= v && !u->bad; k++, items--)
                c->slot[i + k] = c->last - unpack_int(u, 0);
            slots_fresh(m, c, i + 1 + (int)v, end);
        }
        i = end;
    }
    if (items > 0)
        u->bad = true;
    slots_fresh(m, c, i, m->nslots);
}

int customer_decode(const struct model *m, const uint8_t *bytes, size_t n, struct customer *c)
{
    struct unpack u = {.p = bytes, .end = bytes + n};
    uint32_t items = unpack_array(&u), head = HEAD_ITEMS + (m->has_score ? SCORE_ITEMS : 0);
    if (u.bad || items < head || unpack_int(&u, -1) != m->version)
        return 1;
    int64_t stage = unpack_int(&u, -1), ordinal = unpack_int(&u, -1);
    *c = (struct customer){.due = NEVER};
    c->last = unpack_int(&u, 0);
    c->first = c->last - unpack_int(&u, 0);
    c->clock = c->last + unpack_int(&u, 0);
    c->entered = c->clock - unpack_int(&u, 0);
    int64_t flags = unpack_int(&u, -1);
    c->spent = (uint64_t)unpack_int(&u, 0);
    c->ever = (uint64_t)unpack_int(&u, 0);
    if (m->has_score) {
        c->energy = unpack_double(&u);
        c->energy_at = c->last - unpack_int(&u, 0);
    }
    if (stage < 0 || stage >= m->nstages || ordinal < 0 || ordinal > UINT32_MAX || flags < 0 || flags > 511)
        return 1;
    c->stage = (uint16_t)stage;
    c->ordinal = (uint32_t)ordinal;
    c->moves = (uint8_t)(flags >> 1);
    c->objective_done = flags & 1;
    decode_slots(m, &u, items - head, c);
    return u.bad || u.p != u.end;
}

int customer_version(const uint8_t *bytes, size_t n, uint32_t *ret_version)
{
    struct unpack u = {.p = bytes, .end = bytes + n};
    uint32_t items = unpack_array(&u);
    int64_t version = unpack_int(&u, -1);
    if (u.bad || items < HEAD_ITEMS || version < 0 || version > UINT32_MAX)
        return 1;
    *ret_version = (uint32_t)version;
    return 0;
}
