/*
 * The access log: lines in the server's log for a random sample of clients' requests and messages.
 * Off unless the configuration asks for it (`log.access`).
 *
 * A line has the beginning of a key or path, and neither a query nor a header, so no token. A
 * thread writes the lines (base/log_writer.h), and drops them if it does not keep up.
 *
 * When a protocol answers a request or message, it asks its loop's lot whether to log it, and
 * describes it if so.
 */
#ifndef KV_PROTOCOL_REQUEST_LOG_H
#define KV_PROTOCOL_REQUEST_LOG_H

#include <stdatomic.h>

#include "keyspace/client.h"

/* The server's. Zero to begin with: nothing is logged. */
struct kv_request_log {
    _Atomic uint32_t every; /* one request in this many is logged; 0: none */
};

/* A loop's random selection of requests to log. */
struct kv_request_lot {
    const struct kv_request_log *log;
    uint64_t state; /* of a random number generator */
};

/* log: lent; NULL: nothing is logged. */
struct kv_request_lot kv_request_lot_of(const struct kv_request_log *log, uint32_t loop);

/* The rare part of kv_request_lot_draw(). */
bool kv_request_lot_is_drawn(struct kv_request_lot *lot, uint32_t every);

/* Whether to log this request. At random, as clients may repeat the same sequence. */
static inline bool kv_request_lot_draw(struct kv_request_lot *lot)
{
    uint32_t every = atomic_load_explicit(&lot->log->every, memory_order_relaxed);
    return __builtin_expect(every != 0, 0) && kv_request_lot_is_drawn(lot, every);
}

/* A request to log. Texts are UTF-8, except for `path`; lent. */
struct kv_logged_request {
    const char *transport; /* "http", "websocket", "batch" */
    const char *method;    /* of HTTP; NULL: see `operation`, or there is none */
    const char *operation; /* as in metrics; NULL: not a command */
    struct kv_slice key;   /* bytes NULL: none */
    struct kv_slice path;  /* without the query; bytes NULL: none */
    int status;            /* an HTTP status, for all transports */
    const char *outcome;   /* of the command; NULL: there was none */
    size_t bytes;          /* of the value, or of the answer's body */
    int64_t began_ns;      /* the turn in which it came; 0: unknown */
};

/* The entry for a finished command. */
struct kv_logged_request kv_logged_request_of(const char *transport,
                                              const struct kv_command *command);

/* Writes the line. client: the sender. */
void kv_request_log_write(const struct kv_logged_request *request, const struct kv_client *client);

#endif
