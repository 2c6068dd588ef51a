/*
 * The life of a session. Reading stops while it has too many commands under way or too much unsent,
 * and continues in the stage. Closing: when the peer's messages are answered, a close frame is
 * queued; when all is sent the sending side is shut down; the socket is closed when the peer has
 * closed its side too, or when the timer fires.
 */
#include "ws/serve.h"

#include <stdlib.h>

#include "ws/answer.h"
#include "ws/identity.h"
#include "ws/input.h"
#include "ws/news.h"

enum {
    CLOSE_TIMEOUT_MS = 5000,
    SHORT_CLOSE_TIMEOUT_MS = 250,
    SHORTEST_TICK_MS = 20
};

static int64_t now_ms(const struct kv_session *session)
{
    return kv_loop_now_ms(session->here->loop);
}

void kv_session_destroy(struct kv_session *session)
{
    if (!session->is_leaving)
        kv_ebb_leave(&session->here->ebb);
    kv_timer_stop(session->here->loop, &session->timer);
    kv_identity_end(session);
    kv_quantum_fini(&session->quantum);
    kv_list_remove(&session->in_loop);
    kv_counter_take(&session->here->n_sessions, 1);
    kv_list_remove(&session->in_active);
    kv_list_remove(&session->in_held_up);
    kv_client_close(session->client);
    kv_leases_end(&session->leases);
    kv_input_fini(session);
    kv_connection_close(session->connection);
    kv_outbound_fini(&session->out);
    free(session);
}

/* Input is processed before more is read: so it stays bounded, and the end of the connection is not
 * seen before the last message. */
static void watch_input(struct kv_session *session)
{
    bool wants =
        !session->is_half_closed && (session->state == KV_SESSION_SHUT ||
                                     (kv_session_may_read(session) && !kv_input_is_left(session)));
    kv_channel_read(&session->connection->channel, wants);
}

static void take_input(struct kv_session *session)
{
    kv_input_process(session);
    kv_session_activate(session);
}

void kv_session_take_waiting(struct kv_quantum *quantum)
{
    take_input(KV_CONTAINER(quantum, struct kv_session, quantum));
}

/* The peer sends no more. It may still read: its messages are answered. */
static void end_half_closed(struct kv_session *session)
{
    session->is_half_closed = true;
    kv_channel_read(&session->connection->channel, false);
    kv_session_end(session);
}

static void on_read(void *user, enum kv_channel_event event)
{
    struct kv_session *session = user;
    bool owes_answers =
        kv_session_is_busy(session) || session->out.bytes != 0 || session->pong.is_due;
    if (event == KV_CHANNEL_ENDED && owes_answers) {
        end_half_closed(session);
        return;
    }
    if (event != KV_CHANNEL_READY) {
        kv_session_destroy(session);
        return;
    }
    session->heard_ms = now_ms(session);
    kv_quantum_grant(&session->quantum, &session->here->quanta);
    take_input(session);
}

static void on_written(void *user, enum kv_channel_event event)
{
    struct kv_session *session = user;
    if (event != KV_CHANNEL_READY) {
        kv_session_destroy(session);
        return;
    }
    kv_taking_written(&session->taking, &session->out, now_ms(session));
    kv_session_activate(session);
}

static void write_all(struct kv_session *session)
{
    kv_taking_write(&session->taking, &session->out, &session->connection->channel,
                    now_ms(session));
    if (session->out.is_held_up && kv_list_is_empty(&session->in_held_up))
        kv_list_append(&session->here->held_up, &session->in_held_up);
}

/* Answers the newest ping, unless the last pong is not written yet: then a newer ping may replace
 * this one. */
static void answer_ping(struct kv_session *session)
{
    struct kv_pong *pong = &session->pong;
    if (kv_outbound_waits(&session->out))
        return;
    if (pong->is_due && kv_session_talks(session))
        kv_frames_control(&session->out, KV_FRAME_PONG, (struct kv_slice){pong->bytes, pong->len});
    pong->is_due = pong->is_queued = false;
}

/* All is sent, with the close frame last: the peer has a moment to close as well. Returns: whether
 * there is nothing to wait for. */
