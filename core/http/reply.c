/*
 * Answers. Every one has a Content-Length but 204 and 304, where none may stand: without it libh2o
 * would close the connection. Small bodies are copied into the request's pool; large values are
 * sent from the store's memory, under a reference that the pool gives back.
 */
#include "http/impl.h"

#include "base/buffer.h"
#include "base/digits.h"
#include "http/answer.h"

enum {
    STATUS_DIGITS = 3
};

static void send_body(h2o_req_t *req, int status, h2o_iovec_t *parts, size_t n)
{
    static h2o_generator_t generator = {NULL, NULL};
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    req->res.status = status;
    req->res.reason = kv_http_status_text(status).bytes + STATUS_DIGITS + 1;
    req->res.content_length = kv_http_has_length(status) ? len : SIZE_MAX;
    h2o_start_response(req, &generator);
    bool has_no_body = n == 0 || kv_http_method_is(req, KV_SLICE("HEAD"));
    h2o_send(req, parts, has_no_body ? 0 : n, H2O_SEND_STATE_FINAL);
}

void kv_http_reply_empty(h2o_req_t *req, int status)
{
    send_body(req, status, NULL, 0);
}

static void add_json_type(h2o_req_t *req)
{
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   H2O_STRLIT("application/json"));
}

void kv_http_reply_json(h2o_req_t *req, int status, struct kv_slice json)
{
    h2o_iovec_t body = h2o_strdup(&req->pool, json.bytes, json.len);
    add_json_type(req);
    send_body(req, status, &body, 1);
}

void kv_http_reply_error(h2o_req_t *req, int status, const char *format, ...)
{
    struct kv_buffer json = {0};
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    kv_http_append_error(&json, kv_slice_of(message));
    kv_http_reply_json(req, status, kv_buffer_slice(&json));
    kv_buffer_fini(&json);
}

void kv_http_reply_not_allowed(h2o_req_t *req, const char *methods)
{
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, methods, strlen(methods));
    kv_http_reply_error(req, 405, "this path takes %s", methods);
}

static void add_etag(h2o_req_t *req, uint64_t revision)
{
    char *text = h2o_mem_alloc_pool(&req->pool, KV_DIGITS_MAX + 2);
    size_t len = kv_digits_write(text + 1, revision);
    text[0] = text[len + 1] = '"';
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ETAG, NULL, text, len + 2);
}

static void add_time_left(h2o_req_t *req, int64_t left_ms)
{
    char *text = h2o_mem_alloc_pool(&req->pool, KV_DIGITS_MAX);
    size_t len = kv_digits_write(text, (uint64_t)left_ms);
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("kv-ttl"), 0, "KV-TTL", text,
                          len);
}

/* A value that stays in the store's memory while it is sent. */
struct held_item {
    struct kv_keyspace *keyspace;
    struct kv_item item;
};

static void release_held(void *memory)
{
    struct held_item *held = memory;
    kv_keyspace_release(held->keyspace, &held->item);
}

static h2o_iovec_t iovec_of(struct kv_slice bytes)
{
    return (h2o_iovec_t){(char *)(uintptr_t)bytes.bytes, bytes.len};
}

static void reply_held(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_item *item)
{
    struct held_item *held = h2o_mem_alloc_shared(&req->pool, sizeof(*held), release_held);
    *held = (struct held_item){.keyspace = keyspace, .item = *item};
    h2o_iovec_t parts[] = {iovec_of(KV_HTTP_VALUE_HEAD), iovec_of(item->value),
                           iovec_of(KV_HTTP_VALUE_TAIL)};
    *item = (struct kv_item){0};
    send_body(req, 200, parts, 3);
}

static void reply_copied(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_item *item)
{
    struct kv_slice head = KV_HTTP_VALUE_HEAD;
    struct kv_slice tail = KV_HTTP_VALUE_TAIL;
    size_t len = head.len + item->value.len + tail.len;
    h2o_iovec_t body = {h2o_mem_alloc_pool(&req->pool, len), len};
    memcpy(body.base, head.bytes, head.len);
    memcpy(body.base + head.len, item->value.bytes, item->value.len);
    memcpy(body.base + head.len + item->value.len, tail.bytes, tail.len);
    kv_keyspace_release(keyspace, item);
    send_body(req, 200, &body, 1);
}

static void reply_item(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_item *item)
{
    add_json_type(req);
    if (item->value.len > KV_HTTP_LARGEST_COPY)
        reply_held(req, keyspace, item);
    else
        reply_copied(req, keyspace, item);
}

void kv_http_reply(h2o_req_t *req, struct kv_keyspace *keyspace, struct kv_http_answer *answer)
{
    if (answer->may_retry)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
    if (answer->revision != 0)
        add_etag(req, answer->revision);
    if (answer->ttl_left_ms != 0)
        add_time_left(req, answer->ttl_left_ms);
    if (answer->error != NULL)
        kv_http_reply_error(req, answer->status, "%s", answer->error);
    else if (answer->item.revision != 0)
        reply_item(req, keyspace, &answer->item);
    else
        kv_http_reply_empty(req, answer->status);
}

/* The library answers some requests itself (a body too large, a broken chunk), in plain text, and
 * closes with input unread. */

struct error_stream {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void send_error_stream(h2o_ostream_t *super, h2o_req_t *req, h2o_iovec_t *bufs, size_t n,
                              h2o_send_state_t state)
{
    struct error_stream *stream = (struct error_stream *)super;
    bool has_no_body = n == 0;
    (void)bufs;
    h2o_ostream_send_next(super, req, &stream->body, has_no_body ? 0 : 1, state);
}

static const char *what_went_wrong(int status)
{
    switch (status) {
    case 413:
        return "the body is larger than this server takes";
    case 417:
        return "the expectation is not known";
    default:
        return "the body's framing is broken";
    }
}

static void set_up_error_stream(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    (void)self;
    struct kv_buffer json = {0};
    kv_http_append_error(&json, kv_slice_of(what_went_wrong(req->res.status)));
    struct error_stream *stream = (void *)h2o_add_ostream(req, sizeof(*stream), slot);
    stream->body = h2o_strdup(&req->pool, json.bytes, json.len);
    kv_buffer_fini(&json);
    stream->super.do_send = send_error_stream;
    req->res.content_length = stream->body.len;
    h2o_set_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE,
                   H2O_STRLIT("application/json"), 1);
    kv_connection_linger(kv_http_connection_of(req));
    h2o_setup_next_ostream(req, &stream->super.next);
}

void kv_http_register_error_filter(h2o_pathconf_t *pathconf)
{
    h2o_filter_t *filter = h2o_create_filter(pathconf, sizeof(*filter));
    filter->on_setup_ostream = set_up_error_stream;
}
