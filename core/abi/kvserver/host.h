/*
 * Services of the server for modules of every kind. A module calls the server only through the host
 * that its `open` was given; each kind of module extends it (see store.h).
 */
#ifndef KVSERVER_HOST_H
#define KVSERVER_HOST_H

#include <kvserver/types.h>

struct kv_host;

/* Every function may be called from any thread, at any time from `open` until `close` returns,
 * and under the module's own locks; none blocks on another thread. */
struct kv_host {
    uint32_t size; /* of the whole host struct as the server was built */

    /* The clock of deadlines, rounded down to a millisecond: CLOCK_BOOTTIME, or a test's own. A
     * deadline has passed if it is at or before this time. The server's clock turns to the next
     * millisecond when the wall clock does, unless the wall clock was set meanwhile. */
    int64_t (*now_ms)(const struct kv_host *host);

    /* The wall clock in microseconds since 1970. */
    int64_t (*wall_us)(const struct kv_host *host);

    /* One line for the operator; the server adds the time and the module's name. */
    void (*log)(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
        KV_PRINTF(3, 4);
};

#endif
