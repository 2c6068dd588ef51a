/*
 * The reloads that have not reached every loop. Loops take new settings in turns of their own; a
 * reload is reported in the log only when no loop uses the previous settings any more.
 *
 * The main thread does not wait for that: a loop that is kept busy delays the report, but neither
 * signals nor further reloads.
 *
 * Threads: the main one.
 */
#ifndef KV_DAEMON_ROLLOUTS_H
#define KV_DAEMON_ROLLOUTS_H

#include "base/log_lines.h"
#include "loop/loop.h"

struct kv_rollouts;

/* loops: lent. done: is called when all loops have taken a reload, on the thread of one of them;
 * it has the main thread call kv_rollouts_finish(). Owns: the caller, by kv_rollouts_destroy(). */
struct kv_rollouts *kv_rollouts_create(struct kv_loop *const *loops, uint32_t n_loops,
                                       void (*done)(void));

/* Call after the loops have ended. Reloads that were not reported are not logged. Accepts NULL. */
void kv_rollouts_destroy(struct kv_rollouts *rollouts);

/* Call once everything has been posted to the loops. lines: the report; taken over. */
void kv_rollouts_begin(struct kv_rollouts *rollouts, struct kv_log_lines lines);

/* Logs the reports of the reloads that all loops have taken. Returns: whether that is true of every
 * reload. */
bool kv_rollouts_finish(struct kv_rollouts *rollouts);

#endif
