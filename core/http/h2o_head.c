/*
 * The library's own parser and writer of HTTP/1 need a socket; these work on bytes. The framing
 * lines of the library's writer, their order and the letter case of their names are kept.
 */
#include "http/h2o_head.h"

#include <stdio.h>

#include "http/h2o_answer.h"

enum {
    LONGEST_FRAMING = 256
};

static h2o_iovec_t iovec_of(struct kv_slice bytes)
{
    return (h2o_iovec_t){(char *)(uintptr_t)bytes.bytes, bytes.len};
}

/* Headers that the library does not keep in its list, or that have been handled already. */
static bool is_special(h2o_req_t *req, const h2o_token_t *name, h2o_iovec_t value)
{
    if (name == H2O_TOKEN_UPGRADE)
        req->upgrade = value;
    return name != NULL && name->is_init_header_special;
}

static void add_header(h2o_req_t *req, char *name, size_t name_len, h2o_iovec_t value)
{
    h2o_strtolower(name, name_len);
    const h2o_token_t *token = h2o_lookup_token(name, name_len);
    if (is_special(req, token, value))
        return;
    if (token != NULL)
        h2o_add_header(&req->pool, &req->headers, token, NULL, value.base, value.len);
    else
        h2o_add_header_by_str(&req->pool, &req->headers, name, name_len, 0, NULL, value.base,
                              value.len);
}

/* line: a name, a colon, blanks and the value. */
static void read_line(h2o_req_t *req, char *line, char *end)
{
    char *colon = memchr(line, ':', (size_t)(end - line));
    char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    add_header(req, line, (size_t)(colon - line), h2o_iovec_init(value, (size_t)(end - value)));
}

static char *end_of_line(char *line, const char *end)
{
    return memchr(line, '\n', (size_t)(end - line));
}

static void read_lines(h2o_req_t *req, char *at, const char *end)
{
    for (char *newline; at < end && (newline = end_of_line(at, end)) != NULL; at = newline + 1) {
        char *line_end = newline > at && newline[-1] == '\r' ? newline - 1 : newline;
        if (line_end != at)
            read_line(req, at, line_end);
    }
}

/* An upgrade is requested only if `Connection` names it. */
static void check_upgrade(h2o_req_t *req)
{
    ssize_t cursor = -1;
    while ((cursor = h2o_find_header(&req->headers, H2O_TOKEN_CONNECTION, cursor)) != -1) {
        h2o_iovec_t connection = req->headers.entries[cursor].value;
        if (h2o_contains_token(connection.base, connection.len, H2O_STRLIT("upgrade"), ','))
            return;
    }
    req->upgrade = h2o_iovec_init(NULL, 0);
}

void kv_h2o_head_read(h2o_req_t *req, const struct kv_request_head *head, char *bytes, size_t len)
{
    char *end = bytes + head->len;
    req->input.scheme = &H2O_URL_SCHEME_HTTP;
    req->input.method = iovec_of(kv_head_slice(bytes, head->method));
    req->input.path = iovec_of(kv_head_slice(bytes, head->target));
    req->input.authority = iovec_of(kv_head_slice(bytes, head->host));
    req->version = 0x100 | (head->minor_version != 0);
    read_lines(req, end_of_line(bytes + head->target.at, end) + 1, end);
    check_upgrade(req);
    if (head->framing != KV_FRAMED_BY_NOTHING)
        req->entity = h2o_iovec_init(end, len - head->len);
}

static const char *connection_of(const h2o_req_t *req)
{
    if (req->res.status == 101)
        return "upgrade";
    return req->http1_is_persistent ? "keep-alive" : "close";
}

static char *put(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static char *put_header(char *at, const h2o_header_t *header)
{
    const char *name = header->orig_name != NULL ? header->orig_name : header->name->base;
    at = put(put(at, name, header->name->len), ": ", 2);
    return put(put(at, header->value.base, header->value.len), "\r\n", 2);
}

static size_t longest(const h2o_req_t *req)
{
    size_t len = LONGEST_FRAMING + strlen(req->res.reason);
    for (size_t i = 0; i < req->res.headers.size; i++)
        len += req->res.headers.entries[i].name->len + req->res.headers.entries[i].value.len + 4;
    return len;
}

h2o_iovec_t kv_h2o_head_write(h2o_req_t *req)
{
    char *head = h2o_mem_alloc_pool(&req->pool, longest(req));
    char *at =
        head + sprintf(head, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: %s\r\n", req->res.status,
                       req->res.reason, kv_h2o_date(req->conn->ctx), connection_of(req));
    if (req->res.content_length != SIZE_MAX)
        at += sprintf(at, "Content-Length: %zu\r\n", req->res.content_length);
    for (size_t i = 0; i < req->res.headers.size; i++)
        at = put_header(at, &req->res.headers.entries[i]);
    at = put(at, "\r\n", 2);
    return h2o_iovec_init(head, (size_t)(at - head));
}
