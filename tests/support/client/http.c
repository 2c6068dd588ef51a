/*
 * Responses are parsed strictly, to check the server's framing: after a response, the stream
 * contains the next one or nothing.
 */
#include "support/client/http.h"

#include <setjmp.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

void kv_test_response_fini(struct kv_test_response *response)
{
    kv_buffer_fini(&response->head);
    kv_buffer_fini(&response->body);
    *response = (struct kv_test_response){0};
}

const char *kv_test_response_header(const struct kv_test_response *response, const char *name)
{
    const char *end = response->head.bytes + response->head.len;
    size_t name_len = strlen(name);
    const char *line = response->head.bytes + strlen(response->head.bytes) + 1;
    for (; line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *value = line + name_len + 1;
        return value + strspn(value, " \t");
    }
    return NULL;
}

void kv_test_http_write(struct kv_buffer *out, const char *method, struct kv_slice path,
                        const char *headers, struct kv_slice body)
{
    kv_buffer_printf(out, "%s ", method);
    kv_buffer_append(out, path);
    kv_buffer_printf(out, " HTTP/1.1\r\nHost: localhost\r\n%s", headers == NULL ? "" : headers);
    if (body.bytes != NULL)
        kv_buffer_printf(out, "Content-Length: %zu\r\n", body.len);
    kv_buffer_printf(out, "\r\n");
    kv_buffer_append(out, body);
}

/* Waits until the unread bytes contain `end`. Returns: the number of bytes before it, or -1 if the
 * connection ends first. */
static ssize_t await_text(struct kv_test_stream *stream, const char *end)
{
    for (;;) {
        struct kv_slice unread = kv_test_stream_unread(stream);
        const char *found = memmem(unread.bytes, unread.len, end, strlen(end));
        if (found != NULL)
            return found - unread.bytes;
        if (!kv_test_stream_await(stream, unread.len + 1))
            return -1;
    }
}

static void split_lines(struct kv_buffer *head)
{
    size_t kept = 0;
    for (size_t at = 0; at < head->len; at++) {
        bool is_line_end =
            head->bytes[at] == '\r' && at + 1 < head->len && head->bytes[at + 1] == '\n';
        head->bytes[kept++] = is_line_end ? '\0' : head->bytes[at];
        at += is_line_end;
    }
    head->len = kept;
}

static void parse_status(struct kv_test_response *response)
{
    const char *line = response->head.bytes;
    if (strncmp(line, "HTTP/1.1 ", 9) != 0 || strspn(line + 9, "0123456789") != 3)
        fail_msg("not a status line: %s", line);
    response->status = atoi(line + 9);
}

static bool receive_lines(struct kv_test_stream *stream, struct kv_test_response *response)
{
    ssize_t len = await_text(stream, "\r\n\r\n");
    response->head.len = 0;
    response->body.len = 0;
    response->is_chunked = false;
    if (len < 0) {
        if (kv_test_stream_unread(stream).len > 0)
            fail_msg("the connection ended within a response");
        return false;
    }
    struct kv_slice unread = kv_test_stream_unread(stream);
    kv_buffer_append(&response->head, (struct kv_slice){unread.bytes, (size_t)len + 2});
    kv_test_stream_use(stream, (size_t)len + 4);
    split_lines(&response->head);
    parse_status(response);
    return true;
}

static void receive_bytes(struct kv_test_stream *stream, size_t len, struct kv_buffer *out)
{
    if (!kv_test_stream_await(stream, len))
        fail_msg("the connection ended within a body");
    kv_buffer_append(out, (struct kv_slice){kv_test_stream_unread(stream).bytes, len});
    kv_test_stream_use(stream, len);
}

static size_t receive_chunk_size(struct kv_test_stream *stream)
{
    ssize_t len = await_text(stream, "\r\n");
    if (len < 0)
        fail_msg("the connection ended within the chunks");
    char *end;
    const char *line = kv_test_stream_unread(stream).bytes;
    size_t size = strtoul(line, &end, 16);
    if (end == line || (*end != '\r' && *end != ';'))
        fail_msg("not a chunk size: %.*s", (int)len, line);
    kv_test_stream_use(stream, (size_t)len + 2);
    return size;
}

static void receive_chunks(struct kv_test_stream *stream, struct kv_buffer *out)
{
    struct kv_buffer line_end = {0};
    for (size_t size = receive_chunk_size(stream); size > 0; size = receive_chunk_size(stream)) {
        receive_bytes(stream, size, out);
        line_end.len = 0;
        receive_bytes(stream, 2, &line_end);
        assert_memory_equal(line_end.bytes, "\r\n", 2);
    }
    kv_buffer_fini(&line_end);
    for (ssize_t len = await_text(stream, "\r\n"); len != 0; len = await_text(stream, "\r\n")) {
        if (len < 0)
            fail_msg("the connection ended within the trailers");
        kv_test_stream_use(stream, (size_t)len + 2);
    }
    kv_test_stream_use(stream, 2);
}

static void receive_rest(struct kv_test_stream *stream, struct kv_buffer *out)
{
    kv_test_stream_await_end(stream);
    struct kv_slice rest = kv_test_stream_unread(stream);
    kv_buffer_append(out, rest);
    kv_test_stream_use(stream, rest.len);
}

static void receive_body(struct kv_test_stream *stream, struct kv_test_response *response)
{
    const char *length = kv_test_response_header(response, "content-length");
    const char *coding = kv_test_response_header(response, "transfer-encoding");
    if (response->status < 200 || response->status == 204 || response->status == 304)
        return;
    if (coding != NULL) {
        assert_string_equal(coding, "chunked");
        response->is_chunked = true;
        receive_chunks(stream, &response->body);
    } else if (length != NULL) {
        receive_bytes(stream, strtoul(length, NULL, 10), &response->body);
    } else {
        receive_rest(stream, &response->body);
    }
}

bool kv_test_http_receive(struct kv_test_stream *stream, struct kv_test_response *ret)
{
    if (!receive_lines(stream, ret))
        return false;
    receive_body(stream, ret);
    return true;
}

bool kv_test_http_receive_head(struct kv_test_stream *stream, struct kv_test_response *ret)
{
    return receive_lines(stream, ret);
}

void kv_test_http_exchange(struct kv_test_stream *stream, const char *method, struct kv_slice path,
                           const char *headers, struct kv_slice body, struct kv_test_response *ret)
{
    struct kv_buffer request = {0};
    kv_test_http_write(&request, method, path, headers, body);
    kv_test_stream_put(stream, kv_buffer_slice(&request));
    kv_buffer_fini(&request);
    kv_test_stream_flush(stream);
    bool is_head = strcmp(method, "HEAD") == 0;
    if (!(is_head ? kv_test_http_receive_head : kv_test_http_receive)(stream, ret))
        fail_msg("no response to %s %.*s", method, (int)(path.len < 200 ? path.len : 200),
                 path.bytes);
}

int kv_test_http_ask(struct kv_test_stream *stream, const char *method, const char *path,
                     const char *headers, const char *body, struct kv_test_response *ret)
{
    struct kv_slice bytes = body == NULL ? (struct kv_slice){0} : kv_slice_of(body);
    kv_test_http_exchange(stream, method, kv_slice_of(path), headers, bytes, ret);
    return ret->status;
}

int kv_test_http_status(uint16_t port, const char *method, const char *path, const char *headers,
                        const char *body)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    int status = kv_test_http_ask(&stream, method, path, headers, body, &response);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return status;
}
