/*
 * Lua hooks. Each script has a Lua state of its own on each event loop, so that nothing is shared
 * between threads or between scripts. Scripts are interceptors (before_set, before_delete) and
 * observers (on_set, on_delete, on_expire) of the keyspace.
 *
 *   kv_scripts_load()      compiles every script for every loop
 *   kv_scripts_start()     once the keyspace exists
 *   kv_scripts_begin()     once the keyspace is ready: on_start() is called
 *   kv_scripts_drain()     on_start() is not called any more
 *   kv_scripts_reload()    compiles all anew; a broken script keeps its previous version
 *   kv_scripts_end()       no hook begins or continues, and none holds writes back
 *   kv_scripts_destroy()   after the keyspace is finished, and before it is destroyed
 *
 * The README of this folder describes what scripts can do, and the reasons for the design.
 * Threads: one thread that is not a loop's, unless a function says otherwise.
 */
#ifndef KV_SCRIPT_SCRIPTS_H
#define KV_SCRIPT_SCRIPTS_H

#include "base/log_lines.h"
#include "keyspace/keyspace.h"
#include "script/config.h"

struct kv_scripts;

/* The configurations and everything they point to are lent until kv_scripts_destroy().
 * Returns: NULL if a script cannot be loaded: `faults` has all faults of all scripts. */
struct kv_scripts *kv_scripts_load(const struct kv_script_config *configs, size_t n,
                                   uint32_t n_loops, struct kv_script_faults *faults);
void kv_scripts_destroy(struct kv_scripts *scripts); /* accepts NULL */

/* One for each script, to be added to the keyspace's interceptors in order. */
struct kv_interceptor *kv_scripts_interceptor(struct kv_scripts *scripts, size_t i);

/* One for all scripts. */
struct kv_observer *kv_scripts_observer(struct kv_scripts *scripts);

void kv_scripts_start(struct kv_scripts *scripts, struct kv_keyspace *keyspace);
void kv_scripts_begin(struct kv_scripts *scripts); /* Threads: any */
void kv_scripts_drain(struct kv_scripts *scripts);
void kv_scripts_end(struct kv_scripts *scripts);

/* Posts the new versions to the loops, which take them in turns of their own. Faults are logged;
 * `lines` gets the report, which is true once all loops have run the posts. */
void kv_scripts_reload(struct kv_scripts *scripts, struct kv_log_lines *lines);

/* Replaces the size limits of keys and values that scripts write. sizes: copied. Threads: the
 * loop's own. */
void kv_scripts_take_sizes(struct kv_scripts *scripts, uint32_t loop,
                           const struct kv_script_sizes *sizes);

/* The number of hooks that have not ended; 0 after kv_scripts_end(). Threads: any. */
uint64_t kv_scripts_under_way(const struct kv_scripts *scripts);

#endif
