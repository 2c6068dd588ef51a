/*
 * Every answer has a Content-Length except 204 and 304, which must not have one: without it libh2o
 * would close the connection. Small bodies are copied into the request's pool; large values are
 * sent from the store's memory, with a reference that the pool releases.
 */
#include "http/h2o_answer.h"

#include "base/buffer.h"

enum {
    STATUS_DIGITS = 3,
    MOST_PARTS = 3
};

static h2o_iovec_t iovec_of(struct kv_slice bytes)
{
    return (h2o_iovec_t){(char *)(uintptr_t)bytes.bytes, bytes.len};
}

/* Adds a header line. Returns: the place for the next one. */
static char *add_line(h2o_req_t *req, char *line)
{
    char *value = strstr(line, ": ") + 2;
    char *end = strstr(value, "\r\n");
    size_t name_len = (size_t)(value - line) - 2;
    h2o_add_header_by_str(&req->pool, &req->res.headers, line, name_len, 0, NULL, value,
                          (size_t)(end - value));
    return end + 2;
}

static void add_headers(h2o_req_t *req, const struct kv_answer *answer,
                        struct kv_slice allowed_origin)
{
    char lines[KV_ANSWER_LONGEST_HEADERS];
    char *end = kv_answer_write_headers(lines, answer, allowed_origin);
    h2o_iovec_t copy = h2o_strdup(&req->pool, lines, (size_t)(end - lines));
    for (char *at = copy.base; at < copy.base + copy.len;)
        at = add_line(req, at);
}

/* A value that is sent from where it is, in the store's memory. */
struct sent_value {
    struct kv_held held;
    struct kv_tally *tally;
};

static void release_value(void *memory)
{
    struct sent_value *value = memory;
    kv_tally_unpin(value->tally, value->held.ref, value->held.bytes.len);
    kv_held_release(&value->held);
}

static void hold(h2o_req_t *req, struct kv_held held)
{
    struct sent_value *value = h2o_mem_alloc_shared(&req->pool, sizeof(*value), release_value);
    *value = (struct sent_value){.held = held, .tally = kv_h2o_connection_of(req)->among->tally};
    kv_tally_pin(value->tally, value->held.ref, value->held.bytes.len);
}

/* The parts of a value in the store's memory. Returns: their number. */
static size_t hold_value(h2o_req_t *req, struct kv_keyspace *keyspace, const struct kv_item *item,
                         h2o_iovec_t parts[MOST_PARTS])
{
    hold(req, kv_keyspace_hold(keyspace, item));
    parts[0] = iovec_of(KV_VALUE_HEAD);
    parts[1] = iovec_of(item->value);
    parts[2] = iovec_of(KV_VALUE_TAIL);
    return 3;
}

static size_t copy_value(h2o_req_t *req, const struct kv_item *item, h2o_iovec_t parts[MOST_PARTS])
{
    struct kv_slice head = KV_VALUE_HEAD;
    struct kv_slice tail = KV_VALUE_TAIL;
    size_t len = head.len + item->value.len + tail.len;
    parts[0] = (h2o_iovec_t){h2o_mem_alloc_pool(&req->pool, len), len};
    memcpy(parts[0].base, head.bytes, head.len);
    memcpy(parts[0].base + head.len, item->value.bytes, item->value.len);
    memcpy(parts[0].base + head.len + item->value.len, tail.bytes, tail.len);
    return 1;
}

static void uncharge(void *memory)
{
    kv_charge_set(memory, 0);
}

static size_t copy_text(h2o_req_t *req, struct kv_slice text, h2o_iovec_t parts[MOST_PARTS])
{
    struct kv_charge *charge = h2o_mem_alloc_shared(&req->pool, sizeof(*charge), uncharge);
    *charge = (struct kv_charge){.tally = kv_h2o_connection_of(req)->among->tally};
    kv_charge_set(charge, text.len);
    parts[0] = h2o_strdup(&req->pool, text.bytes, text.len);
    return 1;
}

static size_t hold_body(h2o_req_t *req, struct kv_held *body, h2o_iovec_t parts[MOST_PARTS])
{
    parts[0] = iovec_of(body->bytes);
    hold(req, *body);
    *body = (struct kv_held){0};
    return 1;
}

static size_t lay_out_body(h2o_req_t *req, struct kv_keyspace *keyspace,
                           const struct kv_answer *answer, h2o_iovec_t parts[MOST_PARTS])
{
    if (answer->content == KV_CONTENT_NONE)
        return 0;
    if (answer->content == KV_CONTENT_VALUE)
        return answer->item.value.len > KV_ANSWER_LARGEST_COPY
                   ? hold_value(req, keyspace, &answer->item, parts)
                   : copy_value(req, &answer->item, parts);
    if (answer->source != NULL) {
        parts[0] = iovec_of(answer->source->part);
        return parts[0].len != 0;
    }
    if (answer->body != NULL)
        return hold_body(req, answer->body, parts);
    return copy_text(req, answer->text, parts);
}

void kv_h2o_answer_begin(h2o_req_t *req, const struct kv_answer *answer,
                         struct kv_slice allowed_origin, bool has_length)
{
    req->res.status = answer->status;
    req->res.reason = kv_status_text(answer->status).bytes + STATUS_DIGITS + 1;
    req->res.content_length = has_length ? kv_answer_body_len(answer) : SIZE_MAX;
    add_headers(req, answer, allowed_origin);
}

/* Counts the part that is about to be sent. Returns: whether it is the last. */
static bool ends_with_part(struct kv_source *source)
{
    source->n_sent += source->part.len;
    return source->n_sent >= source->len;
}

void kv_h2o_answer_send(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_answer *answer,
                        struct kv_slice allowed_origin, bool is_head)
{
    static h2o_generator_t no_generator = {NULL, NULL};
    h2o_iovec_t parts[MOST_PARTS];
    kv_h2o_answer_begin(req, answer, allowed_origin, kv_status_has_length(answer->status));
    size_t n = is_head ? 0 : lay_out_body(req, keyspace, answer, parts);
    kv_keyspace_release(keyspace, &answer->item);
    bool is_whole = answer->source == NULL || is_head || ends_with_part(answer->source);
    h2o_start_response(req, is_whole ? &no_generator : answer->source->carrier);
    h2o_send(req, parts, n, is_whole ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

void kv_h2o_answer_go_on(h2o_req_t *req, struct kv_source *source, bool is_there)
{
    h2o_iovec_t part = iovec_of(source->part);
    if (!is_there)
        h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
    else
        h2o_send(req, &part, 1,
                 ends_with_part(source) ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}
