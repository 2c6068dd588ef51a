/*
 * The life of a stream. A stream does not end by itself: it ends if the peer closes it, or does not
 * read, or the server shuts down, or the store cannot be read. A client reconnects with the id of
 * the last event.
 */
#include "events/serve.h"

#include <stdlib.h>

#include "events/news.h"
#include "wire/event_text.h"

enum {
    SHORTEST_TICK_MS = 20,
    LONGEST_WAIT_MS = 60000
};

/* The time after which a client reconnects. */
#define RETRY KV_SLICE("retry: 1000\n\n")

static int64_t now_ms(const struct kv_stream *stream)
{
    return kv_loop_now_ms(stream->here->loop);
}

static struct kv_channel *channel_of(const struct kv_stream *stream)
{
    return &stream->connection->channel;
}

void kv_stream_destroy(struct kv_stream *stream)
{
    if (!stream->is_leaving)
        kv_ebb_leave(&stream->here->ebb);
    kv_timer_stop(stream->here->loop, &stream->timer);
    kv_timer_stop(stream->here->loop, &stream->expiry);
    kv_list_remove(&stream->in_loop);
    kv_counter_take(&stream->here->n_streams, 1);
    kv_list_remove(&stream->in_active);
    kv_client_close(stream->client);
    kv_connection_close(stream->connection);
    kv_outbound_fini(&stream->out);
    kv_wish_fini(&stream->wish);
    free(stream);
}

/* ---- the channel ---- */

static void on_read(void *user, enum kv_channel_event event)
{
    struct kv_stream *stream = user;
    size_t len;
    if (event != KV_CHANNEL_READY) {
        kv_stream_destroy(stream);
        return;
    }
    kv_channel_input(channel_of(stream), &len);
    kv_channel_consume(channel_of(stream), len);
    kv_sending_begin(&stream->sending, 0, now_ms(stream));
}

static void on_written(void *user, enum kv_channel_event event)
{
    struct kv_stream *stream = user;
    if (event != KV_CHANNEL_READY) {
        kv_stream_destroy(stream);
        return;
    }
    kv_taking_written(&stream->taking, &stream->out, now_ms(stream));
    kv_stream_activate(stream);
}

/* ---- the stage ---- */

static void write_all(struct kv_stream *stream)
{
    kv_taking_write(&stream->taking, &stream->out, channel_of(stream), now_ms(stream));
    kv_client_make_room(stream->client);
}

void kv_stream_go_on(struct kv_stream *stream)
{
    kv_wish_fini(&stream->wish); /* the keyspace has processed the subscriptions */
    stream->is_ending |= stream->is_leaving;
    if (!stream->is_ending)
        kv_client_catch_up(stream->client);
    write_all(stream);
    if (stream->is_ending && stream->out.bytes == 0) {
        kv_stream_destroy(stream);
        return;
    }
    bool may_catch_up =
        !stream->is_ending && stream->out.in_flight == 0 && kv_client_is_behind(stream->client);
    kv_list_remove(&stream->in_active);
    if (may_catch_up)
        kv_stream_activate(stream);
}

/* ---- timers ---- */

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t tick_ms(const struct kv_events_config *config)
{
    const struct kv_patience *patience = &config->patience;
    int64_t least = least_of(patience->stalled_reader_ms,
                             least_of(patience->request_ms, patience->request_progress_ms)) /
                    2;
    return least < SHORTEST_TICK_MS ? SHORTEST_TICK_MS : least;
}

/* Proxies and clients consider a silent connection dead. */
static void keep_alive(struct kv_stream *stream)
{
    if (stream->out.in_flight != 0 || stream->is_ending ||
        now_ms(stream) - stream->queued_ms < stream->here->config.heartbeat_ms)
        return;
    kv_outbound_append(&stream->out, KV_EVENT_HEARTBEAT);
    stream->queued_ms = now_ms(stream);
    kv_stream_activate(stream);
}

