#include "events/stream.h"

#define UNAUTHORIZED KV_SLICE("event: unauthorized\ndata: {}\n\n")

void kv_stream_activate(struct kv_stream *stream)
{
    if (kv_list_is_empty(&stream->in_active))
        kv_list_append(&stream->here->active, &stream->in_active);
}

void kv_stream_end(struct kv_stream *stream)
{
    stream->is_ending = true;
    kv_stream_activate(stream);
}

void kv_stream_end_unauthorized(struct kv_stream *stream)
{
    if (!stream->is_ending)
        kv_outbound_append(&stream->out, UNAUTHORIZED);
    kv_stream_end(stream);
}
