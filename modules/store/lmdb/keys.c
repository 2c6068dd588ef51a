/*
 * LMDB accepts keys of 1 to 511 bytes. A key is stored after one byte, so that the empty key is
 * valid. For a longer key, its first part and a hash of the whole key are the key of the row, and
 * the whole key precedes the value.
 */
#include "keys.h"

#include <xxhash.h>

static void make_record_key(const struct kv_engine *engine, struct kv_slice key,
                            struct tree_key *ret)
{
    size_t len = key.len <= PREFIX_BYTES ? key.len : PREFIX_BYTES;
    ret->bytes[0] = KEY_MARK;
    if (len != 0)
        memcpy(ret->bytes + 1, key.bytes, len);
    ret->is_long = key.len > PREFIX_BYTES;
    if (ret->is_long) {
        XXH128_canonical_t hash;
        XXH128_canonicalFromHash(&hash, XXH3_128bits_withSeed(key.bytes, key.len, engine->seed));
        memcpy(ret->bytes + 1 + len, hash.digest, HASH_BYTES);
    }
    ret->val =
        (MDB_val){.mv_data = ret->bytes, .mv_size = 1 + len + (ret->is_long ? HASH_BYTES : 0)};
}

void make_key(const struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
              struct tree_key *ret)
{
    if (table == KV_ENGINE_RECORDS) {
        make_record_key(engine, key, ret);
        return;
    }
    ret->is_long = false;
    ret->val = (MDB_val){.mv_data = (char *)(uintptr_t)key.bytes, .mv_size = key.len};
}

bool split_long(MDB_val row, struct kv_slice *ret_key, struct kv_slice *ret_value)
{
    uint64_t len;
    if (row.mv_size < LENGTH_BYTES)
        return false;
    memcpy(&len, row.mv_data, LENGTH_BYTES);
    if (len > row.mv_size - LENGTH_BYTES)
        return false;
    const char *bytes = (const char *)row.mv_data + LENGTH_BYTES;
    *ret_key = (struct kv_slice){.bytes = bytes, .len = len};
    *ret_value = (struct kv_slice){.bytes = bytes + len, .len = row.mv_size - LENGTH_BYTES - len};
    return true;
}
