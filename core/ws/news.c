/*
 * A state is framed once for all subscribers of the loop that are to be shown it in the same way:
 * plainly, with `meta`, or with `meta` and as one that stands for several.
 */
#include "ws/news.h"

#include "wire/json_string.h"
#include "wire/state_text.h"
#include "ws/envelope.h"

/* The marks of these ways on forms. */
static const char plain, with_meta, collapsed;

static const void *maker_of(const struct kv_delivery *delivery)
{
    if (!delivery->wants_meta)
        return &plain;
    return delivery->is_collapsed ? &collapsed : &with_meta;
}

static const char *text_of(enum kv_reason reason)
{
    static const char *const texts[] = {
        [KV_REASON_SET] = "set", [KV_REASON_DELETE] = "delete", [KV_REASON_EXPIRE] = "expire"};
    return texts[reason];
}

static struct kv_state_meta meta_of(struct kv_keyspace *keyspace,
                                    const struct kv_delivery *delivery)
{
    const struct kv_news *news = delivery->news;
    struct kv_state_meta meta = {.revision = news->revision,
                                 .epoch = kv_slice_of(kv_keyspace_epoch(keyspace)),
                                 .reason = text_of(news->reason),
                                 .is_collapsed = delivery->is_collapsed};
    if (news->state.revision != 0)
        meta.ttl_ms = kv_keyspace_ttl_left_ms(keyspace, news->state.deadline_ms);
    return meta;
}

static struct kv_piece *frame(struct kv_ws_loop *here, const struct kv_delivery *delivery)
{
    struct kv_keyspace *keyspace = kv_keyspace_of(here->keyspace);
    const struct kv_news *news = delivery->news;
    bool has_value = news->state.revision != 0;
    struct kv_buffer *out = kv_envelope_begin(
        here, has_value ? KV_SLICE("value") : KV_SLICE("no-value"), (struct kv_slice){0});
    if (delivery->wants_meta) {
        const struct kv_state_meta meta = meta_of(keyspace, delivery);
        kv_state_text_begin(out, news->key, &meta, has_value);
    } else {
        kv_state_text_begin(out, news->key, NULL, has_value);
    }
    return kv_frames_shared(here->tally, keyspace, kv_buffer_slice(out), &news->state,
                            KV_SLICE("}}"));
}

static void release_piece(void *made)
{
    kv_piece_unref(made);
}

static void on_state(struct kv_subscriber *subscriber, const struct kv_delivery *delivery)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    if (!kv_session_talks(session))
        return;
    struct kv_form *form = kv_news_form(delivery->news, maker_of(delivery));
    if (form->made == NULL) {
        form->made = frame(session->here, delivery);
        form->release = release_piece;
    }
    kv_outbound_append_piece(&session->out, form->made);
    kv_session_activate(session);
}

/* ---- what is said of a subscription ---- */

static void append_pattern(struct kv_buffer *out, const struct kv_pattern *pattern)
{
    kv_buffer_append(out, pattern->is_prefix ? KV_SLICE("{\"prefix\":") : KV_SLICE("{\"key\":"));
    kv_json_append_string(out, pattern->text);
}

static void append_epoch(struct kv_buffer *out, const struct kv_session *session)
{
    const char *epoch = kv_keyspace_epoch(kv_keyspace_of(session->here->keyspace));
    kv_buffer_append(out, KV_SLICE(",\"epoch\":"));
    kv_json_append_string(out, kv_slice_of(epoch));
}

static void finish(struct kv_session *session, struct kv_buffer *out)
{
    kv_buffer_append(out, KV_SLICE("}}"));
    if (!kv_session_talks(session))
        return;
    kv_frames_text(&session->out, kv_buffer_slice(out));
    kv_session_activate(session);
}

/* A message about a subscription, up to the end of its pattern. */
static struct kv_buffer *begin_about(struct kv_session *session, struct kv_slice type,
                                     const struct kv_pattern *pattern)
{
    struct kv_buffer *out = kv_envelope_begin(session->here, type, (struct kv_slice){0});
    append_pattern(out, pattern);
    return out;
}

static void on_synced(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      uint64_t revision)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    struct kv_buffer *out = begin_about(session, KV_SLICE("synced"), pattern);
    if (revision != 0) {
        kv_buffer_append(out, KV_SLICE(",\"revision\":"));
        kv_buffer_append_u64(out, revision);
    }
    append_epoch(out, session);
    finish(session, out);
}

static void on_reset(struct kv_subscriber *subscriber, const struct kv_pattern *pattern)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    struct kv_buffer *out = begin_about(session, KV_SLICE("reset"), pattern);
    append_epoch(out, session);
    finish(session, out);
}

static void on_failed(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      int status)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    struct kv_buffer *out = begin_about(session, KV_SLICE("ended"), pattern);
    kv_buffer_append(out, KV_SLICE(",\"error\":"));
    kv_json_append_string(out, kv_slice_of(kv_command_status_text(status)));
    finish(session, out);
}

const struct kv_subscriber_ops kv_ws_subscriber_ops = {
    .on_state = on_state, .on_synced = on_synced, .on_reset = on_reset, .on_failed = on_failed};
