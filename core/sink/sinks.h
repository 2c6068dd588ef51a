/*
 * The host of the sinks: an observer of the keyspace that adds each change to the queue of every
 * sink that selects it, and a thread for each sink that delivers, retries and counts.
 *
 *   kv_sinks_open()     opens the modules, and their queues
 *   kv_sinks_start()    starts the threads, once the keyspace exists
 *   kv_sinks_ask_to_end(), kv_sinks_cut_short()   deliver waiting events for a limited time
 *   kv_sinks_end()      ends the threads
 *   kv_sinks_close()
 *
 * Order: a key's changes come on one loop, and are delivered in that order, each until it is
 * settled. Threads: the functions above belong to one thread. Locks: each sink has one, for its
 * queue, held for a few instructions, and never while the module is called.
 */
#ifndef KV_SINK_SINKS_H
#define KV_SINK_SINKS_H

#include <kvserver/sink.h>

#include "base/metrics.h"
#include "keyspace/keyspace.h"
#include "sink/config.h"

struct kv_sinks;

/* Lent until kv_sinks_close(): the configurations, and everything they point to.
 * Returns: NULL and *reterr, and in *ret_failed the index of the one that failed. */
struct kv_sinks *kv_sinks_open(const struct kv_sink_config *configs, size_t n, size_t *ret_failed,
                               struct kv_error *reterr);

/* To be added to the keyspace's observers. */
struct kv_observer *kv_sinks_observer(struct kv_sinks *sinks);

int kv_sinks_start(struct kv_sinks *sinks, struct kv_keyspace *keyspace, struct kv_error *reterr);

/* The operator requests reopening of files. Threads: any. */
void kv_sinks_reopen(struct kv_sinks *sinks);

/* From now on no sink holds writes back. Threads: any. */
void kv_sinks_stop_blocking(struct kv_sinks *sinks);

/* Ending, after the keyspace is finished and before it is destroyed: */

/* Delivers waiting events, until `until_ms` of CLOCK_BOOTTIME at most. */
void kv_sinks_ask_to_end(struct kv_sinks *sinks, int64_t until_ms);

/* Ends delivery: modules should return. */
void kv_sinks_cut_short(struct kv_sinks *sinks);

bool kv_sinks_have_ended(const struct kv_sinks *sinks);

/* Writes their metrics. Threads: any. */
void kv_sinks_collect(const struct kv_sinks *sinks, struct kv_metrics_text *text);

/* Events that wait to be delivered. Threads: any. */
uint64_t kv_sinks_waiting(const struct kv_sinks *sinks);

/* Appends the sinks whose events have not been delivered: `sink/redis (1 event), sink/file (2
 * events)`. */
void kv_sinks_describe(const struct kv_sinks *sinks, struct kv_buffer *out);

/* Call after the above: does not wait for modules. Remaining events count as dropped; the counts
 * are logged.
 * Returns: false if a module did not return: its thread continues, so its module must not be
 * unloaded, nor kv_sinks_close() be called. */
bool kv_sinks_end(struct kv_sinks *sinks);

/* Accepts NULL, and sinks that were not started. */
void kv_sinks_close(struct kv_sinks *sinks);

#endif
