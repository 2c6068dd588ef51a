/*
 * A subscriber of a prefix, with `meta`, that records the history it receives, and can resume with
 * `since`. Keys are the prefix and a number, values are numbers above 0.
 *
 * Errors: changes that are collapsed or out of order fail the test.
 */
#ifndef KV_TEST_WATCHER_H
#define KV_TEST_WATCHER_H

#include "support/client/ws.h"

/* A change, as the subscriber sees it. */
struct kv_test_change {
    uint64_t revision;
    char text[56]; /* number of the key, reason and value, as `7 set 31` */
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
    int *values; /* by number of the key, only those sent as states; NULL: not kept */
    size_t n_values;
    bool has_values_only; /* values of changes, too, instead of a history */
};

/* Connects and subscribes with `initial`. Owns: the caller, by kv_test_watcher_end(). */
void kv_test_watcher_begin(struct kv_test_watcher *watcher, uint16_t port, const char *prefix);
void kv_test_watcher_end(struct kv_test_watcher *watcher);

/* Keeps the values of the first n_values keys from now on. */
void kv_test_watcher_keep_values(struct kv_test_watcher *watcher, size_t n_values);

/* Connects again and continues after the mark; changes after it are received again. Without a mark,
 * it subscribes anew. */
void kv_test_watcher_resume(struct kv_test_watcher *watcher, uint16_t port);

/* Processes all that has arrived. */
void kv_test_watcher_see(struct kv_test_watcher *watcher);

#endif
