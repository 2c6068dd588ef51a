/*
 * Gathers calls of one loop that request the same operation on one key. While a write for some of
 * them is under way the others wait, and are included in the next one: so many hooks that change
 * one key cost only a few writes, and do not fail each other's conditions.
 *
 * If a write for several calls fails, each is tried alone, so that one does not affect the others.
 */
#ifndef KV_SCRIPT_GATHERING_H
#define KV_SCRIPT_GATHERING_H

#include "script/call.h"

/* The first member of the structs for kinds of gathering. */
struct kv_gathering {
    struct kv_table_node node;
    struct kv_table *table;
    struct kv_script_loop *here;
    struct kv_slice key; /* after the struct */
    struct kv_list waiting;
    struct kv_list taken; /* calls that the current write is for */
    uint32_t n_taken;
    uint32_t n_alone; /* number of waiting calls that have to be tried alone */
    struct kv_origin *origin;
};

/* Returns: NULL if no write of the key is under way. */
struct kv_gathering *kv_gathering_find(struct kv_table *table, struct kv_slice key, uint64_t hash);

/* size: of the struct whose first member it is, zeroed. Owns: itself, until destroyed. */
struct kv_gathering *kv_gathering_create(struct kv_script_loop *here, struct kv_table *table,
                                         size_t size, struct kv_slice key, uint64_t hash);
void kv_gathering_destroy(struct kv_gathering *gathering);

/* Removes the next waiting call; the caller adds it to the taken ones, or ends it. Returns: NULL if
 * there is none, or it has to wait for the taken ones. */
struct kv_script_call *kv_gathering_next(struct kv_gathering *gathering);
void kv_gathering_take(struct kv_gathering *gathering, struct kv_script_call *call);
void kv_gathering_put_back(struct kv_gathering *gathering, struct kv_script_call *call);

/* Returns the taken calls to the front of the waiting ones, in their order. */
void kv_gathering_put_all_back(struct kv_gathering *gathering);

/* Remove the first, or last, of the taken calls. Return: NULL if there is none. */
struct kv_script_call *kv_gathering_pop(struct kv_gathering *gathering);
struct kv_script_call *kv_gathering_pop_last(struct kv_gathering *gathering);

/* The write for the taken calls begins, at the returned depth; and ends. */
uint32_t kv_gathering_begin_write(struct kv_gathering *gathering);
void kv_gathering_end_write(struct kv_gathering *gathering, const struct kv_command *command);

/* The write for the taken calls has failed. A single call is resumed with the failure; several wait
 * again, to be tried alone. */
void kv_gathering_fail(struct kv_gathering *gathering, const char *why);

/* Resumes all waiting and taken calls with a failure. */
void kv_gathering_fail_all(struct kv_gathering *gathering, const char *why);

/* The server is ending: gives all calls up. */
void kv_gathering_give_up(struct kv_gathering *gathering);

/* The reason why the command failed. */
const char *kv_gathering_fault_of(const struct kv_command *command);

#endif
