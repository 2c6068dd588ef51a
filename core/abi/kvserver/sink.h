/*
 * Notification sinks: where changes go besides subscribers. The host keeps the queue of each sink
 * (bounded, in order per key), retries with backoff, counts, and calls the sink on a thread that
 * belongs to it alone; so a sink is a few synchronous calls of its library.
 *
 * check(), open() and close() are called by the server's main thread, before that thread begins and
 * after it has ended; deliver() and reopen() by that thread only.
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

/* As it stands in an event's JSON. */
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
    struct kv_slice previous; /* DELETE, EXPIRE: what was taken away; else empty */
    uint64_t revision;
    int64_t time_us;      /* wall clock of the commit, microseconds since 1970 */
    struct kv_slice json; /* the whole event as one JSON object, without a line end: id, type, key,
                             value or previous, revision, time (RFC 3339, UTC) */
};

/* The host of a sink: struct kv_host with what sinks need besides. */
struct kv_sink_host {
    struct kv_host base;

    /* Of the events that the deliver() under way settles, so many were given up: they count as
     * dropped. */
    void (*gave_up)(const struct kv_sink_host *host, uint64_t n);

    /* Whether the time for delivering is over: a deliver() that waits is to return soon, whatever
     * it has settled. Threads: any. */
    bool (*is_ending)(const struct kv_sink_host *host);

    /* The deliver() under way settles this event although its peer will never take it: it counts as
     * dropped, and the operator is told which it was, and why. Since 1.3. */
    void (*drop)(const struct kv_sink_host *host, const struct kv_event *event, const char *format,
                 ...) KV_PRINTF(3, 4);

    /* The deliver() under way ends because the peer, which was there, refused the first event that
     * is not settled, or broke off at it. It may be that event's own fault: it comes again alone,
     * and is dropped where it was refused ten times alone. Since 1.3. */
    void (*refused)(const struct kv_sink_host *host);
};

struct kv_sink_ops {
    uint32_t size; /* sizeof(struct kv_sink_ops) */

    /* As kv_store_ops.open. An outside peer that is not there yet is no error: deliver() says so.
     */
    int (*open)(const struct kv_sink_host *host, const struct kv_option_value *options,
                struct kv_sink **ret_sink, struct kv_error *reterr);

    /* Delivers events in order. May block, for as long as its own time-outs allow. Returns how many
     * from the front are settled (delivered, or given up for good); fewer than n means that the
     * host is to wait and to come again with the rest, and *reterr says why, with the peer's
     * address where there is one. */
    size_t (*deliver)(struct kv_sink *sink, const struct kv_event *events, size_t n,
                      struct kv_error *reterr);

    /* The operator asked to reopen files (SIGHUP). May be NULL. */
    void (*reopen)(struct kv_sink *sink);

    void (*close)(struct kv_sink *sink);

    kv_check_fn check; /* since 1.3; may be NULL (check.h) */
};

#endif
