/*
 * The settings of the HTTP server: its limits, and the service for upgraded connections.
 */
#ifndef KV_HTTP_CONFIG_H
#define KV_HTTP_CONFIG_H

#include "access/principal.h"
#include "base/buffer.h"
#include "net/connection.h"
#include "protocol/hello.h"

/* Whether /console/ is served. */
enum kv_console {
    KV_CONSOLE_AUTO, /* while other machines cannot reach the server */
    KV_CONSOLE_ON,
    KV_CONSOLE_OFF,
};

/* The limits, which may change while the server runs. */
struct kv_http_limits {
    size_t max_key_bytes;
    size_t max_value_bytes;
    uint32_t max_depth;      /* of a value, not counting the object around it */
    uint32_t max_pending;    /* commands of one connection: beyond this it is not read */
    size_t max_unsent_bytes; /* of one connection: beyond this it is not read */
    uint32_t max_batch;      /* messages */
    struct kv_hello hello;
};

struct kv_http_config {
    struct kv_http_limits limits;
    bool has_fast_path; /* plain requests are served without libh2o (fast.h) */
    bool has_deflate;   /* WebSockets may be compressed (wire/deflate_offer.h) */
    enum kv_console console;
    const struct kv_slice *origins; /* patterns (wire/host_pattern.h), besides this machine's */
    size_t n_origins;
    const struct kv_slice *hosts; /* patterns of hosts that requests may name while the server
                                     listens on loopback only */
    size_t n_hosts;
};

/* Dependencies of the server other than the store. The caller's memory. */
struct kv_readiness {
    /* Appends members of a JSON object, each with a leading comma. Threads: any. */
    void (*describe)(const struct kv_readiness *self, struct kv_buffer *out);
};

/* The service for connections that become WebSockets. The caller's memory. */
struct kv_http_upgrade {
    /* Called on the loop with that index; the connection's input is what the peer sent after the
     * request. before: the client of that, for kv_client_succeed(); lent during the call.
     * window_bits: of compressed messages to the client; 0: no compression in either direction. */
    void (*open)(struct kv_http_upgrade *self, uint32_t loop, struct kv_connection *connection,
                 struct kv_client *before, uint8_t window_bits);
};

#endif
