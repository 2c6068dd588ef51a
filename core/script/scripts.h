/*
 * Lua hooks. Each script has a Lua state of its own on each event loop, so that nothing is shared
 * between threads and one script's memory is not another's. Scripts stand among the keyspace's
 * interceptors (before_set, before_delete) and observers (on_set, on_delete, on_expire).
 *
 *   kv_scripts_load()      compiles every script for every loop
 *   kv_scripts_start()     once the keyspace exists
 *   kv_scripts_begin()     once the keyspace is ready: on_start() is called
 *   kv_scripts_drain()     on_start() is not called any more
 *   kv_scripts_reload()    compiles all anew; a broken script keeps its previous version
 *   kv_scripts_end()       no hook begins or goes on any more, and none holds writes back
 *   kv_scripts_destroy()   after the keyspace is finished, and before it is destroyed
 *
 * The README of this folder says what scripts can do, and why it is made so.
 * Threads: one thread that is not a loop's, unless a function says otherwise.
 */
#ifndef KV_SCRIPT_SCRIPTS_H
#define KV_SCRIPT_SCRIPTS_H

#include "keyspace/keyspace.h"
#include "script/config.h"

struct kv_scripts;

/* The configurations and all they point to are lent until kv_scripts_destroy().
 * Returns: NULL where one cannot be loaded: `faults` has got all that is wrong with any of them. */
struct kv_scripts *kv_scripts_load(const struct kv_script_config *configs, size_t n,
                                   uint32_t n_loops, struct kv_script_faults *faults);
void kv_scripts_destroy(struct kv_scripts *scripts); /* accepts NULL */

/* One for each script, to be among the keyspace's in their order. */
struct kv_interceptor *kv_scripts_interceptor(struct kv_scripts *scripts, size_t i);

/* One for all of them. */
struct kv_observer *kv_scripts_observer(struct kv_scripts *scripts);

void kv_scripts_start(struct kv_scripts *scripts, struct kv_keyspace *keyspace);
void kv_scripts_begin(struct kv_scripts *scripts); /* Threads: any */
void kv_scripts_drain(struct kv_scripts *scripts);
void kv_scripts_reload(struct kv_scripts *scripts);
void kv_scripts_end(struct kv_scripts *scripts);

/* Replaces the size limits of what scripts write. sizes: copied. Threads: the loop's own. */
void kv_scripts_take_sizes(struct kv_scripts *scripts, uint32_t loop,
                           const struct kv_script_sizes *sizes);

/* Hooks that have not ended; none, once kv_scripts_end() was called. Threads: any. */
uint64_t kv_scripts_under_way(const struct kv_scripts *scripts);

#endif
