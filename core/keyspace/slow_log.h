/*
 * The slow log: the latest slow commands, for operators. Commands that finish in the turn in which
 * they arrived are never in it, because none of them takes long by itself.
 *
 * Bounded: it keeps KV_SLOW_LOG_ENTRIES commands, with the beginnings of their keys and names, and
 * writes a limited number of lines per second to the server's log.
 */
#ifndef KV_KEYSPACE_SLOW_LOG_H
#define KV_KEYSPACE_SLOW_LOG_H

#include "keyspace/client.h"

enum {
    KV_SLOW_LOG_ENTRIES = 128,
    KV_SLOW_LOG_TEXT = 65 /* with NUL */
};

/* Texts are UTF-8, truncated if they are longer. */
struct kv_slow_command {
    uint64_t number;    /* 1, 2, … since the start */
    int64_t at_unix_ms; /* when it finished */
    int64_t took_ns;
    const char *operation; /* constant */
    const char *outcome;   /* constant; NULL: it has no name */
    size_t key_len;        /* of the whole key */
    char key[KV_SLOW_LOG_TEXT];
    char client[KV_SLOW_LOG_TEXT];  /* its name; empty: it has none */
    char address[KV_SLOW_LOG_TEXT]; /* empty: it has none */
};

struct kv_slow_log;

/* least_ms: commands that take less are not slow. Owns: the caller, by kv_slow_log_destroy(), which
 * accepts NULL. */
struct kv_slow_log *kv_slow_log_create(int64_t least_ms);
void kv_slow_log_destroy(struct kv_slow_log *log);

/* Changes least_ms from now on. Threads: any. */
void kv_slow_log_set(struct kv_slow_log *log, int64_t least_ms);

/* Notes a command that is being handed back, if it was slow. Threads: any; called on the command's
 * loop. */
void kv_slow_log_note(struct kv_slow_log *log, const struct kv_command *command, int64_t took_ns);

/* The latest first. Returns: how many. Threads: any. */
size_t kv_slow_log_read(struct kv_slow_log *log, struct kv_slow_command ret[KV_SLOW_LOG_ENTRIES]);

#endif
