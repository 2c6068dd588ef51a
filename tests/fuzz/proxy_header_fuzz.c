/*
 * PROXY headers: a header is complete from one length on and no sooner, data after it makes no
 * difference, and it never requests more than its bound.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz.h"
#include "wire/proxy_header.h"

/* Whether the prefix is read as an incomplete header. The copy has exactly the length of the
 * prefix. */
static void check_prefix(struct kv_slice header, size_t len)
{
    struct kv_proxy_header part;
    char *copy = kv_alloc(len + 1);
    memcpy(copy, header.bytes, len);
    assert(kv_proxy_header_read((struct kv_slice){copy, len}, &part) == KV_PROXY_HEADER_PARTIAL);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_slice bytes = {(const char *)data, size};
    struct kv_proxy_header header, again;
    enum kv_proxy_header_status status = kv_proxy_header_read(bytes, &header);
    if (status == KV_PROXY_HEADER_PARTIAL)
        assert(size < KV_PROXY_HEADER_MOST_BYTES);
    if (status != KV_PROXY_HEADER_WHOLE)
        return 0;
    assert(header.len <= size && header.len <= KV_PROXY_HEADER_MOST_BYTES);
    assert(header.client.len == 0 || header.client.len == 4 || header.client.len == 16);
    for (size_t len = 0; len < header.len; len++)
        check_prefix(bytes, len);
    struct kv_slice alone = {bytes.bytes, header.len};
    assert(kv_proxy_header_read(alone, &again) == KV_PROXY_HEADER_WHOLE);
    assert(again.len == header.len && again.client.len == header.client.len &&
           memcmp(again.client.bytes, header.client.bytes, sizeof(header.client.bytes)) == 0);
    return 0;
}
