/*
 * The settings of the HTTP server: its limits, and where upgraded connections go.
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

/* They can change while the server runs. */
struct kv_http_limits {
    size_t max_key_bytes;
    size_t max_value_bytes;
    uint32_t max_depth;      /* of a value; the object around it is not counted */
    uint32_t max_pending;    /* commands of one connection: then it is not read on */
    size_t max_unsent_bytes; /* the same */
    uint32_t max_batch;      /* messages */
    struct kv_hello hello;
};

struct kv_http_config {
    struct kv_http_limits limits;
    bool has_fast_path; /* plain requests do without libh2o (fast.h) */
    bool has_deflate;   /* WebSockets may be compressed (wire/deflate_offer.h) */
    enum kv_console console;
    const struct kv_slice *origins; /* patterns (wire/host_pattern.h), besides this machine's */
    size_t n_origins;
    const struct kv_slice *hosts; /* the same, of hosts that requests may be for while the server
                                     listens on loopback only */
    size_t n_hosts;
};

/* What the server depends on besides the store. The caller's memory. */
struct kv_readiness {
    /* Appends members of a JSON object, each behind a comma. Threads: any. */
    void (*describe)(const struct kv_readiness *self, struct kv_buffer *out);
};

/* Where connections go that become WebSockets. The caller's memory. */
struct kv_http_upgrade {
    /* On the loop of that index; the connection's input is what the peer sent after the request.
     * principal: as whom it comes; borrowed. window_bits: of what it is sent compressed; 0: it is
     * not compressed, either way. */
    void (*open)(struct kv_http_upgrade *self, uint32_t loop, struct kv_connection *connection,
                 struct kv_principal *principal, uint8_t window_bits);
};

#endif
