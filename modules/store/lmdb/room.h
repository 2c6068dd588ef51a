/*
 * The remaining room of the file.
 */
#ifndef KV_LMDB_ROOM_H
#define KV_LMDB_ROOM_H

#include "engine.h"

enum {
    MOST_KEYS = 1000 /* of a commit: larger ones make the list of free pages cost more than rows */
};

/* Numbers of pages that the commit `txn_id` has freed. */
typedef void (*take_pages_fn)(void *context, size_t txn_id, const size_t *numbers, size_t n);

/* The free pages of the file. Returns: an error of LMDB, or 0. */
int walk_free_pages(struct kv_engine *engine, take_pages_fn take, void *context);

/* Pages that are kept from rows, for commits and erasing. */
size_t room_reserve(const struct kv_engine *engine);

void room_fini(struct kv_engine *engine);

/* As in kv_engine_ops. */
void engine_count_room(struct kv_engine *engine, bool may_grow);
bool engine_has_room(struct kv_engine *engine, size_t key_len, size_t value_len,
                     const struct kv_slice *old, bool is_taken);
uint32_t engine_commit_limit(struct kv_engine *engine);

#endif
