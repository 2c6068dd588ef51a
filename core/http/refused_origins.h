/*
 * The origins that were refused, so that the operator learns of each once and no page can fill the
 * log.
 */
#ifndef KV_HTTP_REFUSED_ORIGINS_H
#define KV_HTTP_REFUSED_ORIGINS_H

#include <stdatomic.h>

#include <kvserver/types.h>

enum {
    KV_MOST_REFUSED_ORIGINS = 64 /* that are logged in an hour */
};

/* All zero, but for the time: nothing has been refused. Any thread's. */
struct kv_refused_origins {
    _Atomic uint64_t hashes[KV_MOST_REFUSED_ORIGINS]; /* 0: free */
    _Atomic int64_t forget_at_ms;
};

/* An origin for messages: a browser's as it is; of any other text as much as is printable. */
struct kv_origin_text {
    char text[128];
};
struct kv_origin_text kv_origin_text(struct kv_slice origin);

/* Logs that a page of this origin was refused `action` ("write"): once an hour for each origin, and
 * for the first KV_MOST_REFUSED_ORIGINS of the hour. Threads: any. */
void kv_refused_origins_log(struct kv_refused_origins *refused, int64_t now_ms,
                            struct kv_slice origin, const char *action);

#endif