static bool finish_sending(struct kv_session *session)
{
    if (session->state == KV_SESSION_CLOSING && session->out.bytes == 0) {
        session->state = KV_SESSION_SENT;
        kv_timer_start(session->here->loop, &session->timer, now_ms(session) + CLOSE_TIMEOUT_MS);
    }
    if (session->state == KV_SESSION_SENT && session->incoming.is_over) {
        session->state = KV_SESSION_SHUT;
        kv_channel_shut_writing(&session->connection->channel);
    }
    return session->is_half_closed && session->state >= KV_SESSION_SENT;
}

static void finish_ending(struct kv_session *session)
{
    if (session->farewell != 0)
        kv_frames_close(&session->out, session->farewell, KV_SLICE(""));
    kv_session_begin_closing(session);
}

void kv_session_go_on(struct kv_session *session)
{
    answer_ping(session);
    if (!kv_session_is_busy(session) && session->state == KV_SESSION_ENDING)
        finish_ending(session);
    else if (!kv_session_is_busy(session) && session->state == KV_SESSION_OPEN &&
             session->is_leaving)
        kv_session_close(session, KV_CLOSE_GOING_AWAY, "the server is shutting down");
    if (session->state == KV_SESSION_OPEN)
        kv_client_catch_up(session->client);
    write_all(session);
    kv_client_make_room(session->client);
    if (finish_sending(session)) {
        kv_session_destroy(session);
        return;
    }
    watch_input(session);
    bool may_catch_up = session->state == KV_SESSION_OPEN && !kv_outbound_waits(&session->out) &&
                        kv_client_is_behind(session->client);
    kv_list_remove(&session->in_active);
    if (may_catch_up)
        kv_session_activate(session);
    if (kv_input_is_left(session) && kv_session_may_read(session))
        kv_quantum_wait(&session->quantum, &session->here->quanta);
}

/* ---- timers ---- */

static const struct kv_patience *patience_of(const struct kv_session *session)
{
    return &kv_session_config(session)->patience;
}

static bool is_stalled(struct kv_session *session)
{
    return kv_taking_is_stalled(&session->taking, &session->out, &session->connection->channel,
                                patience_of(session), now_ms(session));
}

/* Whether a message has been arriving for too long, or too slowly. */
static bool is_late(struct kv_session *session)
{
    uint64_t n_arrived = kv_input_arrived(session);
    bool goes_on = kv_input_is_partial(session) &&
                   kv_channel_is_reading(&session->connection->channel) &&
                   session->incoming.n_whole == session->n_before;
    session->n_before = session->incoming.n_whole;
    if (!goes_on)
        kv_sending_begin(&session->sending, n_arrived, now_ms(session));
    return goes_on &&
           kv_sending_is_late(&session->sending, n_arrived, patience_of(session), now_ms(session));
}

static void ping(struct kv_session *session)
{
    kv_frames_control(&session->out, KV_FRAME_PING, KV_SLICE(""));
    kv_session_activate(session);
}

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t tick_ms(const struct kv_ws_config *config)
{
    const struct kv_patience *patience = &config->patience;
    int64_t least = least_of(least_of(config->ping_ms, patience->idle_ms),
                             least_of(patience->request_ms, patience->request_progress_ms));
    least = least_of(least, patience->stalled_reader_ms) / 2;
    return least < SHORTEST_TICK_MS ? SHORTEST_TICK_MS : least;
}

static void watch_silence(struct kv_session *session)
{
    const struct kv_ws_config *config = kv_session_config(session);
    if (!kv_channel_is_reading(&session->connection->channel))
        session->heard_ms = now_ms(session); /* the server is not reading at present */
    int64_t silence = now_ms(session) - session->heard_ms;
    if (silence >= config->patience.idle_ms) {
        kv_session_destroy(session);
        return;
    }
    if (silence >= config->ping_ms && !kv_outbound_waits(&session->out))
        ping(session);
    kv_timer_start(session->here->loop, &session->timer, now_ms(session) + tick_ms(config));
}

/* The peer has a moment to read the reason. */
static void give_up(struct kv_session *session, uint16_t code, const char *reason,
                    int64_t timeout_ms)
{
    kv_session_close(session, code, reason);
    kv_timer_start(session->here->loop, &session->timer, now_ms(session) + timeout_ms);
}

