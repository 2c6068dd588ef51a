#include "net/ebb.h"

#include "base/mem.h"

enum {
    TICK_MS = 20,
    LEAST_A_TICK = 64
};

static void tell_some(struct kv_ebb *ebb)
{
    for (size_t i = 0; i < ebb->n_a_tick && ebb->n_left != 0; i++) {
        struct kv_list *link = ebb->all->next;
        kv_list_remove(link);
        kv_list_append(ebb->all, link);
        ebb->n_left--;
        ebb->tell(link);
    }
    if (ebb->n_left != 0)
        kv_timer_start(ebb->loop, &ebb->timer, kv_loop_now_ms(ebb->loop) + TICK_MS);
}

static void on_timer(struct kv_timer *timer)
{
    tell_some(KV_CONTAINER(timer, struct kv_ebb, timer));
}

static size_t count(const struct kv_list *all)
{
    size_t n = 0;
    for (const struct kv_list *link = all->next; link != all; link = link->next)
        n++;
    return n;
}

void kv_ebb_begin(struct kv_ebb *ebb, struct kv_loop *loop, struct kv_list *all, int64_t over_ms,
                  void (*tell)(struct kv_list *link))
{
    size_t n_ticks = over_ms < TICK_MS ? 1 : (size_t)(over_ms / TICK_MS);
    ebb->loop = loop;
    ebb->timer.fire = on_timer;
    ebb->all = all;
    ebb->tell = tell;
    ebb->n_left = count(all);
    ebb->n_a_tick = ebb->n_left / n_ticks + 1;
    if (ebb->n_a_tick < LEAST_A_TICK)
        ebb->n_a_tick = LEAST_A_TICK;
    ebb->has_begun = true;
    tell_some(ebb);
}

void kv_ebb_end(struct kv_ebb *ebb)
{
    if (ebb->has_begun)
        kv_timer_stop(ebb->loop, &ebb->timer);
    ebb->n_left = 0;
}
