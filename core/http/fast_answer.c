/*
 * The head is assembled on the stack. Its framing lines, their order and the letter case of their
 * names are those of libh2o; tests/fuzz/carriers_fuzz.c compares the two.
 */
#include "http/fast_answer.h"

#include "base/buffer.h"
#include "base/digits.h"

enum {
    LONGEST_FRAMING = 256
};

static char *put_start(char *at, int status, const struct kv_fast_sending *sending)
{
    at = kv_put(kv_put(at, KV_SLICE("HTTP/1.1 ")), kv_status_text(status));
    at = kv_put(kv_put(at, KV_SLICE("\r\nDate: ")), (struct kv_slice){sending->date, KV_DATE_LEN});
    return sending->is_last ? kv_put(at, KV_SLICE("\r\nConnection: close\r\n"))
                            : kv_put(at, KV_SLICE("\r\nConnection: keep-alive\r\n"));
}

static char *put_length(char *at, size_t len)
{
    at = kv_put(at, KV_SLICE("Content-Length: "));
    return kv_put(at + kv_digits_write(at, len), KV_SLICE("\r\n"));
}

/* Returns: the length. A request with an Origin is not plain, so there are no CORS headers. */
static size_t write_head(char *head, const struct kv_answer *answer,
                         const struct kv_fast_sending *sending)
{
    char *at = put_start(head, answer->status, sending);
    if (kv_status_has_length(answer->status))
        at = put_length(at, kv_answer_body_len(answer));
    at = kv_answer_write_headers(at, answer, (struct kv_slice){0});
    return (size_t)(kv_put(at, KV_SLICE("\r\n")) - head);
}

static void append_held(struct kv_outbound *out, struct kv_slice head, struct kv_slice before,
                        struct kv_held body, struct kv_slice after)
{
    struct kv_piece *piece = kv_piece_create_held(out->chunks->tally, head, before, body, after);
    kv_outbound_append_piece(out, piece);
    kv_piece_unref(piece);
}

static void append_copied(struct kv_outbound *out, struct kv_slice head, struct kv_slice value)
{
    struct kv_slice before = KV_VALUE_HEAD;
    struct kv_slice after = KV_VALUE_TAIL;
    char *at = kv_outbound_reserve(out, head.len + before.len + value.len + after.len);
    kv_put(kv_put(kv_put(kv_put(at, head), before), value), after);
}

static void append_value(struct kv_outbound *out, struct kv_keyspace *keyspace,
                         struct kv_slice head, const struct kv_item *item)
{
    if (item->value.len > KV_ANSWER_LARGEST_COPY)
        append_held(out, head, KV_VALUE_HEAD, kv_keyspace_hold(keyspace, item), KV_VALUE_TAIL);
    else
        append_copied(out, head, item->value);
}

void kv_fast_answer_write(struct kv_outbound *out, struct kv_keyspace *keyspace,
                          struct kv_answer *answer, const struct kv_fast_sending *sending)
{
    char bytes[LONGEST_FRAMING + KV_ANSWER_LONGEST_HEADERS];
    struct kv_slice head = {bytes, write_head(bytes, answer, sending)};
    if (answer->content == KV_CONTENT_VALUE && !sending->is_head) {
        append_value(out, keyspace, head, &answer->item);
    } else if (answer->body != NULL && !sending->is_head) {
        append_held(out, head, (struct kv_slice){0}, *answer->body, (struct kv_slice){0});
        *answer->body = (struct kv_held){0};
    } else {
        kv_outbound_append(out, head);
        if (!sending->is_head)
            kv_outbound_append(out, answer->text);
    }
    kv_keyspace_release(keyspace, &answer->item);
}
