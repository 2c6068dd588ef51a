/*
 * A state is framed once for all subscribers of the loop that need the same form: plain, with
 * `meta`, or with `meta` and marked as standing for several.
 */
#include "ws/news.h"

#include "protocol/telling.h"
#include "ws/envelope.h"
#include "ws/sending.h"

/* Identify the forms made here. */
static const char makers[KV_N_TELLING_WAYS];

static struct kv_keyspace *keyspace_of(const struct kv_session *session)
{
    return kv_keyspace_of(session->here->keyspace);
}

static struct kv_piece *frame(const struct kv_session *session, const struct kv_delivery *delivery)
{
    const struct kv_news *news = delivery->news;
    struct kv_buffer *out =
        kv_envelope_begin(session->here, kv_telling_type(news), (struct kv_slice){0});
    kv_telling_begin_state(out, keyspace_of(session), delivery);
    return kv_frames_shared(session->here->tally, keyspace_of(session), kv_buffer_slice(out),
                            &news->state, KV_SLICE("}}"));
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
    struct kv_form *form = kv_news_form(delivery->news, &makers[kv_telling_way(delivery)]);
    if (form->made == NULL) {
        form->made = frame(session, delivery);
        form->release = release_piece;
    }
    kv_send_shared(session, form->made);
    kv_session_activate(session);
}

/* ---- notices of subscriptions ---- */

static struct kv_buffer *begin(struct kv_session *session, struct kv_slice type)
{
    return kv_envelope_begin(session->here, type, (struct kv_slice){0});
}

static void finish(struct kv_session *session, struct kv_buffer *out)
{
    kv_buffer_append_char(out, '}');
    if (!kv_session_talks(session))
        return;
    kv_send_text(session, kv_buffer_slice(out));
    kv_session_activate(session);
}

static void on_synced(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      uint64_t revision)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    struct kv_buffer *out = begin(session, KV_SLICE("synced"));
    kv_telling_write_synced(out, keyspace_of(session), pattern, revision);
    finish(session, out);
}

static void on_reset(struct kv_subscriber *subscriber, const struct kv_pattern *pattern)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    struct kv_buffer *out = begin(session, KV_SLICE("reset"));
    kv_telling_write_reset(out, keyspace_of(session), pattern);
    finish(session, out);
}

static void on_failed(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      int status)
{
    struct kv_session *session = kv_subscriber_client(subscriber)->owner;
    struct kv_buffer *out = begin(session, KV_SLICE("ended"));
    kv_telling_write_ended(out, pattern, status);
    finish(session, out);
}

const struct kv_subscriber_ops kv_ws_subscriber_ops = {
    .on_state = on_state, .on_synced = on_synced, .on_reset = on_reset, .on_failed = on_failed};
