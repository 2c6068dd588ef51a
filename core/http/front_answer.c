/*
 * The head is put together on the stack. Its lines, their order and the letter case of their names
 * are those of libh2o with the headers that server.c and reply.c add; tests/fuzz/front_fuzz.c holds
 * the two against each other.
 */
#include "http/front_answer.h"

#include "base/digits.h"

enum {
    LONGEST_HEAD = 512
};

static char *put(char *at, struct kv_slice text)
{
    memcpy(at, text.bytes, text.len);
    return at + text.len;
}

static char *put_number(char *at, uint64_t number)
{
    return at + kv_digits_write(at, number);
}

static char *put_etag(char *at, uint64_t revision)
{
    at = put_number(put(at, KV_SLICE("etag: \"")), revision);
    return put(at, KV_SLICE("\"\r\n"));
}

static char *put_start(char *at, int status, const struct kv_front_sending *sending)
{
    at = put(put(at, KV_SLICE("HTTP/1.1 ")), kv_http_status_text(status));
    at = put(put(at, KV_SLICE("\r\nDate: ")), sending->date);
    return sending->is_last ? put(at, KV_SLICE("\r\nConnection: close\r\n"))
                            : put(at, KV_SLICE("\r\nConnection: keep-alive\r\n"));
}

/* Returns: the length. */
static size_t write_head(char *head, const struct kv_http_answer *answer, size_t body_len,
                         const struct kv_front_sending *sending)
{
    char *at = put_start(head, answer->status, sending);
    if (kv_http_has_length(answer->status)) {
        at = put_number(put(at, KV_SLICE("Content-Length: ")), body_len);
        at = put(at, KV_SLICE("\r\n"));
    }
    at = put(at, KV_SLICE("vary: Origin\r\n"));
    if (answer->may_retry)
        at = put(at, KV_SLICE("retry-after: 1\r\n"));
    if (answer->revision != 0)
        at = put_etag(at, answer->revision);
    if (answer->ttl_left_ms != 0) {
        at = put_number(put(at, KV_SLICE("KV-TTL: ")), (uint64_t)answer->ttl_left_ms);
        at = put(at, KV_SLICE("\r\n"));
    }
    if (body_len != 0)
        at = put(at, KV_SLICE("content-type: application/json\r\n"));
    at = put(at, KV_SLICE("\r\n"));
    return (size_t)(at - head);
}

static void append_copied(struct kv_outbound *out, struct kv_slice head, struct kv_slice value)
{
    struct kv_slice before = KV_HTTP_VALUE_HEAD;
    struct kv_slice behind = KV_HTTP_VALUE_TAIL;
    char *at = kv_outbound_reserve(out, head.len + before.len + value.len + behind.len);
    put(put(put(put(at, head), before), value), behind);
}

static void append_held(struct kv_outbound *out, struct kv_keyspace *keyspace, struct kv_slice head,
                        const struct kv_item *item)
{
    struct kv_piece *piece = kv_piece_create_held(
        head, KV_HTTP_VALUE_HEAD, kv_keyspace_hold(keyspace, item), KV_HTTP_VALUE_TAIL);
    kv_outbound_append_piece(out, piece);
    kv_piece_unref(piece);
}

static void write_value(struct kv_outbound *out, struct kv_keyspace *keyspace,
                        const struct kv_http_answer *answer, const struct kv_front_sending *sending)
{
    char bytes[LONGEST_HEAD];
    struct kv_slice value = answer->item.value;
    size_t body_len = KV_HTTP_VALUE_HEAD.len + value.len + KV_HTTP_VALUE_TAIL.len;
    struct kv_slice head = {bytes, write_head(bytes, answer, body_len, sending)};
    if (sending->is_head)
        kv_outbound_append(out, head);
    else if (value.len > KV_HTTP_LARGEST_COPY)
        append_held(out, keyspace, head, &answer->item);
    else
        append_copied(out, head, value);
}

/* body: empty for none. */
static void write_text(struct kv_outbound *out, const struct kv_http_answer *answer,
                       struct kv_slice body, const struct kv_front_sending *sending)
{
    char head[LONGEST_HEAD];
    size_t len = write_head(head, answer, body.len, sending);
    kv_outbound_append(out, (struct kv_slice){head, len});
    if (!sending->is_head)
        kv_outbound_append(out, body);
}

static void write_error(struct kv_outbound *out, const struct kv_http_answer *answer,
                        const struct kv_front_sending *sending)
{
    struct kv_buffer body = {0};
    kv_http_append_error(&body, kv_slice_of(answer->error));
    write_text(out, answer, kv_buffer_slice(&body), sending);
    kv_buffer_fini(&body);
}

void kv_front_answer_write(struct kv_outbound *out, struct kv_keyspace *keyspace,
                           struct kv_http_answer *answer, const struct kv_front_sending *sending)
{
    if (answer->error != NULL)
        write_error(out, answer, sending);
    else if (answer->item.revision != 0)
        write_value(out, keyspace, answer, sending);
    else
        write_text(out, answer, (struct kv_slice){0}, sending);
    kv_keyspace_release(keyspace, &answer->item);
}
