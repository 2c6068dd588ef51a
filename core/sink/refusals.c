#include "sink/refusals.h"

bool kv_sink_refusals_note(struct kv_sink_refusals *refusals, uint64_t revision, size_t n_offered)
{
    bool is_alone = n_offered == 1;
    if (!is_alone || refusals->revision != revision)
        refusals->n = 0;
    refusals->revision = revision;
    refusals->n += is_alone;
    refusals->most = 1;
    return refusals->n >= KV_SINK_REFUSALS;
}

void kv_sink_refusals_relax(struct kv_sink_refusals *refusals, size_t most)
{
    refusals->most *= 2;
    if (refusals->most >= most)
        refusals->most = 0;
}
