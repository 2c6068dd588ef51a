#include "ws/sending.h"

enum {
    COMPRESSING = 4 /* the cost of compressing a byte, in units of its usual cost */
};

void kv_send_text(struct kv_session *session, struct kv_slice text)
{
    kv_send_parts(session, text, (struct kv_slice){0}, (struct kv_slice){0});
}

static void send_unshared(struct kv_session *session, struct kv_piece *piece)
{
    kv_send_shared(session, piece);
    kv_piece_unref(piece);
}

/* Returns: whether compressing was worthwhile, and the text is queued. */
static bool send_deflated(struct kv_session *session, enum kv_deflate_form form,
                          const struct kv_slice *parts, size_t n, size_t len)
{
    struct kv_slice compressed;
    kv_quantum_charge(&session->quantum, &session->here->quanta, COMPRESSING * len);
    if (!kv_compression_run(&session->here->compression, form, parts, n, &compressed))
        return false;
    kv_frames_deflated(&session->out, compressed);
    return true;
}

void kv_send_parts(struct kv_session *session, struct kv_slice head, struct kv_slice value,
                   struct kv_slice tail)
{
    const struct kv_slice parts[] = {head, value, tail};
    size_t len = head.len + value.len + tail.len;
    enum kv_deflate_form form = kv_deflate_form_of(session->window_bits, len);
    if (form != KV_DEFLATE_NONE && len > KV_COMPRESSION_LONGEST) {
        send_unshared(session, kv_frames_copied(session->here->tally, head, value, tail));
        return;
    }
    if (form == KV_DEFLATE_NONE || !send_deflated(session, form, parts, 3, len))
        kv_frames_parts(&session->out, head, value, tail);
}

void kv_send_item(struct kv_session *session, struct kv_slice head, const struct kv_item *item,
                  struct kv_slice tail)
{
    struct kv_keyspace *keyspace = kv_keyspace_of(session->here->keyspace);
    size_t largest_copy =
        session->window_bits != 0 ? KV_COMPRESSION_LONGEST : KV_OUTBOUND_LARGEST_COPY;
    if (item->value.len > largest_copy)
        send_unshared(session, kv_frames_shared(session->here->tally, keyspace, head, item, tail));
    else
        kv_send_parts(session, head, item->value, tail);
}

void kv_send_shared(struct kv_session *session, struct kv_piece *piece)
{
    if (session->window_bits != 0) {
        enum kv_deflate_form form =
            kv_deflate_form_of(session->window_bits, kv_frames_text_len(piece));
        if (form != KV_DEFLATE_NONE)
            piece = kv_compression_of(&session->here->compression, piece, form);
    }
    kv_outbound_append_piece(&session->out, piece);
}
