/*
 * Calls of one loop that want the same to be done to one key. While a write for some of them is
 * under way the others gather, and go in with the next one: many hooks that change one key thus
 * cost a few writes, and do not fail each other's conditions.
 *
 * Where a write for several of them fails, each is tried alone, so that one does not spoil the
 * others.
 */
#ifndef KV_SCRIPT_GATHERING_H
#define KV_SCRIPT_GATHERING_H

#include "script/call.h"

/* The first member of what is gathered for. */
struct kv_gathering {
    struct kv_table_node node;
    struct kv_table *table;
    struct kv_script_loop *here;
    struct kv_slice key; /* behind the struct */
    struct kv_list waiting;
    struct kv_list taken; /* those that the write under way is for */
    uint32_t n_taken;
    uint32_t n_alone; /* of those that wait: they go one at a time */
    struct kv_origin *origin;
};

/* Returns: NULL where nothing is under way for the key. */
struct kv_gathering *kv_gathering_find(struct kv_table *table, struct kv_slice key, uint64_t hash);

/* size: of the struct whose first member it is, all zero. Owns: itself, until destroyed. */
struct kv_gathering *kv_gathering_create(struct kv_script_loop *here, struct kv_table *table,
                                         size_t size, struct kv_slice key, uint64_t hash);
void kv_gathering_destroy(struct kv_gathering *gathering);

/* The next of those that wait, to be put among the taken or ended. Returns: NULL where there is
 * none, or it has to wait for those that are taken. */
struct kv_script_call *kv_gathering_next(struct kv_gathering *gathering);
void kv_gathering_take(struct kv_gathering *gathering, struct kv_script_call *call);
void kv_gathering_put_back(struct kv_gathering *gathering, struct kv_script_call *call);

/* Those that are taken wait again, before the others and in their order. */
void kv_gathering_put_all_back(struct kv_gathering *gathering);

/* The first, or last, of those that are taken, which is taken no longer. Returns: NULL where there
 * is none. */
struct kv_script_call *kv_gathering_pop(struct kv_gathering *gathering);
struct kv_script_call *kv_gathering_pop_last(struct kv_gathering *gathering);

/* The write for those that are taken begins: at this depth, which is returned, and ends. */
uint32_t kv_gathering_begin_write(struct kv_gathering *gathering);
void kv_gathering_end_write(struct kv_gathering *gathering, const struct kv_command *command);

/* The write for those that are taken has failed. They go on with that, if it is one; several wait
 * again, to be tried alone. */
void kv_gathering_fail(struct kv_gathering *gathering, const char *why);

/* Those that wait, and those that are taken, go on with a failure. */
void kv_gathering_fail_all(struct kv_gathering *gathering, const char *why);

/* The server is ending: none of them goes on. */
void kv_gathering_give_up(struct kv_gathering *gathering);

/* Why the command failed. */
const char *kv_gathering_fault_of(const struct kv_command *command);

#endif
