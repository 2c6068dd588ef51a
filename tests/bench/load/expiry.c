/*
 * The delay of expiry notifications: keys with a TTL of two seconds, set at a given rate, in a
 * store with many other keys with a TTL. The delay counts from the earliest possible deadline (the
 * time at which the set was sent, plus its TTL), on the server's own clock.
 *
 * Meanwhile another server of the same store may be sent a signal that kills or stops it. Then the
 * keys told before that, those that are due up to a second after it, and all later ones are counted
 * apart.
 */
#include <signal.h>
#include <stdlib.h>

#include "load.h"
#include "base/mem.h"

enum {
    TTL_MS = 2000,
    PATIENCE_US = 10000000,
    FILL_BATCH = 1000,
    DAY_MS = 24 * 3600 * 1000,
    HANDOVER_US = 1000000 /* after a fault, for another server to take over */
};

/* A key that is to expire. */
struct due {
    int64_t at_us;
    uint32_t n_told;
};

enum phase {
    BEFORE, /* the fault, if there is one */
    HANDOVER,
    AFTERWARDS,
    N_PHASES
};

static struct expiry {
    struct conn conn; /* subscriber and writer in one */
    struct poller poller;
    struct due *keys;
    size_t n_keys;
    size_t n_told, n_twice;
    struct histogram late[N_PHASES];
    int64_t fault_us, resume_us; /* when; INT64_MAX: never */
    bool has_failed;
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

static enum phase phase_of(int64_t due_us)
{
    if (!expiry.has_failed)
        return BEFORE;
    return due_us < expiry.fault_us + HANDOVER_US ? HANDOVER : AFTERWARDS;
}

static void take_end(size_t key)
{
    if (key >= expiry.n_keys)
        die("a strange key: %zu", key);
    struct due *due = &expiry.keys[key];
    if (due->n_told++ > 0) {
        expiry.n_twice++;
        return;
    }
    int64_t late_us = time_us() - due->at_us;
    histogram_add(&expiry.late[phase_of(due->at_us)], late_us < 0 ? 0 : (uint64_t)late_us);
    expiry.n_told++;
}

static void take(struct kv_slice payload)
{
    static const struct kv_slice gone =
        KV_SLICE("{\"type\":\"no-value\",\"payload\":{\"key\":\"due-");
    if (kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"error\"")))
        die("the server says %.*s", (int)payload.len, payload.bytes);
    if (kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"ok\"")))
        expiry.has_answer = true;
    if (kv_slice_has_prefix(payload, gone))
        take_end(strtoul(payload.bytes + gone.len, NULL, 10));
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
    expiry.keys[i].at_us = time_us() + TTL_MS * 1000;
    append_text("{\"type\":\"set\",\"payload\":{\"key\":\"due-%zu\",\"value\":1,\"ttl\":%d}}", i,
                TTL_MS);
}

/* Returns: whether it is time; then it never is again. */
static bool is_time(int64_t *at_us)
{
    if (time_us() < *at_us)
        return false;
    *at_us = INT64_MAX;
    return true;
}

static void make_fault(const struct load_options *options)
{
    if (!expiry.has_failed && time_us() >= expiry.fault_us) {
        expiry.fault_us = time_us();
        expiry.has_failed = true;
        if (kill((pid_t)options->victim, (int)options->signal) != 0)
            die("there is no process %zu", options->victim);
    }
    if (is_time(&expiry.resume_us))
        kill((pid_t)options->victim, SIGCONT);
}

static void plan_fault(const struct load_options *options)
{
    expiry.fault_us = expiry.resume_us = INT64_MAX;
    if (options->victim == 0)
        return;
    expiry.fault_us = time_us() + (int64_t)options->fault_ms * 1000;
    if (options->resume_ms != 0)
        expiry.resume_us = time_us() + (int64_t)options->resume_ms * 1000;
}

/* Returns: the time until which nothing is to be done. */
static int64_t next_us(const struct pace *pace)
{
    int64_t next_us = pace_next_us(pace);
    if (!expiry.has_failed && expiry.fault_us < next_us)
        next_us = expiry.fault_us;
    return expiry.resume_us < next_us ? expiry.resume_us : next_us;
}

/* Ends when all is told, or nothing has been for long. */
static void run_at(const struct load_options *options)
{
    struct pace pace = pace_begin(options->rate, expiry.n_keys);
    int64_t last_us = pace.begin_us;
    size_t n_told = 0;
    while (expiry.n_told < expiry.n_keys && time_us() - last_us < PATIENCE_US) {
        while (pace_take(&pace))
            set_one(pace.n - 1);
        conn_flush(&expiry.conn);
        poller_wait_until(&expiry.poller, next_us(&pace), on_ready);
        make_fault(options);
        if (expiry.n_told != n_told)
            last_us = time_us();
        n_told = expiry.n_told;
    }
    /* Keys that are told twice by now come before this answer. */
    append_text("{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"end\",\"value\":1}}");
    wait_for_answer();
}

static void print_late(const char *name, const struct histogram *late)
{
    printf(",\"%sp50_us\":%ju,\"%sp99_us\":%ju,\"%sp999_us\":%ju,\"%smost_us\":%ju", name,
           (uintmax_t)histogram_at(late, 0.5), name, (uintmax_t)histogram_at(late, 0.99), name,
           (uintmax_t)histogram_at(late, 0.999), name, (uintmax_t)late->largest);
}

void load_expiry(const struct load_options *options)
{
    expiry.n_keys = (size_t)((double)options->rate * options->seconds);
    expiry.keys = kv_calloc(expiry.n_keys, sizeof(*expiry.keys));
    conn_open(&expiry.conn, options->port, ws_hello, "\r\n\r\n");
    poller_open(&expiry.poller);
    poller_add(&expiry.poller, &expiry.conn);
    fill_background(options->background);
    subscribe_to_all();
    plan_fault(options);
    run_at(options);
    printf("{\"load\":\"expiry\",\"background\":%zu,\"rate\":%zu,\"keys\":%zu,\"missing\":%zu,"
           "\"twice\":%zu",
           options->background, options->rate, expiry.n_keys, expiry.n_keys - expiry.n_told,
           expiry.n_twice);
    print_late("", &expiry.late[BEFORE]);
    print_late("handover_", &expiry.late[HANDOVER]);
    print_late("afterwards_", &expiry.late[AFTERWARDS]);
    printf("}\n");
}
