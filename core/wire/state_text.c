#include "wire/state_text.h"

#include "wire/json_string.h"

static void append_number(struct kv_buffer *out, struct kv_slice name, uint64_t number)
{
    if (number == 0)
        return;
    kv_buffer_append(out, name);
    kv_buffer_append_u64(out, number);
}

static void append_meta(struct kv_buffer *out, const struct kv_state_meta *meta)
{
    append_number(out, KV_SLICE(",\"revision\":"), meta->revision);
    kv_buffer_append(out, KV_SLICE(",\"epoch\":"));
    kv_json_append_string(out, meta->epoch);
    if (meta->reason != NULL) {
        kv_buffer_append(out, KV_SLICE(",\"reason\":"));
        kv_json_append_string(out, kv_slice_of(meta->reason));
    }
    append_number(out, KV_SLICE(",\"ttl\":"), (uint64_t)meta->ttl_ms);
    if (meta->is_collapsed)
        kv_buffer_append(out, KV_SLICE(",\"collapsed\":true"));
}

void kv_state_text_begin(struct kv_buffer *out, struct kv_slice key,
                         const struct kv_state_meta *meta, bool has_value)
{
    kv_buffer_append(out, KV_SLICE("{\"key\":"));
    kv_json_append_string(out, key);
    if (meta != NULL)
        append_meta(out, meta);
    if (has_value)
        kv_buffer_append(out, KV_SLICE(",\"value\":"));
}
