/* The shared count is exact except for the last step of each loop. */
#include "base/budget.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    STEPS_OF_LIMIT = 64, /* all unreported steps together are no more than 1/64 of the limit */
    RESERVE = 64,        /* 1/64 of the limit */
    LEFT_OVER = 4,       /* data kept for clients leaves 1/4 of the limit */
    LEAST_FALL = 8 << 20,
    SHORTEST_PINNED = 64 << 10 /* shorter items are counted for each holder */
};

struct slot {
    _Alignas(KV_CACHE_LINE) struct kv_tally tally;
};

struct kv_budget {
    size_t limit;
    uint32_t n_loops;
    _Atomic int64_t used;
    _Atomic int64_t
        most_used; /* the peak since kv_budget_has_fallen() was last true, approximately */
    _Atomic uint32_t n_waiting;
    struct slot slots[];
};

struct pin {
    struct kv_table_node node;
    const void *ref;
    uint32_t n;
};

static void init_tally(struct kv_budget *budget, struct kv_tally *tally)
{
    size_t step = budget->limit / STEPS_OF_LIMIT / budget->n_loops;
    *tally = (struct kv_tally){.budget = budget};
    tally->step = step < KV_TALLY_LONGEST_STEP ? (int64_t)step + 1 : KV_TALLY_LONGEST_STEP;
    kv_list_init(&tally->waiting);
}

struct kv_budget *kv_budget_create(size_t limit, uint32_t n_loops)
{
    size_t size = sizeof(struct kv_budget) + n_loops * sizeof(struct slot);
    struct kv_budget *budget = kv_alloc_lines(size);
    budget->limit = limit;
    budget->n_loops = n_loops;
    atomic_init(&budget->used, 0);
    atomic_init(&budget->most_used, 0);
    atomic_init(&budget->n_waiting, 0);
    for (uint32_t i = 0; i < n_loops; i++)
        init_tally(budget, &budget->slots[i].tally);
    return budget;
}

void kv_budget_destroy(struct kv_budget *budget)
{
    if (budget == NULL)
        return;
    for (uint32_t i = 0; i < budget->n_loops; i++) {
        assert(budget->slots[i].tally.pins.n == 0);
        kv_table_fini(&budget->slots[i].tally.pins);
    }
    free(budget);
}

size_t kv_budget_reserve(const struct kv_budget *budget)
{
    return budget->limit / RESERVE;
}

struct kv_tally *kv_budget_tally(struct kv_budget *budget, uint32_t loop)
{
    return budget == NULL ? NULL : &budget->slots[loop].tally;
}

static int64_t used(const struct kv_budget *budget)
{
    return atomic_load_explicit(&budget->used, memory_order_relaxed);
}

bool kv_budget_is_strained(const struct kv_budget *budget)
{
    return used(budget) > (int64_t)budget->limit ||
           atomic_load_explicit(&budget->n_waiting, memory_order_relaxed) != 0;
}

size_t kv_budget_used(const struct kv_budget *budget)
{
    int64_t now_used = used(budget);
    return now_used < 0 ? 0 : (size_t)now_used;
}

size_t kv_budget_limit(const struct kv_budget *budget)
{
    return budget->limit;
}

/* Two loops at once may record the lower of two peaks, which does no harm. */
static void note_peak(struct kv_budget *budget, int64_t now_used)
{
    if (now_used > atomic_load_explicit(&budget->most_used, memory_order_relaxed))
        atomic_store_explicit(&budget->most_used, now_used, memory_order_relaxed);
}

void kv_tally_report(struct kv_tally *tally)
{
    struct kv_budget *budget = tally->budget;
    int64_t change = tally->unreported;
    tally->unreported = 0;
    note_peak(budget,
              change + atomic_fetch_add_explicit(&budget->used, change, memory_order_relaxed));
}

bool kv_budget_has_fallen(struct kv_budget *budget)
{
    int64_t most = atomic_load_explicit(&budget->most_used, memory_order_relaxed);
    int64_t now_used = used(budget);
    return most - now_used >= LEAST_FALL && now_used <= most / 2 &&
           atomic_compare_exchange_strong(&budget->most_used, &most, now_used);
}

size_t kv_tally_left(const struct kv_tally *tally)
{
    if (tally == NULL)
        return SIZE_MAX;
    int64_t in_use = used(tally->budget) + tally->unreported;
    int64_t left = (int64_t)tally->budget->limit - in_use;
    return left > 0 ? (size_t)left : 0;
}

