/*
 * Whether the store can serve, as reported by the store. Threads: any.
 */
#ifndef KV_KEYSPACE_HEALTH_H
#define KV_KEYSPACE_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    KV_HEALTH_REASON = 256 /* bytes of a reason that are compared */
};

struct kv_health {
    const char *store_name; /* for the log */
    atomic_bool is_ill;
    pthread_mutex_t lock;          /* keeps the lines in the log in order */
    char reason[KV_HEALTH_REASON]; /* the last one that was logged */
    int64_t logged_ms, pause_ms;   /* the time of the last line; and the pause until the next */
};

/* store_name: lent. */
void kv_health_init(struct kv_health *health, const char *store_name);
void kv_health_fini(struct kv_health *health);

/* Logs a change, and new reasons, at ever longer intervals. why: the reason why the store cannot
 * serve; may be NULL. */
void kv_health_set(struct kv_health *health, bool is_well, const char *why);

static inline bool kv_health_is_good(const struct kv_health *health)
{
    return !atomic_load_explicit(&health->is_ill, memory_order_relaxed);
}

#endif
