/*
 * The life of a stream: handles its channel's events, its part of the stage, and its timers.
 */
#ifndef KV_EVENTS_SERVE_H
#define KV_EVENTS_SERVE_H

#include "events/stream.h"

/* Takes the wish over. before: as for kv_events_open(). */
void kv_stream_open(struct kv_events_loop *here, struct kv_connection *connection,
                    struct kv_wish *wish, struct kv_client *before);

/* The rules of access have changed: ends the stream if they do not allow it. */
void kv_stream_revise(struct kv_stream *stream);

/* The loop's configuration has changed. */
void kv_stream_take_config(struct kv_stream *stream);

/* Closes its connection as well. Call only from its channel, its timer or the stage, never from
 * within the keyspace's calls. */
void kv_stream_destroy(struct kv_stream *stream);

/* The stage's work on one stream; may destroy it. */
void kv_stream_go_on(struct kv_stream *stream);

#endif
