/*
 * The slow log: the latest commands that took long, for operators. Commands that finish in the turn
 * in which they came are never in it: none of them takes long by itself.
 *
 * Bounded: so many commands, with the beginnings of keys and names; and so many lines of the log a
 * second.
 */
#ifndef KV_KEYSPACE_SLOW_LOG_H
#define KV_KEYSPACE_SLOW_LOG_H

#include "keyspace/client.h"

enum {
    KV_SLOW_LOG_ENTRIES = 128,
    KV_SLOW_LOG_TEXT = 65 /* with NUL */
};

/* Texts are UTF-8; of longer ones the beginning. */
struct kv_slow_command {
    uint64_t number;    /* 1, 2, … since the start */
    int64_t at_unix_ms; /* when it had finished */
    int64_t took_ns;
    const char *operation; /* constant */
    const char *outcome;   /* constant; NULL: it has no name */
    size_t key_len;        /* of the whole key */
    char key[KV_SLOW_LOG_TEXT];
    char client[KV_SLOW_LOG_TEXT];  /* its name; empty: it has none */
    char address[KV_SLOW_LOG_TEXT]; /* the same */
};

struct kv_slow_log;

/* least_ms: what takes less is not slow. Owns: the caller, by kv_slow_log_destroy(), which accepts
 * NULL. */
struct kv_slow_log *kv_slow_log_create(int64_t least_ms);
void kv_slow_log_destroy(struct kv_slow_log *log);

/* What takes less is not slow, from now on. Threads: any. */
void kv_slow_log_set(struct kv_slow_log *log, int64_t least_ms);

/* A command is handed back, on its loop. Threads: any. */
void kv_slow_log_note(struct kv_slow_log *log, const struct kv_command *command, int64_t took_ns);

/* The latest first. Returns: how many. Threads: any. */
size_t kv_slow_log_read(struct kv_slow_log *log, struct kv_slow_command ret[KV_SLOW_LOG_ENTRIES]);

#endif
