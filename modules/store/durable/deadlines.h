/*
 * The next deadlines, in memory; the others stay in the engine's table. So the cost of opening and
 * the memory used do not depend on the number of keys with a deadline.
 *
 * All deadlines before the horizon are in memory, in one heap for each part; later ones are loaded
 * in time. A deadline in memory may be out of date because its key has been written since: the
 * caller that takes it must compare it with the key's state.
 *
 * Threads: the writer's only.
 */
#ifndef KV_DURABLE_DEADLINES_H
#define KV_DURABLE_DEADLINES_H

#include "engine.h"
#include "record.h"

enum {
    DEADLINES_PARTS = 8 /* the parts of the store: a key's hash decides */
};

struct deadline {
    bool is_undecided; /* taken, but its key could not be looked at */
    int64_t deadline_ms;
    uint64_t revision;
    uint64_t hash;
    size_t key_len;
    char key[];
};

struct deadline_heap {
    struct deadline **items;
    size_t n;
    size_t capacity;
};

struct deadlines {
    const struct kv_store_host *host;
    const struct kv_engine_ops *ops;
    struct kv_engine *engine;
    struct record_clock clock;
    struct deadline_heap heaps[DEADLINES_PARTS];
    size_t n;                    /* in all heaps */
    struct deadline_row horizon; /* every row before it is in a heap */
    bool is_complete;            /* there is no row beyond the horizon */
    int64_t retry_ms;            /* the table could not be read: not before then */
};

static inline uint32_t deadlines_part(uint64_t hash)
{
    return (uint32_t)(hash % DEADLINES_PARTS);
}

void deadlines_init(struct deadlines *deadlines, const struct kv_store_host *host,
                    const struct kv_engine_ops *ops, struct kv_engine *engine,
                    struct record_clock clock);
void deadlines_fini(struct deadlines *deadlines);

/* A deadline was committed. */
void deadlines_add(struct deadlines *deadlines, const struct entry *entry);

/* Whether more of them must be loaded. */
bool deadlines_are_due(const struct deadlines *deadlines, int64_t now_ms);

/* Loads the rows beyond the horizon, if that is due. All commits must be published. */
void deadlines_load(struct deadlines *deadlines, int64_t now_ms);

/* The part's first deadline, if it is due; NULL otherwise. Owns: the caller, by free() or
 * deadlines_give_back(). */
struct deadline *deadlines_take(struct deadlines *deadlines, uint32_t part, int64_t now_ms);
void deadlines_give_back(struct deadlines *deadlines, struct deadline *deadline);

/* When the part must be examined again; KV_NEVER if it has no deadlines. */
int64_t deadlines_next(const struct deadlines *deadlines, uint32_t part);

#endif
