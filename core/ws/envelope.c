#include "ws/envelope.h"

struct kv_buffer *kv_envelope_begin(struct kv_ws_loop *here, struct kv_slice type,
                                    struct kv_slice id)
{
    struct kv_buffer *out = &here->answer;
    out->len = 0;
    kv_buffer_append(out, KV_SLICE("{\"type\":\""));
    kv_buffer_append(out, type);
    kv_buffer_append_char(out, '"');
    if (id.len != 0) {
        kv_buffer_append(out, KV_SLICE(",\"id\":"));
        kv_buffer_append(out, id);
    }
    kv_buffer_append(out, KV_SLICE(",\"payload\":"));
    return out;
}
