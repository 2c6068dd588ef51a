/*
 * The keys of changes that the engine lacks, in byte order, for walks through the engine. Their
 * states are in memory (states.h).
 *
 * The writer only appends. The keys are sorted when a walk asks for them, so a store without lists
 * does not pay for it.
 *
 * Threads: any; overlay_reserve() and the functions that add are the writer's.
 */
#ifndef KV_DURABLE_OVERLAY_H
#define KV_DURABLE_OVERLAY_H

#include "entry.h"

struct overlay;

/* Returns: NULL if memory runs out. */
struct overlay *overlay_create(void);
void overlay_destroy(struct overlay *overlay); /* accepts NULL */

/* Room for n more. Returns: false if memory runs out. */
bool overlay_reserve(struct overlay *overlay, size_t n);

/* overlay_add() is called between these two, for each state of a record. Readers of the keys wait
 * meanwhile. */
void overlay_begin_adding(struct overlay *overlay);
void overlay_end_adding(struct overlay *overlay);

/* Adds a state that is about to be published, of the record `entry->sequence`. Takes ownership of
 * the reference. There must be room. */
void overlay_add(struct overlay *overlay, struct entry *entry);

/* The number of keys changes by this because of the added states. */
void overlay_count(struct overlay *overlay, int64_t keys);

/* The engine has the records up to this one, which changed its number of keys by `keys`. */
void overlay_applied(struct overlay *overlay, uint64_t sequence, int64_t keys);

/* Returns: the number of keys minus the number in the engine. */
int64_t overlay_more_keys(const struct overlay *overlay);

struct overlay_keys {
    struct entry **entries; /* room for `most`; in order, each with a reference */
    size_t most;
    size_t most_there; /* of them that are not deleted */
    size_t n;          /* out */
    bool has_more;     /* out: there are more than were copied */
};

/* Copies the first keys at or after `from` that begin with the prefix. Returns: false if memory
 * runs out. */
bool overlay_copy(struct overlay *overlay, struct kv_slice from, struct kv_slice prefix,
                  struct overlay_keys *ret);

#endif
