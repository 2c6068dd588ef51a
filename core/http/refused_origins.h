/*
 * The origins that were refused, so that the log shows each of them once, and no page can fill the
 * log.
 */
#ifndef KV_HTTP_REFUSED_ORIGINS_H
#define KV_HTTP_REFUSED_ORIGINS_H

#include <stdatomic.h>

#include <kvserver/types.h>

enum {
    KV_MOST_REFUSED_ORIGINS = 64 /* logged in an hour */
};

/* All zero, except for the time: nothing has been refused. Threads: any. */
struct kv_refused_origins {
    _Atomic uint64_t hashes[KV_MOST_REFUSED_ORIGINS]; /* 0: free */
    _Atomic int64_t forget_at_ms;
};

/* An origin for messages: unchanged if a browser sent it; of any other text, the printable
 * beginning. */
struct kv_origin_text {
    char text[128];
};
struct kv_origin_text kv_origin_text(struct kv_slice origin);

/* Logs that a page of this origin was refused `action` ("write"): once an hour for each origin, up
 * to KV_MOST_REFUSED_ORIGINS origins an hour. Threads: any. */
void kv_refused_origins_log(struct kv_refused_origins *refused, int64_t now_ms,
                            struct kv_slice origin, const char *action);

#endif
