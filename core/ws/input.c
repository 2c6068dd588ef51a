/*
 * From the wire to the keyspace. wslay unmasks and checks what the peer sends, and makes pongs and
 * the close handshake; it writes nothing itself: its frames go into the session's queue. It is
 * given input only while the session may take more, so that what is read stays bounded.
 *
 * Messages are put together here and not by wslay, which allocates for each fragment, however
 * short, and for a frame of any announced length before it comes.
 */
#include "ws/impl.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "wire/message.h"

enum {
    LARGEST_COPY = 65536,
    LARGEST_KEPT = 4096 /* of a message's parts, until the next one comes in parts */
};

static ssize_t give_input(wslay_event_context_ptr wslay, uint8_t *to, size_t room, int flags,
                          void *user)
{
    struct kv_session *session = user;
    h2o_buffer_t *input = session->sock->input;
    size_t n = input->size < room ? input->size : room;
    (void)flags;
    if (n > session->input_left)
        n = session->input_left;
    if (n == 0 || !kv_session_may_read(session)) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(to, input->bytes, n);
    h2o_buffer_consume(&session->sock->input, n);
    session->input_left -= n;
    return (ssize_t)n;
}

static ssize_t take_output(wslay_event_context_ptr wslay, const uint8_t *bytes, size_t len,
                           int flags, void *user)
{
    struct kv_session *session = user;
    (void)wslay;
    (void)flags;
    kv_outbound_append(&session->out, (struct kv_slice){(const char *)bytes, len});
    return (ssize_t)len;
}

static enum kv_command_kind kind_of(enum kv_message_type type)
{
    static const enum kv_command_kind kinds[] = {
        [KV_MESSAGE_GET] = KV_COMMAND_GET,
        [KV_MESSAGE_SET] = KV_COMMAND_SET,
        [KV_MESSAGE_DELETE] = KV_COMMAND_DELETE,
        [KV_MESSAGE_SUBSCRIBE] = KV_COMMAND_SUBSCRIBE,
        [KV_MESSAGE_UNSUBSCRIBE] = KV_COMMAND_UNSUBSCRIBE,
    };
    return kinds[type];
}

static void set_conditions(struct kv_command *command, const struct kv_message *message)
{
    if (message->if_absent)
        command->cond |= KV_COND_ABSENT;
    if (message->if_revision == 0)
        return;
    command->cond |= KV_COND_REVISION;
    command->if_revision = message->if_revision;
    command->if_revisions = &command->if_revision;
    command->n_if_revisions = 1;
}

static void send_command(struct kv_session *session, const struct kv_message *message)
{
    struct kv_command *command = kv_command_create(session->here->keyspace, kind_of(message->type));
    command->key = message->key;
    command->value = message->value;
    command->note = message->id;
    command->ttl_is_given = message->has_ttl;
    command->ttl_ms = message->ttl_ms;
    command->owner = session;
    command->finished = kv_answer_finished;
    set_conditions(command, message);
    /* The message's bytes end with this call. A short value is copied and waits for the turn's
     * batch; a long one goes to the store at once, which spares the copy. */
    bool is_long = message->value.len > LARGEST_COPY;
    if ((is_long ? kv_command_keep_key(command) : kv_command_keep(command)) != 0) {
        kv_command_free(command);
        kv_answer_error(session, message->id, kv_command_status_text(KV_FULL));
        return;
    }
    kv_client_send(session->client, command);
    if (is_long)
        kv_keyspace_submit_now(session->here->keyspace);
}

static struct kv_message_limits limits_of(const struct kv_session *session)
{
    const struct kv_ws_config *config = kv_session_config(session);
    return (struct kv_message_limits){.max_depth = config->max_depth + 2,
                                      .max_key_bytes = config->max_key_bytes};
}

/* What kv_message_parse() made of a message: an error where it failed. */
static void handle_message(struct kv_session *session, int failed, const struct kv_message *message,
                           struct kv_error *error)
{
    const struct kv_ws_config *config = kv_session_config(session);
    if (failed != 0) {
        kv_answer_error(session, message->id, error->text);
        return;
    }
    if (message->key.len > config->max_key_bytes)
        kv_error_set(error, "the key has %zu bytes, the limit is %zu", message->key.len,
                     config->max_key_bytes);
    else if (message->value.len > config->max_value_bytes)
        kv_error_set(error, "the value has %zu bytes, the limit is %zu", message->value.len,
                     config->max_value_bytes);
    else {
        send_command(session, message);
        return;
    }
    kv_answer_error(session, message->id, error->text);
}

