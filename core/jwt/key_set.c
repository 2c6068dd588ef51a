/*
 * JWK Sets. The purpose of an entry is checked first: entries for other purposes are left out,
 * whatever else they contain. Only then are the numbers read, and any fault in these fails the
 * whole set.
 */
#include "jwt/key_set.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "jwt/json.h"
#include "wire/base64url.h"

enum {
    LONGEST_NUMBER = KV_JWT_LONGEST_SIGNATURE + 1 /* a leading zero is tolerated */
};

enum {
    SKIPPED = 1
};

/* ---- entries ---- */

struct type {
    const char *kty, *crv; /* crv: NULL if the type has none */
    uint32_t algorithms;
    int (*read)(const json_t *entry, struct kv_jwt_key **ret_key, struct kv_error *reterr);
};

/* Decodes a member. Returns: its length; 0 and *reterr if it is not a number. */
static size_t decode(const json_t *entry, const char *name, char to[LONGEST_NUMBER],
                     struct kv_error *reterr)
{
    struct kv_slice text;
    if (kv_jwt_json_text(entry, name, &text) != KV_JWT_MEMBER_THERE || text.len == 0) {
        kv_error_set(reterr, "`%s` must be a string, and not empty", name);
        return 0;
    }
    size_t len = kv_base64url_decoded_len(text.len);
    if (len > LONGEST_NUMBER) {
        kv_error_set(reterr, "`%s` is longer than %d bytes", name, LONGEST_NUMBER);
        return 0;
    }
    if (kv_base64url_decode(text, to))
        return len;
    kv_error_set(reterr, "`%s` is not base64url without padding", name);
    return 0;
}

static int read_rsa(const json_t *entry, struct kv_jwt_key **ret_key, struct kv_error *reterr)
{
    char n[LONGEST_NUMBER], e[LONGEST_NUMBER];
    size_t n_len = decode(entry, "n", n, reterr);
    size_t e_len = n_len == 0 ? 0 : decode(entry, "e", e, reterr);
    if (e_len == 0)
        return -1;
    return kv_jwt_key_from_rsa((struct kv_slice){n, n_len}, (struct kv_slice){e, e_len}, ret_key,
                               reterr);
}

static int read_p256(const json_t *entry, struct kv_jwt_key **ret_key, struct kv_error *reterr)
{
    char x[LONGEST_NUMBER], y[LONGEST_NUMBER];
    size_t x_len = decode(entry, "x", x, reterr);
    size_t y_len = x_len == 0 ? 0 : decode(entry, "y", y, reterr);
    if (y_len == 0)
        return -1;
    return kv_jwt_key_from_p256((struct kv_slice){x, x_len}, (struct kv_slice){y, y_len}, ret_key,
                                reterr);
}

static int read_ed25519(const json_t *entry, struct kv_jwt_key **ret_key, struct kv_error *reterr)
{
    char x[LONGEST_NUMBER];
    size_t x_len = decode(entry, "x", x, reterr);
    return x_len == 0 ? -1 : kv_jwt_key_from_ed25519((struct kv_slice){x, x_len}, ret_key, reterr);
}

static const struct type types[] = {
    {"RSA", NULL, 1u << KV_JWT_RS256 | 1u << KV_JWT_PS256, read_rsa},
    {"EC", "P-256", 1u << KV_JWT_ES256, read_p256},
    {"OKP", "Ed25519", 1u << KV_JWT_EDDSA, read_ed25519},
};

static bool is_text(const json_t *entry, const char *name, const char *text)
{
    struct kv_slice found;
    return kv_jwt_json_text(entry, name, &found) == KV_JWT_MEMBER_THERE &&
           kv_slice_equals(found, kv_slice_of(text));
}

/* Returns: NULL if signatures cannot be verified with keys of this type. */
static const struct type *find_type(const json_t *entry)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (is_text(entry, "kty", types[i].kty) &&
            (types[i].crv == NULL || is_text(entry, "crv", types[i].crv)))
            return &types[i];
    return NULL;
}

