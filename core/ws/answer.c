/*
 * From the keyspace to the wire: answers of commands, in the order in which they are handed back,
 * and changes. A change is framed once for all subscribers of the loop. When a connection is over
 * its limit of unsent bytes, a changed key is only noted as behind; its newest state, as the
 * keyspace remembers it, follows when there is room. Answers are never dropped, and an answer that
 * shows a key's state comes after the news of that key that it was behind with.
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

static bool is_behind(const struct kv_subscription *subscription)
{
    return !kv_list_is_empty(&subscription->in_behind);
}

static void send_newest(struct kv_session *session, struct kv_subscription *subscription)
{
    struct kv_item item;
    kv_list_remove(&subscription->in_behind);
    if (kv_subscription_newest(subscription, &item))
        send_state(session, (struct kv_slice){0}, kv_subscription_key(subscription), &item);
}

static void answer_get(struct kv_session *session, struct kv_command *command)
{
    if (command->subscription != NULL && is_behind(command->subscription))
        send_newest(session, command->subscription);
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

static struct kv_piece *frame_change(struct kv_ws_loop *here, const struct kv_change *change)
{
    struct kv_slice head = begin_state(here, (struct kv_slice){0}, change->key, &change->after);
    return kv_frames_shared(kv_keyspace_of(here->keyspace), head, &change->after, END_OF_STATE);
}

void kv_answer_change(struct kv_subscription *subscription, struct kv_news *news)
{
    struct kv_session *session = kv_subscription_client(subscription)->owner;
    if (!kv_session_talks(session) || is_behind(subscription))
        return;
    if (session->out.bytes >= kv_session_config(session)->max_unsent_bytes) {
        kv_list_append(&session->behind, &subscription->in_behind);
        return;
    }
    if (news->form == NULL) {
        news->form = frame_change(session->here, news->change);
        news->release_form = release_form;
    }
    kv_outbound_append_piece(&session->out, news->form);
    kv_session_activate(session);
}

void kv_answer_behind(struct kv_session *session)
{
    size_t limit = kv_session_config(session)->max_unsent_bytes;
    if (session->out.bytes > limit / 2)
        return;
    while (!kv_list_is_empty(&session->behind) && session->out.bytes < limit)
        send_newest(session, KV_CONTAINER(session->behind.next, struct kv_subscription, in_behind));
}
