#include "loop/round.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

struct stop {
    struct kv_post post;
    struct kv_round *round;
};

struct kv_round {
    struct kv_loop *const *loops;
    uint32_t n_loops;
    _Atomic uint32_t n_left; /* loops that have not run their posts */
    void (*over)(void);
    struct stop stops[];
};

/* Once no loop is left, the round may be destroyed. */
static void run(struct kv_post *post)
{
    struct kv_round *round = KV_CONTAINER(post, struct stop, post)->round;
    void (*over)(void) = round->over;
    if (atomic_fetch_sub(&round->n_left, 1) == 1 && over != NULL)
        over();
}

struct kv_round *kv_round_create(struct kv_loop *const *loops, uint32_t n_loops, void (*over)(void))
{
    struct kv_round *round = kv_calloc(1, sizeof(*round) + n_loops * sizeof(struct stop));
    round->loops = loops;
    round->n_loops = n_loops;
    round->over = over;
    for (uint32_t i = 0; i < n_loops; i++)
        round->stops[i] = (struct stop){.post = {.run = run}, .round = round};
    return round;
}

void kv_round_destroy(struct kv_round *round)
{
    free(round);
}

void kv_round_begin(struct kv_round *round)
{
    assert(kv_round_is_over(round)); /* or a post would be queued twice */
    atomic_store(&round->n_left, round->n_loops);
    for (uint32_t i = 0; i < round->n_loops; i++)
        kv_loop_post(round->loops[i], &round->stops[i].post);
}

bool kv_round_is_over(const struct kv_round *round)
{
    return atomic_load(&round->n_left) == 0;
}