static bool lists(const json_t *array, const char *text)
{
    size_t i;
    const json_t *item;
    json_array_foreach(array, i, item) if (json_is_string(item) &&
                                           strcmp(json_string_value(item), text) == 0) return true;
    return false;
}

/* `use` and `key_ops` may be missing. */
static bool is_for_signatures(const json_t *entry)
{
    const json_t *operations = json_object_get(entry, "key_ops");
    bool has_use = json_object_get(entry, "use") != NULL;
    return (!has_use || is_text(entry, "use", "sig")) &&
           (operations == NULL || lists(operations, "verify"));
}

/* Limits the algorithms of the type to the one that the entry names. Returns: 0, SKIPPED, -1. */
static int read_algorithms(const json_t *entry, const struct type *type, uint32_t *ret_algorithms,
                           struct kv_error *reterr)
{
    struct kv_slice name;
    enum kv_jwt_algorithm algorithm;
    *ret_algorithms = type->algorithms;
    enum kv_jwt_member member = kv_jwt_json_text(entry, "alg", &name);
    if (member == KV_JWT_MEMBER_MISSING)
        return 0;
    if (member == KV_JWT_MEMBER_OTHER || !kv_jwt_algorithm_find(name, &algorithm))
        return SKIPPED;
    if ((type->algorithms & kv_jwt_bit(algorithm)) == 0)
        return kv_error_set(reterr, "a key of the type %s cannot be for %s", type->kty,
                            kv_jwt_algorithm_name(algorithm));
    *ret_algorithms = kv_jwt_bit(algorithm);
    return 0;
}

static int read_kid(const json_t *entry, char **ret_kid, struct kv_error *reterr)
{
    struct kv_slice kid;
    enum kv_jwt_member member = kv_jwt_json_text(entry, "kid", &kid);
    if (member == KV_JWT_MEMBER_MISSING)
        return 0;
    if (member == KV_JWT_MEMBER_OTHER || kid.len > KV_JWT_LONGEST_KID)
        return kv_error_set(reterr, "`kid` must be a string of at most %d bytes",
                            KV_JWT_LONGEST_KID);
    *ret_kid = kv_memdup(kid.bytes, kid.len + 1);
    return 0;
}

/* Returns: 0, SKIPPED, -1. */
static int read_entry(const json_t *entry, struct kv_jwt_named_key *ret, struct kv_error *reterr)
{
    const struct type *type = find_type(entry);
    struct kv_jwt_named_key key = {0};
    if (!json_is_object(entry))
        return kv_error_set(reterr, "it is no JSON object");
    if (type == NULL || !is_for_signatures(entry))
        return SKIPPED;
    int result = read_algorithms(entry, type, &key.algorithms, reterr);
    if (result == 0)
        result = read_kid(entry, &key.kid, reterr);
    if (result == 0)
        result = type->read(entry, &key.key, reterr);
    if (result == 0)
        *ret = key;
    else
        free(key.kid);
    return result;
}

/* ---- the set ---- */

static bool is_plain(struct kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.bytes[i] < ' ' || text.bytes[i] > '~')
            return false;
    return true;
}

/* Writes `keys[2]`, and the `kid` if it can be shown. */
static void write_place(const json_t *entry, size_t i, char *to, size_t size)
{
    struct kv_slice kid;
    bool has_kid = kv_jwt_json_text(entry, "kid", &kid) == KV_JWT_MEMBER_THERE &&
                   kid.len <= KV_JWT_LONGEST_KID && is_plain(kid);
    if (has_kid)
        snprintf(to, size, "keys[%zu] (kid \"%s\")", i, kid.bytes);
    else
        snprintf(to, size, "keys[%zu]", i);
}

