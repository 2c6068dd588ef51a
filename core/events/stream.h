/*
 * A stream: one connection to which the changes of its subscriptions are sent, from the response's
 * head to its end. The peer's input is discarded.
 */
#ifndef KV_EVENTS_STREAM_H
#define KV_EVENTS_STREAM_H

#include "access/access.h"
#include "base/buffer.h"
#include "base/mem.h"
#include "events/config.h"
#include "events/wish.h"
#include "keyspace/keyspace.h"
#include "net/ebb.h"
#include "net/sending.h"
#include "net/taking.h"

/* Shared by the streams of one loop. */
struct kv_events_loop {
    struct kv_events_config config; /* a copy: other loops change theirs at other times */
    struct kv_loop *loop;
    struct kv_access_loop *access;
    struct kv_keyspace_loop *keyspace;
    struct kv_list streams;
    struct kv_counter n_streams;
    struct kv_list active;
    struct kv_loop_stage stage;
    struct kv_buffer text; /* for the event being written */
    struct kv_ebb ebb;     /* while the server shuts down */
};

struct kv_stream {
    struct kv_list in_loop;
    struct kv_list in_active;
    struct kv_events_loop *here;
    struct kv_connection *connection;
    struct kv_client *client;
    struct kv_wish wish; /* until the keyspace has taken the subscriptions up */
    bool is_leaving;     /* the server is shutting down, and ends this stream */
    bool is_ending;      /* nothing more is queued: closes when all is sent */
    struct kv_outbound out;
    struct kv_timer timer;
    struct kv_timer expiry; /* of the client's identity */
    int64_t queued_ms;      /* when something was last queued */
    struct kv_taking taking;
    struct kv_sending sending; /* of a TLS record, although its text is discarded */
};

/* Has the stage process the stream. */
void kv_stream_activate(struct kv_stream *stream);

/* Ends the stream: nothing more is queued, and it closes when all is sent. */
void kv_stream_end(struct kv_stream *stream);

/* The same, with an event that tells its client that it has lost the right to the stream. */
void kv_stream_end_unauthorized(struct kv_stream *stream);

#endif
