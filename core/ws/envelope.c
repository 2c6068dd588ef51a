#include "ws/envelope.h"

#include "protocol/reply.h"

struct kv_buffer *kv_envelope_begin(struct kv_ws_loop *here, struct kv_slice type,
                                    struct kv_slice id)
{
    struct kv_buffer *out = &here->answer;
    out->len = 0;
    kv_reply_begin(out, type, id);
    return out;
}
