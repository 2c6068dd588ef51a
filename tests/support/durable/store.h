/*
 * A server over a durable store (KV_TEST_STORE, KV_TEST_MODULES) whose folder outlives it.
 */
#ifndef KV_TEST_DURABLE_STORE_H
#define KV_TEST_DURABLE_STORE_H

#include "support/client/server.h"

struct kv_test_store {
    char *disk; /* a folder in which the store creates its own */
    char *path; /* of the store: `<disk>/deep/data` */
    struct kv_test_server server;
};

/* Makes the disk; servers started from now on with kv_disk_faults.so use it. Owns: the caller, by
 * kv_test_store_remove(). */
void kv_test_store_make(struct kv_test_store *store);
void kv_test_store_remove(struct kv_test_store *store);

/* The configuration. options: of the store, each preceded by a comma (`, cache: 1MiB`). The
 * store's memory is small, so that it reads from and writes to the disk often. Owns: the caller,
 * by free(). */
char *kv_test_store_yaml(const struct kv_test_store *store, const char *options);

/* Starts the server, and returns when it is ready. */
void kv_test_store_start(struct kv_test_store *store, const char *options);

/* Makes the store, with a journal whose next file has the number after this one. */
void kv_test_store_begin_at(struct kv_test_store *store, uint64_t number);

/* The highest number of a file of the journal. */
uint64_t kv_test_store_last_number(const struct kv_test_store *store);

/* Asserts that a server started now ends with exit code 1 or 2, and a log with this message about
 * the path. */
void kv_test_store_expect_refusal(const struct kv_test_store *store, const char *path,
                                  const char *what);

/* Runs an export. Owns: the outcome, by kv_test_outcome_fini(). */
void kv_test_store_export(const struct kv_test_store *store, struct kv_test_outcome *ret);

/* Sets or clears a state of kv_disk_faults.so ("full", "broken", …). */
void kv_test_store_set(const struct kv_test_store *store, const char *state, bool is_so);

/* A number from the environment, or `fallback`. */
uint64_t kv_test_setting(const char *name, uint64_t fallback);

#endif
