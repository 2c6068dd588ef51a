/*
 * Disk space that is given up when there is no other, so that a full store can still log deletes
 * and bring its engine up to its journal: a file of zeros, `<path>/reserve`.
 *
 * Threads: the writer's, or another before it starts.
 */
#ifndef KV_DURABLE_RESERVE_H
#define KV_DURABLE_RESERVE_H

#include "engine.h"

struct reserve {
    const char *path; /* of the store */
    char *file;       /* NULL: none is available */
    bool is_held;
};

/* path: lives as long as the reserve. Takes over the file that an earlier opening has left; creates
 * nothing. */
void reserve_init(struct reserve *reserve, const char *path);
void reserve_fini(struct reserve *reserve);

/* Reserves that many bytes, if the disk has room for them and some megabytes more; otherwise there
 * is no reserve. */
enum kv_engine_status reserve_make(struct reserve *reserve, size_t size);

/* Returns: whether there was a reserve to give up. */
bool reserve_give_up(struct reserve *reserve);

#endif
