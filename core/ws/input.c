/*
 * From the wire to the keyspace. wslay unmasks and checks what the peer sends, and makes pongs and
 * the close handshake; it writes nothing itself: its frames go into the session's queue. It is
 * given input only while the session may take more, so that what is read stays bounded.
 *
 * Messages are put together here and not by wslay, which allocates for each fragment, however
 * short, and for a frame of any announced length before it comes.
 */
#include "ws/impl.h"

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
    kv_outbound_append_raw(&session->out, (struct kv_slice){(const char *)bytes, len});
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

static void handle_text(struct kv_session *session, struct kv_slice text)
{
    const struct kv_ws_config *config = kv_session_config(session);
    const struct kv_message_limits limits = {.max_depth = config->max_depth + 2,
                                             .max_key_bytes = config->max_key_bytes};
    struct kv_message message;
    struct kv_error error;
    if (kv_message_parse(text, &limits, &session->here->scratch, &message, &error) != 0) {
        kv_answer_error(session, message.id, error.text);
        return;
    }
    if (message.key.len > config->max_key_bytes)
        kv_error_set(&error, "the key has %zu bytes, the limit is %zu", message.key.len,
                     config->max_key_bytes);
    else if (message.value.len > config->max_value_bytes)
        kv_error_set(&error, "the value has %zu bytes, the limit is %zu", message.value.len,
                     config->max_value_bytes);
    else {
        send_command(session, &message);
        return;
    }
    kv_answer_error(session, message.id, error.text);
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

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct kv_session *session = user;
    if (!wslay_is_ctrl_frame(arg->opcode) && !wslay_event_get_read_enabled(wslay))
        return; /* it was refused */
    if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->msg_length == 1)
        session->is_broken = true; /* half a code: wslay lets it pass */
    if (session->state != KV_SESSION_OPEN)
        return;
    if (arg->opcode == WSLAY_TEXT_FRAME)
        handle_text(session, text_of(&session->incoming));
    else if (arg->opcode == WSLAY_BINARY_FRAME)
        kv_answer_error(session, (struct kv_slice){0},
                        "binary messages are not taken: send JSON as text");
    if (!wslay_is_ctrl_frame(arg->opcode))
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
}

void kv_input_process(struct kv_session *session)
{
    if (wslay_event_recv(session->wslay) != 0)
        session->is_broken = true;
    if (session->is_broken || !wslay_event_want_read(session->wslay))
        kv_session_end(session);
    else if (wslay_event_want_write(session->wslay))
        wslay_event_send(session->wslay);
}
