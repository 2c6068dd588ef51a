/* Answers are queued in the order in which commands are handed back. They are never dropped. */
#include "ws/answer.h"

#include "protocol/outcome.h"
#include "protocol/reply.h"
#include "ws/sending.h"

/* The loop's buffer, emptied. */
static struct kv_buffer *begin(const struct kv_session *session)
{
    session->here->answer.len = 0;
    return &session->here->answer;
}

/* value: of the command's item, or its own bytes. */
static void send_value(struct kv_session *session, const struct kv_command *command,
                       struct kv_slice head, struct kv_slice value)
{
    kv_quantum_charge(&session->quantum, &session->here->quanta, value.len);
    if (command->item.revision != 0)
        kv_send_item(session, head, &command->item, KV_REPLY_END);
    else
        kv_send_parts(session, head, value, KV_REPLY_END);
}

static void reply(struct kv_session *session, const struct kv_command *command)
{
    struct kv_buffer *out = begin(session);
    struct kv_slice value;
    switch (kv_reply_write(out, command, &value)) {
    case KV_REPLY_NONE:
        break;
    case KV_REPLY_TEXT:
        kv_send_text(session, kv_buffer_slice(out));
        break;
    case KV_REPLY_VALUE:
        send_value(session, command, kv_buffer_slice(out), value);
    }
}

/* A write by the connection itself ends its lease of the key, unless the write failed. */
static void note_lease(struct kv_session *session, const struct kv_command *command)
{
    bool has_written = command->status == KV_OK || command->status == KV_UNCHANGED;
    if (command->is_lease)
        kv_leases_begin(&session->leases, command, session->client->principal);
    else if (has_written && command->traits->is_write && kv_leases_are_held(&session->leases))
        kv_leases_forget(&session->leases, command);
}

/* ---- the access log ---- */

static void log_command(const struct kv_session *session, const struct kv_command *command)
{
    const struct kv_logged_request logged = kv_logged_request_of("websocket", command);
    kv_request_log_write(&logged, session->client);
}

/* Logs a message that did not become a command. */
static void log_message(struct kv_session *session, int status)
{
    const struct kv_logged_request logged = {.transport = "websocket",
                                             .status = status,
                                             .began_ns = *kv_loop_began_ns(session->here->loop)};
    if (kv_request_lot_draw(&session->here->lot))
        kv_request_log_write(&logged, session->client);
}

/* ---- answers ---- */

void kv_answer_finished(struct kv_command *command)
{
    struct kv_session *session = command->owner;
    note_lease(session, command);
    if (command->kind != KV_COMMAND_NOTE && kv_request_lot_draw(&session->here->lot))
        log_command(session, command);
    kv_session_activate(session);
    if (!kv_session_talks(session))
        return;
    if (command->kind == KV_COMMAND_NOTE)
        kv_send_text(session, command->note);
    else
        reply(session, command);
}

/* Sends an answer that does not come from a command, after those of the commands under way. */
static void send_in_order(struct kv_session *session, struct kv_slice text)
{
    if (session->client->n_commands == 0) {
        kv_send_text(session, text);
        return;
    }
    struct kv_command *note = kv_command_create(session->here->keyspace, KV_COMMAND_NOTE);
    note->note = text;
    note->owner = session;
    note->finished = kv_answer_finished;
    if (kv_command_keep(note) == 0)
        kv_client_send(session->client, note);
    else
        kv_command_free(note);
}

void kv_answer_error(struct kv_session *session, struct kv_slice id, int status, const char *text)
{
    struct kv_buffer *out = begin(session);
    log_message(session, status);
    kv_reply_write_error(out, id, status, text);
    send_in_order(session, kv_buffer_slice(out));
}

void kv_answer_hello(struct kv_session *session, struct kv_slice id)
{
    struct kv_buffer *out = begin(session);
    log_message(session, 200);
    kv_hello_write(out, id, &kv_session_config(session)->hello,
                   kv_keyspace_of(session->here->keyspace), session->client->principal);
    send_in_order(session, kv_buffer_slice(out));
}

void kv_answer_done(struct kv_session *session, struct kv_slice id)
{
    struct kv_buffer *out = begin(session);
    log_message(session, 200);
    if (id.len == 0)
        return;
    kv_reply_begin(out, KV_SLICE("ok"), id);
    kv_buffer_append(out, KV_SLICE("{}}"));
    send_in_order(session, kv_buffer_slice(out));
}

void kv_answer_expiring(struct kv_session *session, int64_t left_s)
{
    struct kv_buffer *out = begin(session);
    kv_reply_begin(out, KV_SLICE("expiring"), (struct kv_slice){0});
    kv_buffer_printf(out, "{\"seconds\":%lld}}", (long long)left_s);
    kv_send_text(session, kv_buffer_slice(out));
    kv_session_activate(session);
}

void kv_answer_excess(struct kv_session *session, struct kv_slice id,
                      const struct kv_excess *excess)
{
    struct kv_error text;
    kv_error_set(&text, "%s: try again in %lld ms", excess->why, (long long)excess->wait_ms);
    kv_answer_error(session, id, 429, text.text);
}