/* A long message, on the worker. What comes behind it in the same piece of input waits here. */
struct kv_reading {
    struct kv_job job;
    struct kv_session *session; /* NULL: it is gone */
    struct kv_message_limits limits;
    struct kv_buffer text;
    struct kv_buffer scratch;
    struct kv_message message;
    struct kv_error error;
    int failed;
    struct kv_buffer later; /* messages, each with its length and opcode ahead */
};

struct later {
    size_t len;
    uint8_t opcode;
};

static void handle(struct kv_session *session, uint8_t opcode, struct kv_slice text);

static void read_on_worker(struct kv_job *job)
{
    struct kv_reading *reading = KV_CONTAINER(job, struct kv_reading, job);
    reading->failed = kv_message_parse(kv_buffer_slice(&reading->text), &reading->limits,
                                       &reading->scratch, &reading->message, &reading->error);
}

static void handle_later(struct kv_session *session, struct kv_slice later)
{
    struct later one;
    while (later.len > 0) {
        memcpy(&one, later.bytes, sizeof(one));
        handle(session, one.opcode, (struct kv_slice){later.bytes + sizeof(one), one.len});
        later.bytes += sizeof(one) + one.len;
        later.len -= sizeof(one) + one.len;
    }
}

static void on_read_by_worker(struct kv_job *job)
{
    struct kv_reading *reading = KV_CONTAINER(job, struct kv_reading, job);
    struct kv_session *session = reading->session;
    if (session != NULL) {
        session->reading = NULL;
        session->heard_ms = kv_loop_now_ms(session->here->loop);
        handle_message(session, reading->failed, &reading->message, &reading->error);
        handle_later(session, kv_buffer_slice(&reading->later));
        kv_session_activate(session);
    }
    kv_buffer_fini(&reading->text);
    kv_buffer_fini(&reading->scratch);
    kv_buffer_fini(&reading->later);
    free(reading);
}

/* Takes the message's parts over. */
static void give_to_worker(struct kv_session *session)
{
    struct kv_reading *reading = kv_calloc(1, sizeof(*reading));
    reading->session = session;
    reading->limits = limits_of(session);
    reading->text = session->incoming.parts;
    session->incoming.parts = (struct kv_buffer){0};
    session->reading = reading;
    reading->job.work = read_on_worker;
    reading->job.done = on_read_by_worker;
    kv_http_compute(session->here->http, &reading->job);
}

static void put_off(struct kv_reading *reading, uint8_t opcode, struct kv_slice text)
{
    struct later one = {.len = text.len, .opcode = opcode};
    kv_buffer_append(&reading->later, (struct kv_slice){(const char *)&one, sizeof(one)});
    kv_buffer_append(&reading->later, text);
}

static void handle_text(struct kv_session *session, struct kv_slice text)
{
    const struct kv_message_limits limits = limits_of(session);
    struct kv_message message;
    struct kv_error error;
    int failed = kv_message_parse(text, &limits, &session->here->scratch, &message, &error);
    handle_message(session, failed, &message, &error);
}

/* A text or binary message, in its turn. */
static void handle(struct kv_session *session, uint8_t opcode, struct kv_slice text)
{
    if (session->reading != NULL)
        put_off(session->reading, opcode, text);
    else if (opcode == WSLAY_BINARY_FRAME)
        kv_answer_error(session, (struct kv_slice){0},
                        "binary messages are not taken: send JSON as text");
    else if (text.bytes == session->incoming.parts.bytes && text.len >= KV_HTTP_LONG_TEXT)
        give_to_worker(session);
    else
        handle_text(session, text);
}

/* Closes with the code, behind the answers to what came before. */
static void refuse(struct kv_session *session, uint16_t code)
{
    wslay_event_queue_close(session->wslay, code, NULL, 0);
    wslay_event_shutdown_read(session->wslay);
}

