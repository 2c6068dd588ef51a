/*
 * Deficit round robin (Shreedhar and Varghese, 1995), with quanta that shrink as a turn fills up.
 * Every turn serves some of the waiting connections, even if others alone have filled it.
 */
#include "net/quantum.h"

#include "base/mem.h"

enum {
    TURN = 1 << 20,   /* the cost of a turn's messages, not counting the least quanta: a few
                         milliseconds */
    LEAST_SERVED = 8, /* waiting connections */
    MOST_OWED = KV_QUANTUM_MOST
};

void kv_quanta_init(struct kv_quanta *quanta)
{
    quanta->used = 0;
    kv_list_init(&quanta->waiting);
}

void kv_quantum_init(struct kv_quantum *quantum)
{
    quantum->left = 0;
    kv_list_init(&quantum->in_waiting);
}

static int64_t size_now(const struct kv_quanta *quanta)
{
    int64_t room = TURN - (int64_t)quanta->used;
    if (room > KV_QUANTUM_MOST)
        return KV_QUANTUM_MOST;
    return room < KV_QUANTUM_LEAST ? KV_QUANTUM_LEAST : room;
}

void kv_quantum_grant(struct kv_quantum *quantum, const struct kv_quanta *quanta)
{
    int64_t size = size_now(quanta);
    int64_t left = quantum->left < -MOST_OWED ? -MOST_OWED : quantum->left;
    quantum->left = left > 0 ? size : left + size;
}

void kv_quantum_wait(struct kv_quantum *quantum, struct kv_quanta *quanta)
{
    if (kv_list_is_empty(&quantum->in_waiting))
        kv_list_append(&quanta->waiting, &quantum->in_waiting);
}

void kv_quanta_end_turn(struct kv_quanta *quanta, void (*serve)(struct kv_quantum *quantum))
{
    const struct kv_list *last = quanta->waiting.prev;
    bool is_over = kv_list_is_empty(&quanta->waiting);
    for (int n = 0; !is_over && (n < LEAST_SERVED || quanta->used < TURN); n++) {
        struct kv_list *first = quanta->waiting.next;
        struct kv_quantum *quantum = KV_CONTAINER(first, struct kv_quantum, in_waiting);
        is_over = first == last;
        kv_list_remove(first);
        kv_quantum_grant(quantum, quanta);
        serve(quantum);
    }
    quanta->used = 0;
}
