#include "daemon/liveness.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

struct pulse {
    struct kv_post post;
    atomic_bool is_under_way;
};

struct kv_liveness {
    struct kv_loop *const *loops;
    uint32_t n_loops;
    struct pulse pulses[];
};

static void run(struct kv_post *post)
{
    atomic_store(&KV_CONTAINER(post, struct pulse, post)->is_under_way, false);
}

struct kv_liveness *kv_liveness_create(struct kv_loop *const *loops, uint32_t n_loops)
{
    struct kv_liveness *liveness = kv_calloc(1, sizeof(*liveness) + n_loops * sizeof(struct pulse));
    liveness->loops = loops;
    liveness->n_loops = n_loops;
    for (uint32_t i = 0; i < n_loops; i++)
        liveness->pulses[i].post.run = run;
    return liveness;
}

void kv_liveness_destroy(struct kv_liveness *liveness)
{
    free(liveness);
}

bool kv_liveness_look(struct kv_liveness *liveness)
{
    bool is_alive = true;
    for (uint32_t i = 0; i < liveness->n_loops; i++)
        is_alive = is_alive && !atomic_load(&liveness->pulses[i].is_under_way);
    for (uint32_t i = 0; is_alive && i < liveness->n_loops; i++) {
        atomic_store(&liveness->pulses[i].is_under_way, true);
        kv_loop_post(liveness->loops[i], &liveness->pulses[i].post);
    }
    return is_alive;
}
