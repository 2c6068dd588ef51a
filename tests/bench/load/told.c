/*
 * The delay until a subscriber at another server is notified of a change, at a given rate: from the
 * moment at which the set is passed to the system until the message arrives. The value is the
 * change's number. There are `keys` keys, so each changes repeatedly.
 */
#include <stdlib.h>

#include "load.h"
#include "base/mem.h"

enum {
    PATIENCE_US = 10000000
};

static struct told {
    struct conn *writers;
    struct conn subscriber;
    struct poller poller;
    int64_t *sent_us; /* of each change */
    size_t n_changes, n_told;
    bool is_subscribed;
    struct histogram late;
} told;

static void take(struct kv_slice payload)
{
    static const struct kv_slice change = KV_SLICE("{\"type\":\"value\",");
    static const char mark[] = "\"value\":";
    if (kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"error\"")))
        die("the server says %.*s", (int)payload.len, payload.bytes);
    if (kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"ok\"")))
        told.is_subscribed = true;
    if (!kv_slice_has_prefix(payload, change))
        return;
    struct kv_slice rest = {payload.bytes + change.len, payload.len - change.len};
    const char *value = memmem(rest.bytes, rest.len, mark, strlen(mark));
    size_t number = value == NULL ? SIZE_MAX : strtoul(value + strlen(mark), NULL, 10);
    if (number >= told.n_changes)
        die("a strange change: %.*s", (int)payload.len, payload.bytes);
    histogram_add(&told.late, (uint64_t)(time_us() - told.sent_us[number]));
    told.n_told++;
}

static void on_ready(struct conn *conn)
{
    struct kv_slice payload;
    size_t len;
    while ((len = ws_frame_len(conn_unread(conn).bytes, conn_unread(conn).len, &payload)) != 0) {
        take(payload);
        conn_use(conn, len);
    }
}

static void open_all(const struct load_options *options)
{
    poller_open(&told.poller);
    told.writers = kv_calloc(options->n_connections, sizeof(*told.writers));
    for (size_t i = 0; i < options->n_connections; i++) {
        conn_open(&told.writers[i], options->port, ws_hello, "\r\n\r\n");
        poller_add(&told.poller, &told.writers[i]);
    }
    conn_open(&told.subscriber, (uint16_t)options->other, ws_hello, "\r\n\r\n");
    poller_add(&told.poller, &told.subscriber);
    ws_append_frame(
        &told.subscriber.out,
        KV_SLICE("{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"told-\"}}"));
    conn_flush(&told.subscriber);
    while (!told.is_subscribed)
        poller_wait(&told.poller, 1000, on_ready);
}

static void set_one(const struct load_options *options, size_t number)
{
    struct conn *writer = &told.writers[number % options->n_connections];
    char text[128];
    int len = snprintf(text, sizeof(text),
                       "{\"type\":\"set\",\"payload\":{\"key\":\"told-%zu\",\"value\":%zu}}",
                       number % options->workload.n_keys, number);
    ws_append_frame(&writer->out, (struct kv_slice){text, (size_t)len});
    told.sent_us[number] = time_us();
    conn_flush(writer);
}

static void run_at(const struct load_options *options)
{
    struct pace pace = pace_begin(options->rate, told.n_changes);
    int64_t last_us = pace.begin_us;
    size_t n_told = 0;
    while (told.n_told < told.n_changes) {
        while (pace_take(&pace))
            set_one(options, pace.n - 1);
        poller_wait_until(&told.poller, pace_next_us(&pace), on_ready);
        if (told.n_told != n_told)
            last_us = time_us();
        n_told = told.n_told;
        if (time_us() - last_us > PATIENCE_US)
            die("%zu of %zu changes are told", told.n_told, told.n_changes);
    }
}

void load_told(const struct load_options *options)
{
    told.n_changes = (size_t)((double)options->rate * options->seconds);
    told.sent_us = kv_calloc(told.n_changes, sizeof(int64_t));
    open_all(options);
    run_at(options);
    printf("{\"load\":\"told\",\"rate\":%zu,\"changes\":%zu,\"p50_us\":%ju,\"p99_us\":%ju,"
           "\"p999_us\":%ju,\"most_us\":%ju}\n",
           options->rate, told.n_changes, (uintmax_t)histogram_at(&told.late, 0.5),
           (uintmax_t)histogram_at(&told.late, 0.99), (uintmax_t)histogram_at(&told.late, 0.999),
           (uintmax_t)told.late.largest);
}
