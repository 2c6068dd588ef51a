/*
 * The changes of a part are queued in the order shown, until all before them are settled. A change
 * is settled when its count of takers is zero; then the settled ones at the front leave the queue,
 * and the store is told the last of them. A change that is forgone leaves the queue as well, but
 * from then on no change of its claim is reported as settled.
 */
#include "keyspace/showing.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    MOST_BYTES = 64 << 20, /* of the changes that a loop's observers have not seen */
    SHOWN_BYTES = 256,
    LOOK_AGAIN_MS = 20 /* while a claim is not certain */
};

struct kv_shown {
    struct kv_link link; /* at a loop */
    struct kv_shown *next;
    struct kv_showing *showing;
    struct kv_change change;
    uint64_t claim;
    uint64_t bytes;
    uint32_t part;
    uint16_t mark;
    bool is_settled; /* under the part's lock */
    atomic_bool is_forgone;
    _Atomic uint32_t n_takers;
};

struct kv_shown_part {
    pthread_mutex_t lock; /* of all below; held for a few instructions */
    struct kv_shown *first, *last;
    uint64_t forgone_claim; /* no change of this claim is settled any more; 0: none */
};

void kv_showing_init(struct kv_showing *showing, const struct kv_store_link *store,
                     const struct kv_keyspace_parts *parts)
{
    showing->store = store;
    showing->parts = parts;
    atomic_init(&showing->last, UINT64_MAX);
    for (uint32_t i = 0; i < parts->n_loops; i++)
        kv_queue_init(&showing->inboxes[i].waiting);
}

void kv_showing_begin(struct kv_showing *showing, uint32_t n_parts)
{
    if ((showing->parts->store_capabilities & KV_STORE_SHOWS) == 0)
        return;
    showing->of_parts = kv_calloc(n_parts, sizeof(*showing->of_parts));
    showing->n_parts = n_parts;
    for (uint32_t i = 0; i < n_parts; i++)
        pthread_mutex_init(&showing->of_parts[i].lock, NULL);
}

/* ---- settling ---- */

/* The last settled change that has left the queue. */
struct settled {
    uint64_t claim, revision; /* 0: none */
};

/* Under the part's lock. Removes the first change from the queue. */
static struct kv_shown *pop_settled(struct kv_shown_part *part, struct settled *settled)
{
    struct kv_shown *first = part->first;
    if (first == NULL || !first->is_settled)
        return NULL;
    part->first = first->next;
    if (part->first == NULL)
        part->last = NULL;
    if (atomic_load(&first->is_forgone))
        part->forgone_claim = first->claim;
    else if (first->claim != part->forgone_claim)
        *settled = (struct settled){first->claim, first->change.revision};
    return first;
}

static void settle(struct kv_shown *shown)
{
    struct kv_showing *showing = shown->showing;
    const struct kv_store_link *store = showing->store;
    uint32_t number = shown->part;
    struct kv_shown_part *part = &showing->of_parts[number];
    struct settled settled = {0};
    struct kv_shown *gone = NULL, *popped;
    kv_item_release(store, &shown->change.before);
    kv_item_release(store, &shown->change.after);
    pthread_mutex_lock(&part->lock);
    shown->is_settled = true;
    while ((popped = pop_settled(part, &settled)) != NULL) {
        popped->next = gone;
        gone = popped;
    }
    pthread_mutex_unlock(&part->lock);
    while (gone != NULL) {
        popped = gone;
        gone = gone->next;
        free(popped);
    }
    if (settled.claim != 0)
        store->ops->settled(store->store, number, settled.claim, settled.revision);
}

void kv_shown_take(struct kv_shown *shown)
{
    if (shown != NULL)
        atomic_fetch_add(&shown->n_takers, 1);
}

void kv_shown_give_back(struct kv_shown *shown)
{
    if (shown != NULL && atomic_fetch_sub(&shown->n_takers, 1) == 1)
        settle(shown);
}

void kv_shown_forgo(struct kv_shown *shown)
{
    if (shown != NULL)
        atomic_store(&shown->is_forgone, true);
}

enum kv_claim_state kv_shown_state(const struct kv_shown *shown)
{
    if (shown == NULL)
        return KV_CLAIM_HELD;
    const struct kv_store_link *store = shown->showing->store;
    return store->ops->claim_state(store->store, shown->part, shown->claim);
}

uint16_t kv_shown_mark(const struct kv_shown *shown)
{
    return shown->mark;
}

/* ---- on the store's threads ---- */

static struct kv_shown *create(struct kv_showing *showing, uint32_t part, uint64_t claim,
                               uint16_t mark, const struct kv_change *change)
{
    struct kv_shown *shown = kv_alloc(sizeof(*shown));
    *shown = (struct kv_shown){
        .showing = showing,
        .change = *change,
        .claim = claim,
        .part = part,
        .mark = mark,
        .bytes = SHOWN_BYTES + change->key.len + change->after.value.len + change->before.value.len,
        .n_takers = 1,
    };
    shown->change.before = kv_item_share(showing->store, &change->before);
    shown->change.after = kv_item_share(showing->store, &change->after);
    return shown;
}

static void append(struct kv_shown_part *part, struct kv_shown *shown)
{
    if (part->last == NULL)
        part->first = shown;
    else
        part->last->next = shown;
    part->last = shown;
}

