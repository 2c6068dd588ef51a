/* Answers are queued in the order in which commands are handed back. They are never dropped. */
#include "ws/answer.h"

#include "wire/json_string.h"
#include "wire/state_text.h"
#include "ws/envelope.h"

/* A message that shows a key's state, but for the value and the end. */
static struct kv_slice begin_state(struct kv_ws_loop *here, struct kv_slice id, struct kv_slice key,
                                   const struct kv_item *item)
{
    bool has_value = item->revision != 0;
    struct kv_buffer *out =
        kv_envelope_begin(here, has_value ? KV_SLICE("value") : KV_SLICE("no-value"), id);
    kv_state_text_begin(out, key, NULL, has_value);
    return kv_buffer_slice(out);
}

static void send_state(struct kv_session *session, struct kv_slice id, struct kv_slice key,
                       const struct kv_item *item)
{
    kv_quantum_charge(&session->quantum, &session->here->quanta, item->value.len);
    kv_frames_item(&session->out, kv_keyspace_of(session->here->keyspace),
                   begin_state(session->here, id, key, item), item, KV_SLICE("}}"));
}

static void answer_get(struct kv_session *session, struct kv_command *command)
{
    send_state(session, command->note, command->key, &command->item);
}

static void answer_ok(struct kv_session *session, struct kv_command *command)
{
    if (command->note.len == 0)
        return;
    struct kv_buffer *out = kv_envelope_begin(session->here, KV_SLICE("ok"), command->note);
    kv_buffer_append(out, command->subscribe.is_prefix ? KV_SLICE("{\"prefix\":")
                                                       : KV_SLICE("{\"key\":"));
    kv_json_append_string(out, command->key);
    if (command->revision != 0) {
        kv_buffer_append(out, KV_SLICE(",\"revision\":"));
        kv_buffer_append_u64(out, command->revision);
    }
    kv_buffer_append(out, KV_SLICE("}}"));
    kv_frames_text(&session->out, kv_buffer_slice(out));
}

static struct kv_slice write_error(struct kv_ws_loop *here, struct kv_slice id, const char *text)
{
    struct kv_buffer *out = kv_envelope_begin(here, KV_SLICE("error"), id);
    kv_json_append_string(out, kv_slice_of(text));
    kv_buffer_append_char(out, '}');
    return kv_buffer_slice(out);
}

static void answer_failure(struct kv_session *session, struct kv_command *command)
{
    const char *text =
        command->refusal != NULL ? command->refusal : kv_command_status_text(command->status);
    kv_frames_text(&session->out, write_error(session->here, command->note, text));
}

static bool is_success(const struct kv_command *command)
{
    return command->status == KV_OK || command->status == KV_UNCHANGED ||
           command->status == KV_MISSING;
}

void kv_answer_finished(struct kv_command *command)
{
    struct kv_session *session = command->owner;
    kv_session_activate(session);
    if (!kv_session_talks(session))
        return;
    if (command->kind == KV_COMMAND_NOTE)
        kv_frames_text(&session->out, command->note);
    else if (!is_success(command))
        answer_failure(session, command);
    else if (command->kind == KV_COMMAND_GET)
        answer_get(session, command);
    else
        answer_ok(session, command);
}

void kv_answer_error(struct kv_session *session, struct kv_slice id, const char *text)
{
    struct kv_slice answer = write_error(session->here, id, text);
    if (session->client->n_commands == 0) {
        kv_frames_text(&session->out, answer);
        return;
    }
    struct kv_command *note = kv_command_create(session->here->keyspace, KV_COMMAND_NOTE);
    note->note = answer;
    note->owner = session;
    note->finished = kv_answer_finished;
    if (kv_command_keep(note) == 0)
        kv_client_send(session->client, note);
    else
        kv_command_free(note);
}
