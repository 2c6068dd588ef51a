#include "daemon/rollouts.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/round.h"

struct rollout {
    struct kv_list link;
    struct kv_round *round;
    struct kv_log_lines lines;
};

struct kv_rollouts {
    struct kv_loop *const *loops;
    uint32_t n_loops;
    void (*done)(void);
    struct kv_list under_way; /* the oldest first; they end in this order */
};

struct kv_rollouts *kv_rollouts_create(struct kv_loop *const *loops, uint32_t n_loops,
                                       void (*done)(void))
{
    struct kv_rollouts *rollouts = kv_alloc(sizeof(*rollouts));
    *rollouts = (struct kv_rollouts){.loops = loops, .n_loops = n_loops, .done = done};
    kv_list_init(&rollouts->under_way);
    return rollouts;
}

static void end(struct rollout *rollout)
{
    kv_list_remove(&rollout->link);
    kv_round_destroy(rollout->round);
    kv_log_lines_fini(&rollout->lines);
    free(rollout);
}

void kv_rollouts_destroy(struct kv_rollouts *rollouts)
{
    if (rollouts == NULL)
        return;
    KV_LIST_EACH(&rollouts->under_way, link, after)
    end(KV_CONTAINER(link, struct rollout, link));
    free(rollouts);
}

void kv_rollouts_begin(struct kv_rollouts *rollouts, struct kv_log_lines lines)
{
    struct rollout *rollout = kv_alloc(sizeof(*rollout));
    *rollout = (struct rollout){
        .round = kv_round_create(rollouts->loops, rollouts->n_loops, rollouts->done),
        .lines = lines};
    kv_list_append(&rollouts->under_way, &rollout->link);
    kv_round_begin(rollout->round);
}

bool kv_rollouts_finish(struct kv_rollouts *rollouts)
{
    KV_LIST_EACH(&rollouts->under_way, link, after)
    {
        struct rollout *rollout = KV_CONTAINER(link, struct rollout, link);
        if (!kv_round_is_over(rollout->round))
            return false;
        kv_log_lines_write(&rollout->lines);
        end(rollout);
    }
    return true;
}