static void note_secrets(const json_t *entry, size_t i, struct kv_buffer *notes)
{
    char place[KV_JWT_LONGEST_KID + 64];
    bool is_secret = is_text(entry, "kty", "oct");
    write_place(entry, i, place, sizeof(place));
    if (is_secret)
        kv_buffer_printf(
            notes, "%s is a secret, which does not belong into a key set: it is ignored\n", place);
    else if (json_object_get(entry, "d") != NULL)
        kv_buffer_printf(notes,
                         "%s contains its private key, which does not belong here: it is ignored\n",
                         place);
}

static int read_entries(const json_t *entries, struct kv_jwt_key_set *set, struct kv_buffer *notes,
                        struct kv_error *reterr)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(entries, i, entry)
    {
        struct kv_error why;
        char place[KV_JWT_LONGEST_KID + 64];
        note_secrets(entry, i, notes);
        int result = read_entry(entry, &set->keys[set->n], &why);
        write_place(entry, i, place, sizeof(place));
        if (result < 0)
            return kv_error_set(reterr, "%s: %s", place, why.text);
        if (result == 0)
            set->n++;
    }
    return set->n != 0 ? 0 : kv_error_set(reterr, "it has no key for RS256, PS256, ES256 or EdDSA");
}

static struct kv_jwt_key_set *make(size_t most)
{
    struct kv_jwt_key_set *set = kv_calloc(1, sizeof(*set) + most * sizeof(set->keys[0]));
    atomic_init(&set->n_refs, 1);
    return set;
}

static int read_set(const json_t *json, struct kv_jwt_key_set **ret_set, struct kv_buffer *notes,
                    struct kv_error *reterr)
{
    const json_t *entries = json_object_get(json, "keys");
    if (!json_is_array(entries))
        return kv_error_set(reterr, "a JWK Set has an array `keys`, which this has not");
    if (json_array_size(entries) > KV_JWT_MOST_KEYS)
        return kv_error_set(reterr, "it has %zu keys; at most %d are accepted",
                            json_array_size(entries), KV_JWT_MOST_KEYS);
    struct kv_jwt_key_set *set = make(json_array_size(entries));
    int result = read_entries(entries, set, notes, reterr);
    if (result == 0)
        *ret_set = set;
    else
        kv_jwt_key_set_unref(set);
    return result;
}

int kv_jwt_key_set_parse(struct kv_slice text, struct kv_jwt_key_set **ret_set,
                         struct kv_buffer *notes, struct kv_error *reterr)
{
    if (text.len > KV_JWT_LONGEST_SET)
        return kv_error_set(reterr, "it is longer than %d bytes", KV_JWT_LONGEST_SET);
    json_t *json = kv_jwt_json_read(text, reterr);
    if (json == NULL)
        return -1;
    int result = read_set(json, ret_set, notes, reterr);
    json_decref(json);
    return result;
}

int kv_jwt_key_set_from_secret(struct kv_slice secret, struct kv_jwt_key_set **ret_set,
                               struct kv_error *reterr)
{
    struct kv_jwt_key *key;
    if (kv_jwt_key_from_secret(secret, &key, reterr) != 0)
        return -1;
    struct kv_jwt_key_set *set = make(1);
    set->keys[set->n++] = (struct kv_jwt_named_key){
        .algorithms = kv_jwt_key_algorithms(key),
        .key = key,
    };
    *ret_set = set;
    return 0;
}

bool kv_jwt_key_set_knows(const struct kv_jwt_key_set *set, struct kv_slice kid)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->keys[i].kid != NULL && kv_slice_equals(kid, kv_slice_of(set->keys[i].kid)))
            return true;
    return false;
}

struct kv_jwt_key_set *kv_jwt_key_set_ref(struct kv_jwt_key_set *set)
{
    atomic_fetch_add_explicit(&set->n_refs, 1, memory_order_relaxed);
    return set;
}

void kv_jwt_key_set_unref(struct kv_jwt_key_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->n; i++) {
        free(set->keys[i].kid);
        kv_jwt_key_destroy(set->keys[i].key);
    }
    free(set);
}