static void on_frame(wslay_event_context_ptr wslay,
                     const struct wslay_event_on_frame_recv_start_arg *arg, void *user)
{
    struct kv_session *session = user;
    struct kv_incoming *incoming = &session->incoming;
    (void)wslay;
    incoming->is_control = wslay_is_ctrl_frame(arg->opcode);
    if (incoming->is_control)
        return;
    incoming->may_be_whole = arg->fin != 0 && arg->opcode != WSLAY_CONTINUATION_FRAME;
    incoming->frame_len = (size_t)arg->payload_length;
    if (incoming->parts.len + arg->payload_length > kv_session_config(session)->max_message_bytes)
        refuse(session, WSLAY_CODE_MESSAGE_TOO_BIG);
}

static void on_part(wslay_event_context_ptr wslay,
                    const struct wslay_event_on_frame_recv_chunk_arg *arg, void *user)
{
    struct kv_session *session = user;
    struct kv_incoming *incoming = &session->incoming;
    struct kv_slice part = {(const char *)arg->data, arg->data_length};
    if (incoming->is_control || part.len == 0 || session->state != KV_SESSION_OPEN ||
        !wslay_event_get_read_enabled(wslay))
        return;
    if (incoming->may_be_whole && part.len == incoming->frame_len) {
        incoming->whole = part;
        return;
    }
    if (kv_buffer_try_reserve(&incoming->parts, part.len) == NULL)
        refuse(session, WSLAY_CODE_INTERNAL_SERVER_ERROR);
    else
        kv_buffer_append(&incoming->parts, part);
}

static struct kv_slice text_of(const struct kv_incoming *incoming)
{
    return incoming->whole.len != 0 ? incoming->whole : kv_buffer_slice(&incoming->parts);
}

static void forget_message(struct kv_incoming *incoming)
{
    incoming->whole = (struct kv_slice){0};
    kv_buffer_trim(&incoming->parts, LARGEST_KEPT);
}

/* What wslay lets pass: half a code, and a reason that is no UTF-8 and came in several pieces. */
static uint16_t fault_of_close(const struct wslay_event_on_msg_recv_arg *arg)
{
    if (arg->msg_length == 1)
        return WSLAY_CODE_PROTOCOL_ERROR;
    if (arg->msg_length <= 2)
        return 0;
    struct kv_slice reason = {(const char *)arg->msg + 2, arg->msg_length - 2};
    return kv_utf8_is_valid(reason) ? 0 : WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct kv_session *session = user;
    if (!wslay_is_ctrl_frame(arg->opcode) && !wslay_event_get_read_enabled(wslay))
        return; /* it was refused */
    if (arg->opcode == WSLAY_CONNECTION_CLOSE)
        session->broken_with = fault_of_close(arg);
    if (session->state != KV_SESSION_OPEN)
        return;
    if (wslay_is_ctrl_frame(arg->opcode))
        return;
    handle(session, arg->opcode, text_of(&session->incoming));
    forget_message(&session->incoming);
}

int kv_input_init(struct kv_session *session)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give_input,
        .send_callback = take_output,
        .on_frame_recv_start_callback = on_frame,
        .on_frame_recv_chunk_callback = on_part,
        .on_msg_recv_callback = on_message,
    };
    if (wslay_event_context_server_init(&session->wslay, &callbacks, session) != 0)
        return -1;
    wslay_event_config_set_max_recv_msg_length(session->wslay,
                                               kv_session_config(session)->max_message_bytes);
    wslay_event_config_set_no_buffering(session->wslay, 1);
    return 0;
}

void kv_input_fini(struct kv_session *session)
{
    wslay_event_context_free(session->wslay);
    kv_buffer_fini(&session->incoming.parts);
    if (session->reading != NULL)
        session->reading->session = NULL;
}

void kv_input_process(struct kv_session *session)
{
    if (wslay_event_recv(session->wslay) != 0)
        session->broken_with = WSLAY_CODE_PROTOCOL_ERROR;
    if (session->broken_with != 0 || !wslay_event_want_read(session->wslay))
        kv_session_end(session);
    else if (wslay_event_want_write(session->wslay))
        wslay_event_send(session->wslay);
}
