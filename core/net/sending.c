#include "net/sending.h"

void kv_sending_begin(struct kv_sending *sending, uint64_t n_arrived, int64_t now_ms)
{
    *sending = (struct kv_sending){now_ms, n_arrived, kv_pace_begin(now_ms, n_arrived)};
}

bool kv_sending_is_late(struct kv_sending *sending, uint64_t n_arrived,
                        const struct kv_patience *patience, int64_t now_ms)
{
    if (n_arrived != sending->arrived) {
        sending->arrived = n_arrived;
        sending->progress_ms = now_ms;
    }
    return now_ms - sending->progress_ms >= patience->request_progress_ms ||
           now_ms - sending->pace.begun_ms >= patience->request_ms ||
           kv_pace_is_too_slow(&sending->pace, now_ms, n_arrived, patience->request_progress_ms,
                               patience->least_rate);
}
