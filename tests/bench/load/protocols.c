/* The text of requests, and the end of answers. */
#include <endian.h>
#include <stdlib.h>

#include "load.h"

const char ws_hello[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n";
const char ws_hello_deflate[] =
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/* A JSON string of the workload's length, including quotes. */
static void append_value(struct kv_buffer *out, const struct workload *workload, uint64_t key)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%020ju", (uintmax_t)key);
    kv_buffer_append_char(out, '"');
    for (size_t i = 2; i < workload->value_bytes; i++)
        kv_buffer_append_char(out, digits[i % 20]);
    kv_buffer_append_char(out, '"');
}

/* ---- HTTP ---- */

/* The header with KV_BENCH_TOKEN, if that is set. */
static const char *authorization(void)
{
    static char header[16384];
    const char *token = getenv("KV_BENCH_TOKEN");
    if (token != NULL && token[0] != '\0' && header[0] == '\0')
        snprintf(header, sizeof(header), "Authorization: Bearer %s\r\n", token);
    return header;
}

static void append_http_get(struct kv_buffer *out, const struct workload *workload, uint64_t key)
{
    (void)workload;
    kv_buffer_printf(out, "GET /storage/key:%012ju HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                     (uintmax_t)key, authorization());
}

/* A list of the ten keys around it. */
static void append_http_list(struct kv_buffer *out, const struct workload *workload, uint64_t key)
{
    (void)workload;
    kv_buffer_printf(out,
                     "GET /storage?prefix=key:%011ju&limit=10 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     (uintmax_t)(key / 10));
}

static void append_http_post(struct kv_buffer *out, const struct workload *workload, uint64_t key)
{
    kv_buffer_printf(out,
                     "POST /storage/key:%012ju HTTP/1.1\r\nHost: localhost\r\n%s"
                     "Content-Length: %zu\r\n\r\n{\"value\":",
                     (uintmax_t)key, authorization(), workload->value_bytes + 10);
    append_value(out, workload, key + (uint64_t)rand());
    kv_buffer_append_char(out, '}');
}

static void append_webdis_get(struct kv_buffer *out, const struct workload *workload, uint64_t key)
{
    (void)workload;
    kv_buffer_printf(out, "GET /GET/key:%012ju HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     (uintmax_t)key);
}

static bool is_length_header(const char *line)
{
    static const char name[] = "content-length:";
    for (size_t i = 0; i < sizeof(name) - 1; i++)
        if ((line[i] | 0x20) != (name[i] | 0x20))
            return false;
    return true;
}

static size_t http_answer_len(const char *bytes, size_t len, bool *ret_failed)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    *ret_failed = bytes[9] != '2';
    size_t head = (size_t)(end - bytes) + 4;
    size_t body = 0;
    const char *line = bytes;
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL)
        if (end - ++line > 16 && is_length_header(line)) {
            body = strtoul(line + 15, NULL, 10);
            break;
        }
    return head + body <= len ? head + body : 0;
}

/* ---- WebSocket ---- */

void ws_append_frame(struct kv_buffer *out, struct kv_slice payload)
{
    static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    kv_buffer_append_char(out, (char)0x81);
    if (payload.len < 126) {
        kv_buffer_append_char(out, (char)(0x80 | payload.len));
    } else {
        uint16_t big = htobe16((uint16_t)payload.len);
        kv_buffer_append_char(out, (char)0xfe);
        kv_buffer_append(out, (struct kv_slice){(const char *)&big, 2});
    }
    kv_buffer_append(out, (struct kv_slice){mask, 4});
    char *at = kv_buffer_reserve(out, payload.len);
    for (size_t i = 0; i < payload.len; i++)
        at[i] = (char)(payload.bytes[i] ^ mask[i % 4]);
    out->len += payload.len;
}

size_t ws_frame_len(const char *bytes, size_t len, struct kv_slice *ret_payload)
{
    if (len < 2)
        return 0;
    uint64_t payload = (unsigned char)bytes[1];
    size_t head = payload < 126 ? 2 : payload == 126 ? 4 : 10;
    if (len < head)
        return 0;
    if (head == 4)
        payload = (uint64_t)(unsigned char)bytes[2] << 8 | (unsigned char)bytes[3];
    if (head == 10) {
        memcpy(&payload, bytes + 2, 8);
        payload = be64toh(payload);
    }
    if (len - head < payload)
        return 0;
    *ret_payload = (struct kv_slice){bytes + head, payload};
    return head + payload;
}

static void append_ws_get(struct kv_buffer *out, const struct workload *workload, uint64_t key)
{
    char text[100];
    (void)workload;
    snprintf(text, sizeof(text), "{\"type\":\"get\",\"payload\":{\"key\":\"key:%012ju\"}}",
             (uintmax_t)key);
    ws_append_frame(out, kv_slice_of(text));
}

static void append_ws_set(struct kv_buffer *out, const struct workload *workload, uint64_t key)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text,
                     "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"key:%012ju\",\"value\":",
                     (uintmax_t)key);
    append_value(&text, workload, key + (uint64_t)rand());
    if (workload->ttl_ms != 0)
        kv_buffer_printf(
            &text, ",\"ttl\":%ju",
            (uintmax_t)(workload->ttl_ms + key * workload->spread_ms / workload->n_keys));
    kv_buffer_printf(&text, "}}");
    ws_append_frame(out, kv_buffer_slice(&text));
    kv_buffer_fini(&text);
}

static size_t ws_answer_len(const char *bytes, size_t len, bool *ret_failed)
{
    struct kv_slice payload;
    size_t total = ws_frame_len(bytes, len, &payload);
    if (total != 0)
        *ret_failed =
            bytes[0] != (char)0x81 || kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"e"));
    return total;
}

/* ---- the table ---- */

const struct protocol protocols[] = {
    {.name = "http-get", .append_request = append_http_get, .answer_len = http_answer_len},
    {.name = "http-post", .append_request = append_http_post, .answer_len = http_answer_len},
    {.name = "http-list", .append_request = append_http_list, .answer_len = http_answer_len},
    {.name = "webdis-get", .append_request = append_webdis_get, .answer_len = http_answer_len},
    {.name = "ws-get",
     .hello = ws_hello,
     .hello_end = "\r\n\r\n",
     .append_request = append_ws_get,
     .answer_len = ws_answer_len},
    {.name = "ws-set",
     .hello = ws_hello,
     .hello_end = "\r\n\r\n",
     .append_request = append_ws_set,
     .answer_len = ws_answer_len},
    {.name = NULL},
};

const struct protocol *protocol_find(const char *name)
{
    for (const struct protocol *one = protocols; one->name != NULL; one++)
        if (strcmp(one->name, name) == 0)
            return one;
    return NULL;
}
