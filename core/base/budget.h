/*
 * A budget: the memory that all connections together may hold. Each event loop keeps a tally of the
 * memory of its connections and reports it in steps, so loops do not contend for the shared count.
 *
 * A connection that wants to hold more asks first, and gets less the more is in use
 * (kv_tally_allowance); one that cannot continue without more memory waits (struct kv_waiter) until
 * some has been released. Memory that is held because peers do not read leaves a quarter of the
 * budget to requests: otherwise no client could send a request as long as the others do not read.
 *
 * Bytes of a store's item that several connections send are counted once for each loop
 * (kv_tally_pin): the item is in memory once, however many send it.
 *
 * Threads: a budget: any; a tally, and everything counted by it: its loop's.
 */
#ifndef KV_BASE_BUDGET_H
#define KV_BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/table.h"

struct kv_budget;

/* The owner, which resumes the waiters (kv_tally_resume). The caller's memory. */
struct kv_waits {
    void (*on_begin)(struct kv_waits *waits); /* the first waiter begins to wait */
};

enum {
    KV_TALLY_FLOOR = 16 << 10, /* bytes that a connection may always hold */
    KV_TALLY_LONGEST_STEP = 256 << 10,
};

/* The tally of one loop. */
struct kv_tally {
    struct kv_budget *budget;
    int64_t unreported;     /* bytes since the last report */
    int64_t step;           /* bytes after which they are reported */
    struct kv_list waiting; /* struct kv_waiter */
    struct kv_table pins;
    struct kv_waits *waits; /* NULL: none */
};

/* limit: bytes. Owns: the caller, by kv_budget_destroy(), which accepts NULL. */
struct kv_budget *kv_budget_create(size_t limit, uint32_t n_loops);
void kv_budget_destroy(struct kv_budget *budget);

/* The bytes in use, and the limit. Threads: any. */
size_t kv_budget_used(const struct kv_budget *budget);
size_t kv_budget_limit(const struct kv_budget *budget);

/* Whether much less is in use than at the peak since this was last true. */
bool kv_budget_has_fallen(struct kv_budget *budget);

/* The bytes that must be left before waiters are resumed. */
size_t kv_budget_reserve(const struct kv_budget *budget);

/* The tally of a loop. Lent. Accepts NULL. */
struct kv_tally *kv_budget_tally(struct kv_budget *budget, uint32_t loop);

/* Whether the budget is exceeded, or something waits on any loop. */
bool kv_budget_is_strained(const struct kv_budget *budget);

/* Functions that count or query accept NULL for the tally: then nothing is counted or limited.
 * Functions that report, begin a wait, watch or resume need one. */

void kv_tally_report(struct kv_tally *tally);

/* Adds to the count. */
static inline void kv_tally_add(struct kv_tally *tally, int64_t bytes)
{
    if (tally == NULL)
        return;
    tally->unreported += bytes;
    if (tally->unreported >= tally->step || tally->unreported <= -tally->step)
        kv_tally_report(tally);
}

/* The bytes left of the budget, for what a request needs. */
size_t kv_tally_left(const struct kv_tally *tally);

/* The bytes left of three quarters of the budget, for data that is kept until a client takes it. */
size_t kv_tally_spare(const struct kv_tally *tally);

/* The bytes that a connection may hold: no more than `most`, nor than the spare bytes, but at least
 * a floor. So n connections that hold all they may leave one share of n + 1 free, and none can
 * starve the others (dynamic thresholds: Choudhury and Hahne, 1998). */
static inline size_t kv_tally_allowance(const struct kv_tally *tally, size_t most)
{
    size_t spare = kv_tally_spare(tally);
    if (spare < KV_TALLY_FLOOR)
        spare = KV_TALLY_FLOOR;
    return spare < most ? spare : most;
}

/* Whether a connection that holds `used` bytes may hold more. Most connections hold little, which
 * needs no look at the budget. */
static inline bool kv_tally_allows(const struct kv_tally *tally, size_t used, size_t most)
{
    return used < most && (used < KV_TALLY_FLOOR || used < kv_tally_spare(tally));
}

/* Counts the bytes if that many are left. Requests for more than half of the budget only need that
 * half left, as otherwise they might never succeed. */
bool kv_tally_try_add(struct kv_tally *tally, size_t bytes);

/* Count an item that `ref` keeps in memory, once for all who pin it; and stop counting it. */
void kv_tally_pin(struct kv_tally *tally, const void *ref, size_t bytes);
void kv_tally_unpin(struct kv_tally *tally, const void *ref, size_t bytes);

/* A waiter for memory. The caller's memory, zero at first. */
struct kv_waiter {
    struct kv_list in_waiting;
    void (*resume)(struct kv_waiter *waiter);
};

void kv_waiter_init(struct kv_waiter *waiter, void (*resume)(struct kv_waiter *waiter));

static inline bool kv_waiter_is_waiting(const struct kv_waiter *waiter)
{
    return !kv_list_is_empty(&waiter->in_waiting);
}

/* Has `resume` called once memory is available. */
void kv_tally_wait(struct kv_tally *tally, struct kv_waiter *waiter);
void kv_tally_stop_waiting(struct kv_tally *tally, struct kv_waiter *waiter);

/* waits: lent until the next call; NULL for none. */
void kv_tally_watch(struct kv_tally *tally, struct kv_waits *waits);

/* Resumes waiters, as long as memory is available. */
void kv_tally_resume(struct kv_tally *tally);

/* The amount that one object counts. All zero: nothing. */
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
