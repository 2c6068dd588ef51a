/*
 * Notification sinks: destinations of changes other than subscribers. The host keeps the queue of
 * each sink (bounded, in order per key), retries with backoff, counts, and calls the sink on a
 * thread of its own; so a sink is a few synchronous calls of its library.
 *
 * The main thread of the server calls check() and open() before that thread begins, and close()
 * after it has ended; only that thread calls deliver() and reopen().
 */
#ifndef KVSERVER_SINK_H
#define KVSERVER_SINK_H

#include <kvserver/module.h>

struct kv_sink; /* the module's own: one for each entry of `sinks:` */

enum kv_event_type {
    KV_EVENT_SET = 1,
    KV_EVENT_DELETE = 2,
    KV_EVENT_EXPIRE = 3
};

/* The type's name in the JSON of an event. */
static inline const char *kv_event_type_name(enum kv_event_type type)
{
    return type == KV_EVENT_SET ? "set" : type == KV_EVENT_DELETE ? "delete" : "expire";
}

/* One change. Lent for the call. */
struct kv_event {
    enum kv_event_type type;
    struct kv_slice id;       /* `<epoch>-<revision>`: the same at every retry */
    struct kv_slice key;      /* UTF-8, any length */
    struct kv_slice value;    /* SET: the JSON text; else empty */
    struct kv_slice previous; /* DELETE, EXPIRE: the removed value; else empty */
    uint64_t revision;
    int64_t time_us;      /* wall clock of the commit, microseconds since 1970 */
    struct kv_slice json; /* the whole event as one JSON object, without a line end: id, type, key,
                             value or previous, revision, time (RFC 3339, UTC) */
};

/* The host of a sink: struct kv_host with the services that only sinks need. */
struct kv_sink_host {
    struct kv_host base;

    /* Reports how many of the events that the current deliver() settles were given up: they count
     * as dropped. */
    void (*gave_up)(const struct kv_sink_host *host, uint64_t n);

    /* Whether the time for delivering is over: a deliver() that waits should return soon, no matter
     * how much it has settled. Threads: any. */
    bool (*is_ending)(const struct kv_sink_host *host);

    /* Settles this event of the current deliver() although its peer will never take it: it counts
     * as dropped, and the reason is logged with the event. Since 1.3. */
    void (*drop)(const struct kv_sink_host *host, const struct kv_event *event, const char *format,
                 ...) KV_PRINTF(3, 4);

    /* Reports that the current deliver() ends because the peer, which was reachable, refused the
     * first unsettled event, or closed the connection on it. The event itself may be the cause, so
     * it is retried alone, and dropped after it was refused ten times alone. Since 1.3. */
    void (*refused)(const struct kv_sink_host *host);
};

struct kv_sink_ops {
    uint32_t size; /* sizeof(struct kv_sink_ops) */

    /* As kv_store_ops.open. A peer that cannot be reached yet is no error: deliver() reports
     * that. */
    int (*open)(const struct kv_sink_host *host, const struct kv_option_value *options,
                struct kv_sink **ret_sink, struct kv_error *reterr);

    /* Delivers events in order. May block, for as long as its own time-outs allow. Returns the
     * number of events from the front that are settled (delivered, or given up for good). If fewer
     * than n, the host waits and calls again with the rest; then *reterr gives the reason, with the
     * peer's address if there is one. */
    size_t (*deliver)(struct kv_sink *sink, const struct kv_event *events, size_t n,
                      struct kv_error *reterr);

    /* The operator asked to reopen files (SIGHUP). May be NULL. */
    void (*reopen)(struct kv_sink *sink);

    void (*close)(struct kv_sink *sink);

    kv_check_fn check; /* since 1.3; may be NULL (check.h) */
};

#endif
