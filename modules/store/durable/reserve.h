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
    const char *path; /* of the store */
    char *file;       /* NULL: there is none to be had */
    bool is_held;
};

/* path: lives as long as the reserve. Takes what an earlier opening has left; makes nothing. */
void reserve_init(struct reserve *reserve, const char *path);
void reserve_fini(struct reserve *reserve);

/* Sets so many bytes aside, if the disk has room for them and some megabytes more; otherwise there
 * is no reserve. */
enum kv_engine_status reserve_make(struct reserve *reserve, size_t size);

/* Returns: whether there was something to be given up. */
bool reserve_give_up(struct reserve *reserve);

#endif