static int64_t wake_at_ms(const struct kv_stream *stream)
{
    int64_t tick_at_ms = now_ms(stream) + tick_ms(&stream->here->config);
    int64_t beat_at_ms = stream->queued_ms + stream->here->config.heartbeat_ms;
    bool is_writing = stream->out.in_flight != 0;
    return is_writing || tick_at_ms < beat_at_ms ? tick_at_ms : beat_at_ms;
}

static void plan(struct kv_stream *stream)
{
    kv_timer_start(stream->here->loop, &stream->timer, wake_at_ms(stream));
}

static void cut_off(struct kv_stream *stream)
{
    kv_connection_reset(stream->connection);
    kv_stream_destroy(stream);
}

static size_t holds(const void *user)
{
    const struct kv_stream *stream = user;
    return kv_client_holds(stream->client);
}

static void account(const void *user, struct kv_connection_account *ret)
{
    const struct kv_stream *stream = user;
    ret->name = stream->client->principal->name;
    ret->n_subscriptions = stream->client->subscriber.n_subscriptions;
    ret->unsent = stream->out.bytes;
}

static void give_way(void *user)
{
    cut_off(user);
}

static bool is_stalled(struct kv_stream *stream)
{
    return kv_taking_is_stalled(&stream->taking, &stream->out, channel_of(stream),
                                &stream->here->config.patience, now_ms(stream));
}

/* Whether a record has been arriving for too long, or too slowly. */
static bool is_late(struct kv_stream *stream)
{
    size_t n_arrived = kv_channel_partial(channel_of(stream));
    bool goes_on = n_arrived != 0 && kv_channel_is_reading(channel_of(stream));
    if (!goes_on)
        kv_sending_begin(&stream->sending, n_arrived, now_ms(stream));
    return goes_on && kv_sending_is_late(&stream->sending, n_arrived,
                                         &stream->here->config.patience, now_ms(stream));
}

static void on_timer(struct kv_timer *timer)
{
    struct kv_stream *stream = KV_CONTAINER(timer, struct kv_stream, timer);
    if (is_stalled(stream)) {
        cut_off(stream);
        return;
    }
    if (is_late(stream)) {
        kv_stream_destroy(stream);
        return;
    }
    keep_alive(stream);
    plan(stream);
}

void kv_stream_take_config(struct kv_stream *stream)
{
    const struct kv_events_config *config = &stream->here->config;
    kv_client_change_subscriptions(stream->client, config->max_subscriptions);
    kv_client_change_limit(stream->client, config->max_unsent_bytes);
    kv_timer_hasten(stream->here->loop, &stream->timer, wake_at_ms(stream));
    kv_stream_activate(stream); /* the limits may allow more now */
}

/* ---- its client ---- */

static int64_t wall_ms(void)
{
    return kv_wall_us() / 1000;
}

/* The wall clock may be set meanwhile: it is read again after a while. */
static void plan_expiry(struct kv_stream *stream)
{
    int64_t expires_s = stream->client->principal->expires_s;
    if (expires_s == 0)
        return;
    int64_t left_ms = expires_s * 1000 - wall_ms();
    kv_timer_start(stream->here->loop, &stream->expiry,
                   now_ms(stream) + (left_ms < LONGEST_WAIT_MS ? left_ms : LONGEST_WAIT_MS));
}

static void on_expiry(struct kv_timer *timer)
{
    struct kv_stream *stream = KV_CONTAINER(timer, struct kv_stream, expiry);
    if (kv_principal_has_expired(stream->client->principal, wall_ms() / 1000))
        kv_stream_end_unauthorized(stream);
    else
        plan_expiry(stream);
}

