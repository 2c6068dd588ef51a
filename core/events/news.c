/*
 * A state is written once for all streams of the loop that need the same form. The id depends on
 * the stream: it precedes the event if the event is a mark to resume from.
 */
#include "events/news.h"

#include "protocol/telling.h"
#include "wire/event_text.h"

/* Identify the forms made here. */
static const char makers[KV_N_TELLING_WAYS];

static struct kv_keyspace *keyspace_of(const struct kv_stream *stream)
{
    return kv_keyspace_of(stream->here->keyspace);
}

static struct kv_stream *stream_of(const struct kv_subscriber *subscriber)
{
    return kv_subscriber_client(subscriber)->owner;
}

/* The loop's buffer, emptied. */
static struct kv_buffer *blank(const struct kv_stream *stream)
{
    stream->here->text.len = 0;
    return &stream->here->text;
}

static void append_id(struct kv_buffer *out, const struct kv_stream *stream, uint64_t revision)
{
    kv_event_append_id(out, kv_slice_of(kv_keyspace_epoch(keyspace_of(stream))), revision);
}

/* Notes that something was queued. */
static void note_queued(struct kv_stream *stream)
{
    stream->queued_ms = kv_loop_now_ms(stream->here->loop);
    kv_stream_activate(stream);
}

/* ---- states ---- */

#define STATE_END KV_SLICE("}\n\n")

/* head: the event up to the value. A value with several lines is copied. */
static struct kv_piece *finish(const struct kv_stream *stream, struct kv_buffer *head,
                               const struct kv_item *state)
{
    struct kv_tally *tally = stream->out.chunks->tally;
    struct kv_slice none = {0};
    if (!kv_event_is_one_line(state->value)) {
        kv_event_append(head, state->value);
        return kv_piece_create(tally, none, kv_buffer_slice(head), none, STATE_END);
    }
    if (state->value.len <= KV_OUTBOUND_LARGEST_COPY)
        return kv_piece_create(tally, none, kv_buffer_slice(head), state->value, STATE_END);
    return kv_piece_create_held(tally, none, kv_buffer_slice(head),
                                kv_keyspace_hold(keyspace_of(stream), state), STATE_END);
}

static struct kv_piece *write_state(const struct kv_stream *stream,
                                    const struct kv_delivery *delivery)
{
    struct kv_buffer *out = blank(stream);
    kv_event_begin(out, kv_telling_type(delivery->news));
    kv_telling_begin_state(out, keyspace_of(stream), delivery);
    return finish(stream, out, &delivery->news->state);
}

static void release_piece(void *made)
{
    kv_piece_unref(made);
}

static void send_id(struct kv_stream *stream, uint64_t revision)
{
    struct kv_buffer *out = blank(stream);
    append_id(out, stream, revision);
    kv_outbound_append(&stream->out, kv_buffer_slice(out));
}

static void on_state(struct kv_subscriber *subscriber, const struct kv_delivery *delivery)
{
    struct kv_stream *stream = stream_of(subscriber);
    if (stream->is_ending)
        return;
    struct kv_form *form = kv_news_form(delivery->news, &makers[kv_telling_way(delivery)]);
    if (form->made == NULL) {
        form->made = write_state(stream, delivery);
        form->release = release_piece;
    }
    if (delivery->is_mark)
        send_id(stream, delivery->news->revision);
    kv_outbound_append_piece(&stream->out, form->made);
    note_queued(stream);
}

/* ---- notices of subscriptions ---- */

static void send(struct kv_stream *stream, struct kv_buffer *out)
{
    kv_buffer_append(out, KV_EVENT_END);
    if (stream->is_ending)
        return;
    kv_outbound_append(&stream->out, kv_buffer_slice(out));
    note_queued(stream);
}

/* One id applies to all subscriptions: it has to wait for the last of them. */
static void on_synced(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      uint64_t revision)
{
    struct kv_stream *stream = stream_of(subscriber);
    struct kv_buffer *out = blank(stream);
    if (subscriber->n_unsynced == 0 && revision != 0)
        append_id(out, stream, revision);
    kv_event_begin(out, KV_SLICE("synced"));
    kv_telling_write_synced(out, keyspace_of(stream), pattern, revision);
    send(stream, out);
}

/* The empty id makes a client forget its last one. */
static void on_reset(struct kv_subscriber *subscriber, const struct kv_pattern *pattern)
{
    struct kv_stream *stream = stream_of(subscriber);
    struct kv_buffer *out = blank(stream);
    kv_buffer_append(out, KV_SLICE("id:\n"));
    kv_event_begin(out, KV_SLICE("reset"));
    kv_telling_write_reset(out, keyspace_of(stream), pattern);
    send(stream, out);
}

/* The client will reconnect, and may find the store working again; or it needs another token. */
static void on_failed(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      int status)
{
    (void)pattern;
    if (status == KV_FORBIDDEN)
        kv_stream_end_unauthorized(stream_of(subscriber));
    else
        kv_stream_end(stream_of(subscriber));
}

const struct kv_subscriber_ops kv_events_subscriber_ops = {
    .on_state = on_state, .on_synced = on_synced, .on_reset = on_reset, .on_failed = on_failed};
