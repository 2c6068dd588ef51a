/*
 * From the keyspace to the wire: answers of commands, in the order in which they are handed back,
 * and changes. A change is framed once for all subscribers of the loop. Answers are never dropped;
 * changes that a connection has no room for wait in the keyspace (keyspace/subscriber.h).
 */
#include "ws/answer.h"

#include "wire/json_string.h"

/* `{"type":"<type>"[,"id":<id>],"payload":` into the loop's answer buffer, emptied before. */
static struct kv_buffer *begin(struct kv_ws_loop *here, struct kv_slice type, struct kv_slice id)
{
    struct kv_buffer *out = &here->answer;
    out->len = 0;
    kv_buffer_append(out, KV_SLICE("{\"type\":\""));
    kv_buffer_append(out, type);
    kv_buffer_append_char(out, '"');
    if (id.len != 0) {
        kv_buffer_append(out, KV_SLICE(",\"id\":"));
        kv_buffer_append(out, id);
    }
    kv_buffer_append(out, KV_SLICE(",\"payload\":"));
    return out;
}

static struct kv_buffer *begin_with_key(struct kv_ws_loop *here, struct kv_slice type,
                                        struct kv_slice id, struct kv_slice key)
{
    struct kv_buffer *out = begin(here, type, id);
    kv_buffer_append(out, KV_SLICE("{\"key\":"));
    kv_json_append_string(out, key);
    return out;
}

static const struct kv_slice END_OF_STATE = {"}}", 2};

/* A message that shows a key's state, up to the value; where there is none (revision 0), all but
 * the end. */
static struct kv_slice begin_state(struct kv_ws_loop *here, struct kv_slice id, struct kv_slice key,
                                   const struct kv_item *item)
{
    bool has_value = item->revision != 0;
    struct kv_buffer *out =
        begin_with_key(here, has_value ? KV_SLICE("value") : KV_SLICE("no-value"), id, key);
    if (has_value)
        kv_buffer_append(out, KV_SLICE(",\"value\":"));
    return kv_buffer_slice(out);
}

static void send_state(struct kv_session *session, struct kv_slice id, struct kv_slice key,
                       const struct kv_item *item)
{
    kv_quantum_charge(&session->quantum, &session->here->quanta, item->value.len);
    kv_frames_item(&session->out, kv_keyspace_of(session->here->keyspace),
                   begin_state(session->here, id, key, item), item, END_OF_STATE);
}

static void answer_get(struct kv_session *session, struct kv_command *command)
{
    send_state(session, command->note, command->key, &command->item);
}

static void answer_ok(struct kv_session *session, struct kv_command *command)
{
    if (command->note.len == 0)
        return;
    struct kv_buffer *out =
        begin_with_key(session->here, KV_SLICE("ok"), command->note, command->key);
    if (command->revision != 0) {
        kv_buffer_append(out, KV_SLICE(",\"revision\":"));
        kv_buffer_append_u64(out, command->revision);
    }
    kv_buffer_append(out, KV_SLICE("}}"));
    kv_frames_text(&session->out, kv_buffer_slice(out));
}

static struct kv_slice write_error(struct kv_ws_loop *here, struct kv_slice id, const char *text)
{
    struct kv_buffer *out = begin(here, KV_SLICE("error"), id);
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

static void release_form(void *form)
{
    kv_piece_unref(form);
}

static const char text_frames; /* this maker's mark on its forms */

static void make_form(struct kv_ws_loop *here, const struct kv_news *news, struct kv_form *form)
{
    struct kv_slice head = begin_state(here, (struct kv_slice){0}, news->key, &news->state);
    form->made = kv_frames_shared(kv_keyspace_of(here->keyspace), head, &news->state, END_OF_STATE);
    form->release = release_form;
}

void kv_answer_state(struct kv_subscriber *subscriber, struct kv_news *news)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    if (!kv_session_talks(session))
        return;
    struct kv_form *form = kv_news_form(news, &text_frames);
    if (form->made == NULL)
        make_form(session->here, news, form);
    kv_outbound_append_piece(&session->out, form->made);
    kv_session_activate(session);
}
