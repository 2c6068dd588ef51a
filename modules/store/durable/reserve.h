/*
 * Room on the disk that is given up when there is no other, so that a full store can still write
 * deletes down and bring its engine up to its journal: a file of zeros, `<path>/reserve`.
 *
 * Threads: the writer's, or before it lives.
 */
#ifndef KV_DURABLE_RESERVE_H
#define KV_DURABLE_RESERVE_H

#include "engine.h"

struct reserve {
    char *file; /* NULL: there is none to be had */
    size_t size;
    bool is_held;
};

/* path: of the store. Takes what an earlier opening has left; makes nothing. */
void reserve_init(struct reserve *reserve, const char *path, size_t size);
void reserve_fini(struct reserve *reserve);

/* Sets it aside, if the disk has room for it and some more. */
enum kv_engine_status reserve_make(struct reserve *reserve);

/* Returns: whether there was something to be given up. */
bool reserve_give_up(struct reserve *reserve);

#endif