static void push(struct kv_showing *showing, struct kv_shown *shown)
{
    uint32_t loop = (uint32_t)(shown->change.hash % showing->parts->n_loops);
    struct kv_showing_inbox *inbox = &showing->inboxes[loop];
    atomic_fetch_add(&inbox->bytes, shown->bytes);
    kv_inbox_push(&inbox->arrived, &shown->link);
    kv_loop_wake(showing->parts->loops[loop]);
}

/* Under the lock, so that nothing comes after the end. */
void kv_showing_show(struct kv_showing *showing, uint32_t number, uint64_t claim, uint16_t mark,
                     const struct kv_change *change)
{
    struct kv_shown_part *part = &showing->of_parts[number];
    pthread_mutex_lock(&part->lock);
    if (!atomic_load(&showing->is_ending) && change->revision <= atomic_load(&showing->last)) {
        struct kv_shown *shown = create(showing, number, claim, mark, change);
        append(part, shown);
        push(showing, shown);
    }
    pthread_mutex_unlock(&part->lock);
}

void kv_showing_drain(struct kv_showing *showing, uint64_t revision)
{
    atomic_store(&showing->last, revision);
}

void kv_showing_end(struct kv_showing *showing)
{
    atomic_store(&showing->is_ending, true);
    if (!kv_store_is_ready(showing->store))
        return;
    for (uint32_t i = 0; i < showing->n_parts;
         i++) { /* waits for calls that are about to show a change */
        pthread_mutex_lock(&showing->of_parts[i].lock);
        pthread_mutex_unlock(&showing->of_parts[i].lock);
    }
}

static bool has_to_show(const struct kv_showing *showing)
{
    const struct kv_store_link *store = showing->store;
    return store->ops->has_to_show(store->store, atomic_load(&showing->last));
}

bool kv_showing_has_room(const struct kv_showing *showing)
{
    if (!kv_store_is_ready(showing->store) || showing->of_parts == NULL ||
        atomic_load(&showing->is_ending) || !has_to_show(showing))
        return false;
    for (uint32_t i = 0; i < showing->parts->n_loops; i++)
        if (atomic_load(&showing->inboxes[i].bytes) >= MOST_BYTES)
            return false;
    return true;
}

/* ---- on a loop ---- */

static void take_arrived(struct kv_showing_inbox *inbox)
{
    struct kv_link *link = kv_inbox_take_all(&inbox->arrived);
    while (link != NULL) {
        struct kv_link *next = link->next;
        kv_queue_push(&inbox->waiting, link);
        link = next;
    }
}

static void show(const struct kv_showing *showing, struct kv_keyspace_loop *here,
                 struct kv_shown *shown)
{
    const struct kv_keyspace_parts *parts = showing->parts;
    if (shown->mark == KV_MARK_UNSEEN)
        return;
    for (size_t i = 0; i < parts->n_observers; i++)
        if (!parts->observers[i]->is_everywhere)
            parts->observers[i]->on_change(parts->observers[i], here, &shown->change, shown);
}

static void give_back_first(struct kv_showing_inbox *inbox)
{
    struct kv_shown *shown = KV_CONTAINER(kv_queue_pop(&inbox->waiting), struct kv_shown, link);
    atomic_fetch_sub(&inbox->bytes, shown->bytes);
    kv_shown_give_back(shown);
}

void kv_showing_deliver(struct kv_showing *showing, struct kv_keyspace_loop *here, uint32_t loop)
{
    struct kv_showing_inbox *inbox = &showing->inboxes[loop];
    take_arrived(inbox);
    while (!kv_queue_is_empty(&inbox->waiting) && !atomic_load(&showing->is_ending)) {
        struct kv_shown *first = KV_CONTAINER(inbox->waiting.head, struct kv_shown, link);
        enum kv_claim_state state = kv_shown_state(first);
        if (state == KV_CLAIM_UNSURE) {
            inbox->look_at_ms = kv_clock_now_ms(showing->parts->clock) + LOOK_AGAIN_MS;
            return;
        }
        if (state == KV_CLAIM_HELD)
            show(showing, here, first);
        else
            kv_shown_forgo(first);
        give_back_first(inbox);
    }
}

int64_t kv_showing_next_ms(struct kv_showing *showing, uint32_t loop)
{
    struct kv_showing_inbox *inbox = &showing->inboxes[loop];
    if (!kv_inbox_is_empty(&inbox->arrived))
        return INT64_MIN;
    return kv_queue_is_empty(&inbox->waiting) ? INT64_MAX : inbox->look_at_ms;
}

/* ---- opening and closing ---- */

bool kv_showing_is_quiet(const struct kv_showing *showing)
{
    if (!kv_store_is_ready(showing->store) || showing->of_parts == NULL ||
        atomic_load(&showing->is_ending))
        return true;
    if (has_to_show(showing))
        return false;
    for (uint32_t i = 0; i < showing->parts->n_loops; i++)
        if (atomic_load(&showing->inboxes[i].bytes) != 0)
            return false;
    return true;
}

void kv_showing_fini(struct kv_showing *showing)
{
    for (uint32_t i = 0; i < showing->parts->n_loops; i++) {
        struct kv_showing_inbox *inbox = &showing->inboxes[i];
        take_arrived(inbox);
        while (!kv_queue_is_empty(&inbox->waiting)) {
            kv_shown_forgo(KV_CONTAINER(inbox->waiting.head, struct kv_shown, link));
            give_back_first(inbox);
        }
    }
    for (uint32_t i = 0; i < showing->n_parts; i++)
        pthread_mutex_destroy(&showing->of_parts[i].lock);
    free(showing->of_parts);
}
