/*
 * The HTTP server: listeners, connections, routes, and the storage resource. One struct kv_http
 * for the process, one struct kv_http_loop for each event loop.
 */
#ifndef KV_HTTP_HTTP_H
#define KV_HTTP_HTTP_H

#include <kvserver/types.h>

#include "keyspace/keyspace.h"
#include "loop/loop.h"
#include "loop/worker.h"

struct kv_http;
struct kv_http_loop;

struct kv_http_config {
    size_t max_key_bytes;
    size_t max_value_bytes;
    uint32_t max_depth; /* of a value: what it stands in is not counted */
    uint32_t max_connections;
    uint32_t max_pending;           /* commands of one connection: then it is not read on */
    size_t max_unsent_bytes;        /* the same */
    bool has_front;                 /* simple requests are served in front of libh2o (front.h) */
    int64_t idle_ms;                /* a connection without a request */
    int64_t request_progress_ms;    /* a request that does not go on arriving */
    int64_t stalled_reader_ms;      /* an answer that is not read */
    const struct kv_slice *origins; /* besides those of this machine */
    size_t n_origins;
};

/* Lent until kv_http_destroy(): keyspace, worker, loops, and what config points to. */
struct kv_http *kv_http_create(const struct kv_http_config *config, struct kv_keyspace *keyspace,
                               struct kv_worker *worker, struct kv_loop *const *loops,
                               uint32_t n_loops);

/* Listens on each loop. host: a name or an address; port: 0 for any that is free. Before the loops
 * run. *ret_port: the port it is. */
int kv_http_listen(struct kv_http *http, const char *host, uint16_t port, uint16_t *ret_port,
                   struct kv_error *reterr);

/* Ends service, on a loop's own thread: no new connections, idle ones are closed, those with a
 * request are closed when it is answered. */
void kv_http_drain(struct kv_http *http, uint32_t loop);

/* Closes what is left, on a loop's own thread. */
void kv_http_abort(struct kv_http *http, uint32_t loop);

/* Open connections, WebSockets included. Threads: any. */
uint32_t kv_http_n_connections(const struct kv_http *http);

/* Whether every connection has ended, and no peer still has a last answer to take (linger.c).
 * Threads: any. */
bool kv_http_is_quiet(const struct kv_http *http);

/* After the loops have ended. */
void kv_http_destroy(struct kv_http *http);

#endif
