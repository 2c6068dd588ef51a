/*
 * Each value contains a unique number, which determines the rest of its bytes: so a value
 * identifies the write it comes from, and any wrong byte is detected.
 */
#include "support/durable/impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <kvserver/store.h>

#include "base/mem.h"

struct state *kv_test_key_add(struct key *key)
{
    if (key->n == key->capacity)
        key->states = kv_realloc(key->states,
                                 (key->capacity = 2 * key->capacity + 16) * sizeof(struct state));
    struct state *state = &key->states[key->n++];
    *state = (struct state){0};
    return state;
}

/* Some values are several pages long. */
void kv_test_value_write(struct kv_buffer *out, uint64_t number)
{
    size_t len = number % 29 == 0 ? 9000 + number % 4096 : number % 200;
    if (number % 101 == 0)
        len = KV_LONG_VALUE + number % 4096;
    kv_buffer_printf(out, "{\"n\":%ju,\"text\":\"", (uintmax_t)number);
    memset(kv_buffer_reserve(out, len), 'a' + (int)(number % 26), len);
    out->len += len;
    kv_buffer_append(out, KV_SLICE("\"}"));
}

uint64_t kv_test_value_read(struct kv_slice text)
{
    struct kv_buffer whole = {0};
    struct kv_slice start = KV_SLICE("{\"n\":");
    uint64_t number = 0;
    if (kv_slice_has_prefix(text, start))
        number = strtoull(text.bytes + start.len, NULL, 10);
    kv_test_value_write(&whole, number);
    if (number == 0 || !kv_slice_equals(kv_buffer_slice(&whole), text))
        fail_msg("not a value that was written: %.*s", (int)text.len, text.bytes);
    kv_buffer_fini(&whole);
    return number;
}

uint64_t kv_test_etag_read(const struct kv_test_response *response)
{
    const char *etag = kv_test_response_header(response, "etag");
    return etag == NULL ? 0 : strtoull(etag + 1, NULL, 10);
}

/* ---- lifecycle ---- */

struct kv_test_witness *kv_test_witness_create(uint64_t seed)
{
    struct kv_test_witness *witness = kv_calloc(1, sizeof(*witness));
    witness->random = seed;
    for (size_t i = 0; i < N_KEYS; i++)
        kv_test_key_add(&witness->keys[i])->answered_ms = 1;
    return witness;
}

void kv_test_witness_destroy(struct kv_test_witness *witness)
{
    for (size_t i = 0; i < N_KEYS; i++)
        free(witness->keys[i].states);
    kv_test_revisions_fini(&witness->revisions);
    free(witness);
}

struct kv_test_witness_counts kv_test_witness_counts(const struct kv_test_witness *witness)
{
    return witness->counts;
}