static void watch_peer(struct kv_session *session)
{
    if (is_stalled(session)) {
        kv_outbound_drop(&session->out);
        give_up(session, KV_CLOSE_TRY_AGAIN_LATER,
                "the connection does not read what it is sent, or too slowly", CLOSE_TIMEOUT_MS);
    } else if (is_late(session)) {
        give_up(session, KV_CLOSE_POLICY, "the message has not arrived in time", CLOSE_TIMEOUT_MS);
    } else {
        watch_silence(session);
    }
}

static size_t holds(const void *user)
{
    const struct kv_session *session = user;
    return kv_client_holds(session->client) + kv_input_works_on(session);
}

static bool is_working(const void *user)
{
    return kv_input_works_on(user) != 0;
}

static void account(const void *user, struct kv_connection_account *ret)
{
    const struct kv_session *session = user;
    ret->name = session->client->principal->name;
    ret->n_subscriptions = session->client->subscriber.n_subscriptions;
    ret->unsent = session->out.bytes;
}

static void give_way(void *user)
{
    struct kv_session *session = user;
    if (!kv_session_talks(session)) {
        kv_session_destroy(session);
        return;
    }
    kv_outbound_drop(&session->out);
    kv_input_drop(session);
    give_up(session, KV_CLOSE_TRY_AGAIN_LATER, "the server has no memory left for the connection",
            SHORT_CLOSE_TIMEOUT_MS);
}

static void on_timer(struct kv_timer *timer)
{
    struct kv_session *session = KV_CONTAINER(timer, struct kv_session, timer);
    if (kv_session_talks(session))
        watch_peer(session);
    else if (session->state < KV_SESSION_SENT && !session->connection->gives_way &&
             !is_stalled(session))
        kv_timer_start(session->here->loop, &session->timer,
                       now_ms(session) + tick_ms(kv_session_config(session)));
    else
        kv_session_destroy(session);
}

/* The next tick applies a shortened timeout. */
void kv_session_take_config(struct kv_session *session)
{
    const struct kv_ws_config *config = kv_session_config(session);
    if (!kv_session_talks(session))
        return;
    kv_client_change_subscriptions(session->client, config->max_subscriptions);
    kv_client_change_limit(session->client, config->max_unsent_bytes);
    kv_identity_limit_messages(session);
    kv_timer_hasten(session->here->loop, &session->timer, now_ms(session) + tick_ms(config));
    kv_session_activate(session); /* the limits may allow more now */
}

static struct kv_address address_of(const void *owner)
{
    const struct kv_session *session = owner;
    return kv_connection_address(session->connection);
}

void kv_session_open(struct kv_ws_loop *here, struct kv_connection *connection,
                     struct kv_client *before, uint8_t window_bits)
{
    static const struct kv_protocol protocol = {.transport = KV_TRANSPORT_WEBSOCKET,
                                                .account = account,
                                                .on_read = on_read,
                                                .on_written = on_written,
                                                .holds = holds,
                                                .is_working = is_working,
                                                .give_way = give_way,
                                                .keeps_time = true,
                                                .is_always_ready = true};
    struct kv_session *session = kv_calloc(1, sizeof(*session));
    session->here = here;
    session->is_leaving = here->ebb.has_begun;
    session->connection = connection;
    session->window_bits = window_bits;
    kv_input_init(session);
    kv_leases_init(&session->leases, here->keyspace, here->access);
    session->client = kv_client_create(here->keyspace, session, &kv_ws_subscriber_ops,
                                       here->config.max_subscriptions);
    kv_client_tell_address(session->client, address_of);
    kv_client_limit(session->client, &session->out.bytes, here->config.max_unsent_bytes);
    session->heard_ms = kv_loop_now_ms(here->loop);
    kv_sending_begin(&session->sending, 0, session->heard_ms);
    session->timer.fire = on_timer;
    kv_outbound_init(&session->out, &connection->among->chunks);
    kv_quantum_init(&session->quantum);
    kv_list_init(&session->in_active);
    kv_list_init(&session->in_held_up);
    kv_list_append(&here->sessions, &session->in_loop);
    kv_counter_add(&here->n_sessions, 1);
    kv_timer_start(here->loop, &session->timer, session->heard_ms + tick_ms(&here->config));
    kv_connection_serve(connection, &protocol, session);
    kv_channel_read(&connection->channel, true);
    kv_client_succeed(session->client, before);
    kv_identity_begin(session, before->principal);
    kv_session_activate(session); /* input may have arrived with the handshake */
}
