/*
 * A budget: the memory that all connections together may hold. Each event loop keeps a tally of
 * what its connections hold and reports it in steps, so loops do not contend for the shared count.
 *
 * Who would hold more asks first, and gets less the more is in use (kv_tally_allowance); who cannot
 * go on without more waits (struct kv_waiter) until memory has been given back. What connections
 * hold because their peers do not read leaves a quarter of the budget to requests that come and go:
 * otherwise nobody could send one as long as the others do not read.
 *
 * Bytes of a store's item that several connections send are counted once for each loop
 * (kv_tally_pin): the item is in memory once, however many send it.
 *
 * Threads: a budget: any; a tally, and all that is counted by it: its loop's.
 */
#ifndef KV_BASE_BUDGET_H
#define KV_BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/table.h"

struct kv_budget;

/* Whoever is to resume the waiters (kv_tally_resume). The caller's memory. */
struct kv_waits {
    void (*on_begin)(struct kv_waits *waits); /* the first of them begins to wait */
};

enum {
    KV_TALLY_FLOOR = 16 << 10, /* bytes that a connection may always hold */
    KV_TALLY_LONGEST_STEP = 256 << 10,
};

/* That of one loop. */
struct kv_tally {
    struct kv_budget *budget;
    int64_t unreported;     /* bytes since the last report */
    int64_t step;           /* from which on they are reported */
    struct kv_list waiting; /* struct kv_waiter */
    struct kv_table pins;
    struct kv_waits *waits; /* NULL: none */
};

/* limit: bytes. Owns: the caller, by kv_budget_destroy(), which accepts NULL. */
struct kv_budget *kv_budget_create(size_t limit, uint32_t n_loops);
void kv_budget_destroy(struct kv_budget *budget);

/* How much is in use, and the limit: bytes. Threads: any. */
size_t kv_budget_used(const struct kv_budget *budget);
size_t kv_budget_limit(const struct kv_budget *budget);

/* Whether much less is in use than at the most since this was last true. */
bool kv_budget_has_fallen(struct kv_budget *budget);

/* What is to be left of it before those who wait go on. */
size_t kv_budget_reserve(const struct kv_budget *budget);

/* The tally of a loop. Lent. Accepts NULL. */
struct kv_tally *kv_budget_tally(struct kv_budget *budget, uint32_t loop);

/* Whether the budget is exceeded, or something waits on any loop. */
bool kv_budget_is_strained(const struct kv_budget *budget);

/* Functions that count or ask accept NULL for the tally: then nothing is counted or limited. Those
 * that report, begin a wait, watch or resume need one. */

void kv_tally_report(struct kv_tally *tally);

/* Counts so many bytes more, or fewer. */
static inline void kv_tally_add(struct kv_tally *tally, int64_t bytes)
{
    if (tally == NULL)
        return;
    tally->unreported += bytes;
    if (tally->unreported >= tally->step || tally->unreported <= -tally->step)
        kv_tally_report(tally);
}

/* The bytes that are left of the budget: to what a request needs. */
size_t kv_tally_left(const struct kv_tally *tally);

/* The bytes that are left of three quarters of it: to what is kept until a client takes it. */
size_t kv_tally_spare(const struct kv_tally *tally);

/* How much a connection may hold: no more than `most`, nor than can be spared, but for a floor. So
 * n connections that hold all they may leave one share of n + 1 free besides, and none can starve
 * the others (dynamic thresholds: Choudhury and Hahne, 1998). */
static inline size_t kv_tally_allowance(const struct kv_tally *tally, size_t most)
{
    size_t spare = kv_tally_spare(tally);
    if (spare < KV_TALLY_FLOOR)
        spare = KV_TALLY_FLOOR;
    return spare < most ? spare : most;
}

/* Whether a connection that holds `used` bytes holds less than it may. Most hold little, and need
 * no look at what is left. */
static inline bool kv_tally_allows(const struct kv_tally *tally, size_t used, size_t most)
{
    return used < most && (used < KV_TALLY_FLOOR || used < kv_tally_spare(tally));
}

/* Counts the bytes if so many are left. More than half of the budget need no more than that half
 * left, as otherwise they might never be. */
bool kv_tally_try_add(struct kv_tally *tally, size_t bytes);

/* Counts an item that `ref` keeps in memory, once for all who pin it; and no longer. */
void kv_tally_pin(struct kv_tally *tally, const void *ref, size_t bytes);
void kv_tally_unpin(struct kv_tally *tally, const void *ref, size_t bytes);

/* Something that waits for memory. The caller's memory, zero at first. */
struct kv_waiter {
    struct kv_list in_waiting;
    void (*resume)(struct kv_waiter *waiter);
};

void kv_waiter_init(struct kv_waiter *waiter, void (*resume)(struct kv_waiter *waiter));

static inline bool kv_waiter_is_waiting(const struct kv_waiter *waiter)
{
    return !kv_list_is_empty(&waiter->in_waiting);
}

/* Has `resume` called once there is memory again. */
void kv_tally_wait(struct kv_tally *tally, struct kv_waiter *waiter);
void kv_tally_stop_waiting(struct kv_tally *tally, struct kv_waiter *waiter);

/* waits: lent until the next call; NULL for none. */
void kv_tally_watch(struct kv_tally *tally, struct kv_waits *waits);

/* Resumes those that have waited, as long as there is memory. */
void kv_tally_resume(struct kv_tally *tally);

/* What one thing counts for. All zero counts for nothing. */
struct kv_charge {
    struct kv_tally *tally;
    size_t bytes;
};

static inline void kv_charge_set(struct kv_charge *charge, size_t bytes)
{
    kv_tally_add(charge->tally, (int64_t)bytes - (int64_t)charge->bytes);
    charge->bytes = bytes;
}

#endif
