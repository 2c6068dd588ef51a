#include "net/taking.h"

void kv_taking_write(struct kv_taking *taking, struct kv_outbound *out, struct kv_channel *channel,
                     int64_t now_ms)
{
    bool counts_bytes;
    if (out->bytes == 0 || out->in_flight != 0)
        return;
    taking->progress_ms = now_ms;
    if (kv_outbound_write(out, channel))
        return;
    taking->acked = kv_channel_progress(channel, &counts_bytes);
    taking->pace = kv_pace_begin(now_ms, taking->acked);
}

void kv_taking_written(struct kv_taking *taking, struct kv_outbound *out, int64_t now_ms)
{
    taking->progress_ms = now_ms;
    kv_outbound_written(out);
}

bool kv_taking_is_stalled(struct kv_taking *taking, const struct kv_outbound *out,
                          const struct kv_channel *channel, const struct kv_patience *patience,
                          int64_t now_ms)
{
    bool counts_bytes;
    if (out->in_flight == 0)
        return false;
    uint64_t acked = kv_channel_progress(channel, &counts_bytes);
    if (acked != taking->acked) {
        taking->acked = acked;
        taking->progress_ms = now_ms;
    }
    return now_ms - taking->progress_ms >= patience->stalled_reader_ms ||
           (counts_bytes && kv_pace_is_too_slow(&taking->pace, now_ms, acked,
                                                patience->stalled_reader_ms, patience->least_rate));
}
