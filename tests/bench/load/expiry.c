/*
 * The delay of expiry notifications: keys with a TTL of two seconds, set at a given rate, in a
 * store with many other keys with a TTL. The delay counts from the earliest possible deadline (the
 * time at which the set was sent, plus its TTL), on the server's own clock.
 */
#include <stdlib.h>

#include "load.h"
#include "base/mem.h"

enum {
    TTL_MS = 2000,
    PATIENCE_US = 10000000,
    FILL_BATCH = 1000,
    DAY_MS = 24 * 3600 * 1000
};

static struct expiry {
    struct conn conn; /* subscriber and writer in one */
    struct poller poller;
    int64_t *due_us;
    size_t n_keys;
    size_t n_told;
    struct histogram late;
    bool has_answer;
} expiry;

static void append_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void append_text(const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ws_append_frame(&expiry.conn.out, (struct kv_slice){text, (size_t)len});
}

static void take(struct kv_slice payload)
{
    static const struct kv_slice gone =
        KV_SLICE("{\"type\":\"no-value\",\"payload\":{\"key\":\"due-");
    if (kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"error\"")))
        die("the server says %.*s", (int)payload.len, payload.bytes);
    if (kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"ok\"")))
        expiry.has_answer = true;
    if (!kv_slice_has_prefix(payload, gone))
        return;
    size_t key = strtoul(payload.bytes + gone.len, NULL, 10);
    int64_t late_us = time_us() - expiry.due_us[key];
    histogram_add(&expiry.late, late_us < 0 ? 0 : (uint64_t)late_us);
    expiry.n_told++;
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

static void wait_for_answer(void)
{
    expiry.has_answer = false;
    conn_flush(&expiry.conn);
    while (!expiry.has_answer)
        poller_wait(&expiry.poller, 1000, on_ready);
}

static void fill_background(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_last = i % FILL_BATCH == FILL_BATCH - 1 || i + 1 == n;
        append_text(
            "{\"type\":\"set\"%s,\"payload\":{\"key\":\"back-%zu\",\"value\":1,\"ttl\":%zu}}",
            is_last ? ",\"id\":1" : "", i, DAY_MS + i % 100000);
        if (is_last)
            wait_for_answer();
    }
}

/* By their prefix: a connection may have fewer subscriptions than there are keys. */
static void subscribe_to_all(void)
{
    append_text("{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"due-\"}}");
    wait_for_answer();
}

static void set_one(size_t i)
{
    expiry.due_us[i] = time_us() + TTL_MS * 1000;
    append_text("{\"type\":\"set\",\"payload\":{\"key\":\"due-%zu\",\"value\":1,\"ttl\":%d}}", i,
                TTL_MS);
}

static void run_at(size_t rate)
{
    struct pace pace = pace_begin(rate, expiry.n_keys);
    int64_t last_us = pace.begin_us;
    size_t n_told = 0;
    while (expiry.n_told < expiry.n_keys) {
        while (pace_take(&pace))
            set_one(pace.n - 1);
        conn_flush(&expiry.conn);
        poller_wait_until(&expiry.poller, pace_next_us(&pace), on_ready);
        if (expiry.n_told != n_told)
            last_us = time_us();
        n_told = expiry.n_told;
        if (time_us() - last_us > PATIENCE_US)
            die("%zu of %zu expiries are told", expiry.n_told, expiry.n_keys);
    }
}

void load_expiry(const struct load_options *options)
{
    expiry.n_keys = (size_t)((double)options->rate * options->seconds);
    expiry.due_us = kv_calloc(expiry.n_keys, sizeof(int64_t));
    conn_open(&expiry.conn, options->port, ws_hello, "\r\n\r\n");
    poller_open(&expiry.poller);
    poller_add(&expiry.poller, &expiry.conn);
    fill_background(options->background);
    subscribe_to_all();
    run_at(options->rate);
    printf("{\"load\":\"expiry\",\"background\":%zu,\"rate\":%zu,\"keys\":%zu,\"p50_us\":%ju,"
           "\"p99_us\":%ju,\"p999_us\":%ju,\"most_us\":%ju}\n",
           options->background, options->rate, expiry.n_keys,
           (uintmax_t)histogram_at(&expiry.late, 0.5), (uintmax_t)histogram_at(&expiry.late, 0.99),
           (uintmax_t)histogram_at(&expiry.late, 0.999), (uintmax_t)expiry.late.largest);
}
