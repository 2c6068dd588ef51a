/*
 * Keys in paths: a decoded key is UTF-8, and its fully escaped form decodes to the same key.
 */
#include "fuzz.h"
#include "wire/key_path.h"
#include "base/utf8.h"

static void check_escaped(struct kv_slice key)
{
    struct kv_buffer escaped = {0}, again = {0};
    const char *what;
    size_t offset;
    for (size_t i = 0; i < key.len; i++)
        kv_buffer_printf(&escaped, i % 2 ? "%%%02x" : "%%%02X", (unsigned char)key.bytes[i]);
    assert(kv_key_path_decode(kv_buffer_slice(&escaped), &again, &what, &offset) == 0);
    assert(kv_slice_equals(kv_buffer_slice(&again), key));
    kv_buffer_fini(&escaped);
    kv_buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_buffer key = {0};
    const char *what = NULL;
    size_t offset = len;
    if (kv_key_path_decode(fuzz_slice(bytes, len), &key, &what, &offset) == 0) {
        assert(key.len <= len);
        assert(kv_utf8_is_valid(kv_buffer_slice(&key)));
        check_escaped(kv_buffer_slice(&key));
    } else {
        assert(what != NULL && offset < len && key.len == 0);
    }
    kv_buffer_fini(&key);
    return 0;
}