size_t kv_tally_spare(const struct kv_tally *tally)
{
    size_t left = kv_tally_left(tally);
    size_t kept = tally == NULL ? 0 : tally->budget->limit / LEFT_OVER;
    return left > kept ? left - kept : 0;
}

/* Counts first, so that two loops cannot both take the last bytes. */
bool kv_tally_try_add(struct kv_tally *tally, size_t bytes)
{
    if (tally == NULL)
        return true;
    struct kv_budget *budget = tally->budget;
    size_t needed = bytes < budget->limit / 2 ? bytes : budget->limit / 2;
    int64_t before = atomic_fetch_add_explicit(&budget->used, (int64_t)bytes, memory_order_relaxed);
    if (before + tally->unreported + (int64_t)needed <= (int64_t)budget->limit) {
        note_peak(budget, before + (int64_t)bytes);
        return true;
    }
    atomic_fetch_sub_explicit(&budget->used, (int64_t)bytes, memory_order_relaxed);
    return false;
}

/* ---- pins ---- */

/* Addresses differ mostly in their middle bits. */
static uint64_t hash_of(const void *ref)
{
    return ((uintptr_t)ref >> 4) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct pin *find_pin(const struct kv_tally *tally, const void *ref)
{
    KV_TABLE_EACH(&tally->pins, hash_of(ref), node)
    {
        struct pin *pin = KV_CONTAINER(node, struct pin, node);
        if (pin->ref == ref)
            return pin;
    }
    return NULL;
}

static struct pin *add_pin(struct kv_tally *tally, const void *ref, size_t bytes)
{
    struct pin *pin = kv_calloc(1, sizeof(*pin));
    pin->ref = ref;
    kv_table_insert(&tally->pins, &pin->node, hash_of(ref));
    kv_tally_add(tally, (int64_t)bytes);
    return pin;
}

void kv_tally_pin(struct kv_tally *tally, const void *ref, size_t bytes)
{
    if (tally == NULL)
        return;
    if (bytes < SHORTEST_PINNED) {
        kv_tally_add(tally, (int64_t)bytes);
        return;
    }
    struct pin *pin = find_pin(tally, ref);
    if (pin == NULL)
        pin = add_pin(tally, ref, bytes);
    pin->n++;
}

void kv_tally_unpin(struct kv_tally *tally, const void *ref, size_t bytes)
{
    if (tally == NULL)
        return;
    struct pin *pin = NULL;
    if (bytes >= SHORTEST_PINNED) {
        pin = find_pin(tally, ref);
        assert(pin != NULL);
        if (--pin->n != 0)
            return;
        kv_table_remove(&tally->pins, &pin->node);
        free(pin);
    }
    kv_tally_add(tally, -(int64_t)bytes);
}

/* ---- waiting ---- */

void kv_waiter_init(struct kv_waiter *waiter, void (*resume)(struct kv_waiter *waiter))
{
    waiter->resume = resume;
    kv_list_init(&waiter->in_waiting);
}

void kv_tally_wait(struct kv_tally *tally, struct kv_waiter *waiter)
{
    bool is_first = kv_list_is_empty(&tally->waiting);
    if (kv_waiter_is_waiting(waiter))
        return;
    kv_list_append(&tally->waiting, &waiter->in_waiting);
    atomic_fetch_add_explicit(&tally->budget->n_waiting, 1, memory_order_relaxed);
    if (is_first && tally->waits != NULL)
        tally->waits->on_begin(tally->waits);
}

void kv_tally_stop_waiting(struct kv_tally *tally, struct kv_waiter *waiter)
{
    if (tally == NULL || !kv_waiter_is_waiting(waiter))
        return;
    kv_list_remove(&waiter->in_waiting);
    atomic_fetch_sub_explicit(&tally->budget->n_waiting, 1, memory_order_relaxed);
}

void kv_tally_watch(struct kv_tally *tally, struct kv_waits *waits)
{
    tally->waits = waits;
}

void kv_tally_resume(struct kv_tally *tally)
{
    size_t enough = kv_budget_reserve(tally->budget);
    const struct kv_list *last = tally->waiting.prev;
    bool is_over = kv_list_is_empty(&tally->waiting);
    while (!is_over && kv_tally_left(tally) > enough) {
        struct kv_list *first = tally->waiting.next;
        struct kv_waiter *waiter = KV_CONTAINER(first, struct kv_waiter, in_waiting);
        is_over = first == last;
        kv_tally_stop_waiting(tally, waiter);
        waiter->resume(waiter);
    }
}
