// Names are put together where they are sent, never copied into a text of their own first.
#define _GNU_SOURCE // memrchr
#include "redis_keys.h"

static bool is_dash(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static int hex_lower(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *redis_tag(const char *app, const struct part_key *p)
{
    struct buffer b = {0};
    buffer_printf(&b, "{%s:%s:%d}", app, p->topic, p->partition);
    if (b.failed)
        buffer_clear(&b);
    return b.p;
}

void redis_put_key(struct resp *r, struct span tag, const char *suffix)
{
    resp_parts(r, (struct span[]){tag, {suffix, strlen(suffix)}}, 2);
}

void redis_put_bucket(struct resp *r, struct span tag, const char *model, uint64_t bucket)
{
    char digits[U64_TEXT_MAX];
    size_t n = u64_text(bucket, digits);
    resp_parts(r, (struct span[]){tag, {":b:", 3}, {model, strlen(model)}, {":", 1}, {digits, n}}, 5);
}

void redis_put_member(struct resp *r, const char *model, uint64_t bucket)
{
    char digits[U64_TEXT_MAX];
    size_t n = u64_text(bucket, digits);
    resp_parts(r, (struct span[]){{model, strlen(model)}, {":", 1}, {digits, n}}, 3);
}

int redis_read_member(struct span member, const char *const *models, int nmodels, int16_t *ret_model,
                      uint64_t *ret_bucket)
{
    const char *colon = memrchr(member.p, ':', member.n);
    if (!colon)
        return 1;
    size_t name = (size_t)(colon - member.p), ndigits = member.n - name - 1;
    if (ndigits == 0 || ndigits >= U64_TEXT_MAX)
        return 1;
    uint64_t bucket = 0;
    for (const char *c = colon + 1; c < member.p + member.n; c++) {
        if (*c < '0' || *c > '9')
            return 1;
        bucket = bucket * 10 + (uint64_t)(*c - '0');
    }
    for (int i = 0; i < nmodels; i++) {
        if (strlen(models[i]) == name && !memcmp(models[i], member.p, name)) {
            *ret_model = (int16_t)i;
            *ret_bucket = bucket;
            return 0;
        }
    }
    return 1;
}

struct span redis_pack_id(struct span id, char room[static UUID_PACKED_BYTES])
{
    if (id.n != UUID_TEXT_BYTES)
        return id;
    size_t n = 0;
    room[n++] = '\0';
    for (size_t i = 0; i < UUID_TEXT_BYTES;) {
        if (is_dash(i)) {
            if (id.p[i++] != '-')
                return id;
            continue;
        }
        int high = hex_lower(id.p[i]), low = hex_lower(id.p[i + 1]);
        if (high < 0 || low < 0)
            return id;
        room[n++] = (char)(high << 4 | low);
        i += 2;
    }
    return (struct span){room, n};
}

bool redis_is_packed(struct span field)
{
    return field.n == UUID_PACKED_BYTES && field.p[0] == '\0';
}

void redis_unpack_id(struct span field, char room[static UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 1;
    for (size_t i = 0; i < UUID_TEXT_BYTES;) {
        if (is_dash(i)) {
            room[i++] = '-';
            continue;
        }
        unsigned char byte = (unsigned char)field.p[at++];
        room[i++] = digits[byte >> 4];
        room[i++] = digits[byte & 15];
    }
}
