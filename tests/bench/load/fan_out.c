/*
 * One key, or one channel of Redis, with many subscribers, each of which counts its notifications.
 * The writer has `depth` changes in flight: a change is done when every subscriber has it. A lost
 * notification stops the run. The value of a change is a number or, for longer values, JSON
 * records.
 */
#include <stdlib.h>

#include "load.h"
#include "base/mem.h"

enum {
    PATIENCE_MS = 5000,
    WARM_UP_SHARE = 5
};

static struct fan_out {
    enum fan_out_kind kind;
    size_t n_subscribers;
    struct conn *subscribers;
    uint64_t *n_told; /* of each */
    struct conn writer;
    struct poller poller;
    uint64_t n_written;
    uint64_t n_deliveries;
    uint64_t n_bytes; /* sent to subscribers */
    size_t value_bytes;
    const char *hello;
} fan;

/* ---- both protocols ---- */

static void append_records(uint64_t number)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "{\"type\":\"set\",\"payload\":{\"key\":\"fan\",\"value\":[%ju",
                     (uintmax_t)number);
    for (uint64_t i = number; text.len < fan.value_bytes; i++)
        kv_buffer_printf(&text, ",{\"id\":%ju,\"name\":\"user %ju\",\"score\":%ju,\"active\":%s}",
                         (uintmax_t)i, (uintmax_t)(i * 7919 % 10007), (uintmax_t)(i * i % 977),
                         i % 3 == 0 ? "true" : "false");
    kv_buffer_append(&text, KV_SLICE("]}}"));
    ws_append_frame(&fan.writer.out, kv_buffer_slice(&text));
    kv_buffer_fini(&text);
}

static void append_change(struct kv_buffer *out, uint64_t number)
{
    char text[160];
    int len;
    if (fan.kind == FAN_OUT_REDIS) {
        len = snprintf(text, sizeof(text), "*3\r\n$7\r\nPUBLISH\r\n$3\r\nfan\r\n$32\r\n%032ju\r\n",
                       (uintmax_t)number);
        kv_buffer_append(out, (struct kv_slice){text, (size_t)len});
        return;
    }
    if (fan.value_bytes > sizeof(text)) {
        append_records(number);
        return;
    }
    len = snprintf(text, sizeof(text),
                   "{\"type\":\"set\",\"payload\":{\"key\":\"fan\",\"value\":\"%030ju\"}}",
                   (uintmax_t)number);
    ws_append_frame(out, (struct kv_slice){text, (size_t)len});
}

/* `*3 $7 message $3 fan $32 …`: the seventh line's end. */
static size_t redis_message_len(const char *bytes, size_t len)
{
    const char *at = bytes;
    for (int i = 0; i < 7; i++) {
        at = memchr(at, '\n', len - (size_t)(at - bytes));
        if (at == NULL)
            return 0;
        at++;
    }
    return (size_t)(at - bytes);
}

static size_t message_len(struct kv_slice unread)
{
    struct kv_slice payload;
    return fan.kind == FAN_OUT_REDIS ? redis_message_len(unread.bytes, unread.len)
                                     : ws_frame_len(unread.bytes, unread.len, &payload);
}

static void subscribe(struct conn *conn, uint16_t port)
{
    if (fan.kind == FAN_OUT_REDIS) {
        conn_open(conn, port, "*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\nfan\r\n", ":1\r\n");
        return;
    }
    conn_open(conn, port, fan.hello, "\r\n\r\n");
    ws_append_frame(
        &conn->out,
        fan.kind == FAN_OUT_PREFIX
            ? KV_SLICE("{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"fa\"}}")
            : KV_SLICE("{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"fan\"}}"));
    conn_flush(conn);
    struct kv_slice payload;
    while (ws_frame_len(conn_unread(conn).bytes, conn_unread(conn).len, &payload) == 0)
        conn_fill(conn);
    conn_use(conn, conn_unread(conn).len);
}

/* ---- the run ---- */

static void on_ready(struct conn *conn)
{
    if (conn == &fan.writer) {
        conn_use(conn, conn_unread(conn).len); /* Redis returns the number of recipients */
        return;
    }
    size_t i = (size_t)(conn - fan.subscribers);
    for (;;) {
        struct kv_slice unread = conn_unread(conn);
        size_t len = unread.len == 0 ? 0 : message_len(unread);
        if (len == 0)
            return;
        conn_use(conn, len);
        fan.n_told[i]++;
        fan.n_deliveries++;
        fan.n_bytes += len;
    }
}

static uint64_t least_told(void)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < fan.n_subscribers; i++)
        least = fan.n_told[i] < least ? fan.n_told[i] : least;
    return least;
}

static void turn_until(int64_t until_us, size_t depth)
{
    while (time_us() < until_us) {
        uint64_t done = least_told();
        while (fan.n_written < done + depth)
            append_change(&fan.writer.out, ++fan.n_written);
        conn_flush(&fan.writer);
        if (poller_wait(&fan.poller, PATIENCE_MS, on_ready) == 0)
            die("change %ju did not reach every subscriber", (uintmax_t)done + 1);
    }
}

void load_fan_out(enum fan_out_kind kind, const struct load_options *options)
{
    static const char *const names[] = {[FAN_OUT_KEY] = "fan-out",
                                        [FAN_OUT_PREFIX] = "fan-out-prefix",
                                        [FAN_OUT_REDIS] = "fan-out-redis"};
    fan.kind = kind;
    fan.n_subscribers = options->n_connections;
    fan.value_bytes = options->workload.value_bytes;
    fan.hello = options->deflate != 0 ? ws_hello_deflate : ws_hello;
    fan.subscribers = kv_calloc(fan.n_subscribers, sizeof(struct conn));
    fan.n_told = kv_calloc(fan.n_subscribers, sizeof(uint64_t));
    poller_open(&fan.poller);
    for (size_t i = 0; i < fan.n_subscribers; i++) {
        subscribe(&fan.subscribers[i], options->port);
        poller_add(&fan.poller, &fan.subscribers[i]);
    }
    conn_open(&fan.writer, options->port, kind == FAN_OUT_REDIS ? NULL : ws_hello, "\r\n\r\n");
    poller_add(&fan.poller, &fan.writer);
    int64_t lasting_us = (int64_t)(options->seconds * 1e6);
    turn_until(time_us() + lasting_us / WARM_UP_SHARE, options->depth);
    int64_t begin_us = time_us();
    uint64_t before = fan.n_deliveries;
    fan.n_bytes = 0;
    turn_until(begin_us + lasting_us, options->depth);
    double seconds = (double)(time_us() - begin_us) / 1e6;
    double n = (double)(fan.n_deliveries - before);
    printf("{\"load\":\"%s\",\"subscribers\":%zu,\"depth\":%zu,\"rate\":%.0f,\"answers\":%.0f,"
           "\"bytes\":%.1f}\n",
           names[kind], fan.n_subscribers, options->depth, n / seconds, n, (double)fan.n_bytes / n);
}
