/*
 * What operators are shown of a store or a partition. The worker keeps the report up to date; any
 * thread may read it.
 */
#ifndef KV_STORE_REDIS_REPORT_H
#define KV_STORE_REDIS_REPORT_H

#include "shared.h"

/* The state's texts are its own: not to be copied. */
struct reported {
    struct kv_part_state state;
    char node[REPORTED_NODE];
    char fault[REPORTED_FAULT];
};

void report_init(struct report *report);
void report_fini(struct report *report);

/* Whether there is a connection, and to which node. fault: why there is none. By the worker. */
void report_connection(struct kv_store *store, bool is_connected, const char *fault);

/* All changes up to now have been taken. By the worker. */
void report_whole(struct kv_store *store);

/* Redis's clock is known anew. By the worker. */
void report_clock(struct kv_store *store, int64_t least_ahead_ms, int64_t most_ahead_ms);

/* How many commands there are. By the worker. */
void report_commands(struct kv_store *store);

/* Sets all but the holder. n_held: commands that somebody else holds. Threads: any. */
void report_read(struct kv_store *store, uint64_t n_held, struct reported *ret);

#endif
