/* The newest revision tells whether a write was a change, and so what was there before. */
#include "protocol/hello.h"

#include "protocol/reply.h"
#include "wire/json_string.h"

void kv_hello_write(struct kv_buffer *out, struct kv_slice id, const struct kv_hello *hello,
                    const struct kv_keyspace *keyspace, const struct kv_principal *principal)
{
    uint64_t revision = kv_principal_may_read(principal) ? kv_keyspace_revision(keyspace) : 0;
    kv_reply_begin(out, KV_SLICE("hello"), id);
    kv_buffer_append(out, KV_SLICE("{\"server\":\"kvserver\",\"version\":"));
    kv_json_append_string(out, kv_slice_of(hello->version));
    kv_buffer_append(out, KV_SLICE(",\"epoch\":"));
    kv_json_append_string(out, kv_slice_of(kv_keyspace_epoch(keyspace)));
    if (revision != 0) {
        kv_buffer_append(out, KV_SLICE(",\"revision\":"));
        kv_buffer_append_u64(out, revision);
    }
    kv_buffer_printf(out, ",\"limits\":{\"key\":%zu,\"value\":%zu,\"message\":%zu}}}",
                     hello->max_key_bytes, hello->max_value_bytes, hello->max_message_bytes);
}
