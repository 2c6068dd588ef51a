/*
 * Subscriptions to prefixes that match no key of the load, on connections that stay open: their
 * cost for writers.
 */
#include "base/mem.h"
#include "load.h"

enum {
    OF_A_CONNECTION = 10000 /* the server's default limit */
};

static void append_subscribe(struct kv_buffer *out, size_t number, bool is_last)
{
    char text[128];
    int len = snprintf(text, sizeof(text),
                       "{\"type\":\"subscribe\"%s,\"payload\":{\"prefix\":\"idle/%016zx/\"}}",
                       is_last ? ",\"id\":1" : "", number * (size_t)0x9e3779b97f4a7c15);
    ws_append_frame(out, (struct kv_slice){text, (size_t)len});
}

/* Waits for the answer to the last one. */
static void await_answer(struct conn *conn)
{
    struct kv_slice payload;
    while (ws_frame_len(conn_unread(conn).bytes, conn_unread(conn).len, &payload) == 0) {
        conn_flush(conn);
        conn_fill(conn);
    }
    if (!kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"ok\"")))
        die("a subscription was refused: %.*s", (int)payload.len, payload.bytes);
}

void load_hold_prefixes(uint16_t port, size_t n)
{
    for (size_t from = 0; from < n; from += OF_A_CONNECTION) {
        struct conn *conn = kv_calloc(1, sizeof(*conn));
        size_t end = n - from < OF_A_CONNECTION ? n : from + OF_A_CONNECTION;
        conn_open(conn, port, ws_hello, "\r\n\r\n");
        for (size_t i = from; i < end; i++)
            append_subscribe(&conn->out, i, i + 1 == end);
        await_answer(conn);
    }
}
