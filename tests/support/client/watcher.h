/*
 * A subscriber of a prefix, with `meta`, that keeps the history which it was told, and can come
 * back with `since`. Keys are numbers behind the prefix, values are numbers above 0.
 *
 * Errors: changes that are collapsed, or not in the order of revisions, fail the test.
 */
#ifndef KV_TEST_WATCHER_H
#define KV_TEST_WATCHER_H

#include "support/client/ws.h"

/* A change, as the subscriber sees it. */
struct kv_test_change {
    uint64_t revision;
    char text[56]; /* key, reason and value, as `7 set 31` */
};

struct kv_test_watcher {
    struct kv_test_ws ws;
    const char *prefix;
    struct kv_test_change *history; /* since `initial`, or the last reset */
    size_t n, capacity;
    bool is_synced;
    int n_resets;
    int n_states;  /* of `initial` */
    uint64_t base; /* of the first `synced` of the history */
    uint64_t mark; /* to resume from; 0: none */
    char epoch[64];
    int *values; /* by number of the key, of states alone; NULL: not wanted */
    size_t n_values;
    bool has_values_only; /* of changes, too; there is no history then */
};

/* Connects and subscribes with `initial`. Owns: the caller, by kv_test_watcher_end(). */
void kv_test_watcher_begin(struct kv_test_watcher *watcher, uint16_t port, const char *prefix);
void kv_test_watcher_end(struct kv_test_watcher *watcher);

/* From now on the values of so many keys are kept. */
void kv_test_watcher_keep_values(struct kv_test_watcher *watcher, size_t n_values);

/* Connects anew and continues after the mark; what came behind it will come again. Without a mark,
 * it begins again. */
void kv_test_watcher_resume(struct kv_test_watcher *watcher, uint16_t port);

/* Takes what has arrived. */
void kv_test_watcher_see(struct kv_test_watcher *watcher);

#endif