void kv_stream_revise(struct kv_stream *stream)
{
    struct kv_error error = {0};
    struct kv_principal *renewed =
        kv_access_renew(stream->here->access, stream->client->principal, wall_ms() / 1000, &error);
    if (renewed == NULL) {
        kv_client_identify(stream->client, &kv_principal_nobody);
        if (kv_access_was_unsure(&error))
            kv_stream_end(stream);
        else
            kv_stream_end_unauthorized(stream);
        return;
    }
    kv_client_identify(stream->client, renewed);
    kv_principal_unref(renewed);
}

/* ---- opening ---- */

/* If a subscription fails, the stream ends: otherwise its client would wait for changes in vain. */
static void on_subscribed(struct kv_command *command)
{
    struct kv_stream *stream = command->owner;
    if (command->status == KV_FORBIDDEN || command->status == KV_UNIDENTIFIED ||
        command->status == KV_EXPIRED)
        kv_stream_end_unauthorized(stream);
    else if (command->status != KV_OK)
        kv_stream_end(stream);
}

static void subscribe(struct kv_stream *stream, const struct kv_wished *wished)
{
    const struct kv_wish *wish = &stream->wish;
    struct kv_command *command = kv_command_create(stream->here->keyspace, KV_COMMAND_SUBSCRIBE);
    command->key = wished->text;
    command->argument = wish->epoch;
    command->subscribe = (struct kv_subscribe){.is_prefix = wished->is_prefix,
                                               .wants_meta = wish->meta,
                                               .initial = wish->initial,
                                               .has_since = wish->has_since,
                                               .has_caught_up = true,
                                               .since = wish->since};
    command->owner = stream;
    command->finished = on_subscribed;
    kv_client_send(stream->client, command);
}

static struct kv_address address_of(const void *owner)
{
    const struct kv_stream *stream = owner;
    return kv_connection_address(stream->connection);
}

static struct kv_stream *create(struct kv_events_loop *here, struct kv_connection *connection,
                                struct kv_wish *wish, struct kv_client *before)
{
    struct kv_stream *stream = kv_calloc(1, sizeof(*stream));
    stream->here = here;
    stream->is_leaving = here->ebb.has_begun;
    stream->connection = connection;
    stream->wish = *wish;
    *wish = (struct kv_wish){0};
    stream->client = kv_client_create(here->keyspace, stream, &kv_events_subscriber_ops,
                                      here->config.max_subscriptions);
    kv_client_tell_address(stream->client, address_of);
    kv_client_limit(stream->client, &stream->out.bytes, here->config.max_unsent_bytes);
    kv_client_succeed(stream->client, before);
    stream->timer.fire = on_timer;
    stream->expiry.fire = on_expiry;
    stream->queued_ms = kv_loop_now_ms(here->loop);
    kv_sending_begin(&stream->sending, 0, stream->queued_ms);
    kv_outbound_init(&stream->out, &connection->among->chunks);
    kv_list_init(&stream->in_active);
    kv_list_append(&here->streams, &stream->in_loop);
    kv_counter_add(&here->n_streams, 1);
    return stream;
}

void kv_stream_open(struct kv_events_loop *here, struct kv_connection *connection,
                    struct kv_wish *wish, struct kv_client *before)
{
    static const struct kv_protocol protocol = {.transport = KV_TRANSPORT_EVENTS,
                                                .account = account,
                                                .on_read = on_read,
                                                .on_written = on_written,
                                                .holds = holds,
                                                .give_way = give_way,
                                                .keeps_time = true};
    struct kv_stream *stream = create(here, connection, wish, before);
    kv_connection_serve(connection, &protocol, stream);
    kv_channel_read(&connection->channel, true);
    kv_client_let_resume(stream->client);
    for (size_t i = 0; i < stream->wish.n; i++)
        subscribe(stream, &stream->wish.wished[i]);
    kv_outbound_append(&stream->out, RETRY);
    kv_stream_activate(stream);
    plan(stream);
    if (!kv_access_is_current(here->access, before->principal))
        kv_stream_revise(stream); /* the rules changed during the hand-over */
    plan_expiry(stream);
}
