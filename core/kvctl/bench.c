/*
 * Each connection is a lane, on which requests follow each other; all lanes are transfers of one
 * libcurl multi handle. `watch` has one more lane, which writes the time repeatedly; it reaches the
 * others as events of their streams. Keys are below a prefix of their own, which is cleared
 * afterwards; they have a time to live, in case that fails.
 */
#include "kvctl/bench.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kvctl/arguments.h"
#include "kvctl/ask.h"
#include "kvctl/easy.h"
#include "kvctl/events.h"
#include "kvctl/interrupt.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "kvctl/spread.h"

enum {
    USUAL_CONNECTIONS = 16,
    MOST_CONNECTIONS = 10000,
    USUAL_KEYS = 1000,
    MOST_KEYS = 1000000,
    USUAL_SIZE = 40,
    MOST_SIZE = 16 << 20,
    USUAL_MS = 5000,
    FILL_BATCH = 100,
    TURN_MS = 100,
    NS_PER_US = 1000,
    STATUS_OK = 200,
    LONGEST_URL = 2048
};

enum kind {
    GET,
    SET,
    WATCH
};

static const char *const kind_names[] = {[GET] = "get", [SET] = "set", [WATCH] = "watch"};

struct bench;

/* One connection. */
struct lane {
    struct bench *bench;
    CURL *easy;
    struct curl_slist *headers;
    struct kv_ctl_silence silence; /* not of streams */
    bool is_writer;
    bool is_stream; /* its transfer does not end by itself */
    bool is_open;   /* its event stream has begun */
    int64_t began_ns;
    char url[LONGEST_URL];
    struct kv_buffer body;
    struct kv_ctl_events events;
};

struct bench {
    struct kv_ctl_call *call;
    const struct kv_ctl_target *target;
    enum kind kind;
    uint64_t n_lanes, n_keys, size;
    int64_t duration_ms;
    char prefix[48];
    uint64_t random;
    CURLM *multi;
    struct lane *lanes;
    uint64_t n_open;      /* number of event streams that have begun */
    uint64_t n_in_flight; /* requests other than streams */
    bool is_over;
    struct kv_ctl_spread spread;
    uint64_t n_failed;
    struct kv_error failure; /* the first one */
    int64_t begin_ns, end_ns;
    bool is_measuring;
};

static int64_t now_ns(void)
{
    return kv_clock_boot.now_ns(&kv_clock_boot);
}

/* xorshift64* (Vigna, 2016). */
static uint64_t draw(struct bench *bench)
{
    bench->random ^= bench->random >> 12;
    bench->random ^= bench->random << 25;
    bench->random ^= bench->random >> 27;
    return bench->random * UINT64_C(2685821657736338717);
}

static void note_failure(struct bench *bench, const char *why, long status)
{
    if (bench->n_failed++ != 0)
        return;
    if (why != NULL)
        kv_error_set(&bench->failure, "%s", why);
    else
        kv_error_set(&bench->failure, "the server answers with %ld", status);
}

static void note_time(struct bench *bench, int64_t since_ns)
{
    if (bench->is_measuring)
        kv_ctl_spread_add(&bench->spread, (uint64_t)(now_ns() - since_ns) / NS_PER_US);
}

/* ---- one request ---- */

static size_t skip(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes;
    (void)user;
    return size * n;
}

static bool on_event(void *context, const struct kv_ctl_event *event)
{
    struct lane *lane = context;
    struct kv_slice value = {0};
    if (kv_slice_equals(event->type, KV_SLICE("value")))
        value = kv_ctl_member(event->data, KV_SLICE("value"));
    if (value.len > 1)
        note_time(lane->bench, strtoll(value.bytes, NULL, 10));
    return true;
}

static size_t take_events(char *bytes, size_t size, size_t n, void *user)
{
    struct lane *lane = user;
    if (!lane->is_open) {
        long status = 0;
        curl_easy_getinfo(lane->easy, CURLINFO_RESPONSE_CODE, &status);
        lane->is_open = status == STATUS_OK;
        lane->bench->n_open += lane->is_open;
    }
    if (lane->is_open)
        kv_ctl_events_take(&lane->events, (struct kv_slice){bytes, size * n});
    return size * n;
}

static void write_value(struct lane *lane)
{
    lane->body.len = 0;
    kv_buffer_append(&lane->body, KV_SLICE("{\"value\":"));
    if (lane->bench->kind == WATCH) {
        kv_buffer_append_u64(&lane->body, (uint64_t)now_ns());
    } else {
        kv_buffer_append_char(&lane->body, '"');
        for (uint64_t i = 2; i < lane->bench->size; i++)
            kv_buffer_append_char(&lane->body, (char)('a' + draw(lane->bench) % 26));
        kv_buffer_append_char(&lane->body, '"');
    }
    kv_buffer_append(&lane->body, KV_SLICE(",\"ttl\":\"10m\"}"));
}

static void set_url(struct lane *lane)
{
    struct bench *bench = lane->bench;
    if (lane->is_stream)
        snprintf(lane->url, sizeof(lane->url), "%s/events?prefix=%s", bench->target->url,
                 bench->prefix);
    else
        snprintf(lane->url, sizeof(lane->url), "%s/storage/%s%ju", bench->target->url,
                 bench->prefix, (uintmax_t)(draw(bench) % bench->n_keys));
    curl_easy_setopt(lane->easy, CURLOPT_URL, lane->url);
}

static void send_request(struct lane *lane)
{
    set_url(lane);
    if (lane->is_writer) {
        write_value(lane);
        curl_easy_setopt(lane->easy, CURLOPT_POSTFIELDS, lane->body.bytes);
        curl_easy_setopt(lane->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)lane->body.len);
    }
    lane->began_ns = now_ns();
    lane->bench->n_in_flight += !lane->is_stream;
    curl_multi_add_handle(lane->bench->multi, lane->easy);
}

static void on_end(struct lane *lane, CURLcode result)
{
    struct bench *bench = lane->bench;
    long status = 0;
    curl_easy_getinfo(lane->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(bench->multi, lane->easy);
    bench->n_in_flight -= !lane->is_stream;
    if (result != CURLE_OK)
        note_failure(
            bench, lane->silence.is_over ? "nothing came in time" : curl_easy_strerror(result), 0);
    else if (lane->is_stream)
        note_failure(bench, status == STATUS_OK ? "an event stream ended" : NULL, status);
    else if (status / 100 != 2)
        note_failure(bench, NULL, status);
    else if (bench->kind != WATCH)
        note_time(bench, lane->began_ns);
    if (result == CURLE_OK && !lane->is_stream && !bench->is_over)
        send_request(lane);
}

/* ---- lanes ---- */

static bool open_lane(struct bench *bench, struct lane *lane, bool is_writer)
{
    static const char *const json[] = {"Content-Type: application/json", NULL};
    *lane = (struct lane){.bench = bench,
                          .easy = curl_easy_init(),
                          .is_writer = is_writer,
                          .is_stream = bench->kind == WATCH && !is_writer,
                          .events = {.on_event = on_event, .context = lane}};
    if (lane->easy == NULL ||
        !kv_ctl_easy_set_up(lane->easy, bench->target, is_writer ? json : NULL, &lane->headers))
        return false;
    curl_easy_setopt(lane->easy, CURLOPT_PRIVATE, lane);
    curl_easy_setopt(lane->easy, CURLOPT_WRITEFUNCTION, lane->is_stream ? take_events : skip);
    curl_easy_setopt(lane->easy, CURLOPT_WRITEDATA, lane);
    if (!lane->is_stream &&
        !kv_ctl_easy_limit_silence(lane->easy, &lane->silence, bench->target->timeout_ms))
        return false;
    if (is_writer) {
        curl_easy_setopt(lane->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(lane->easy, CURLOPT_CUSTOMREQUEST, "PUT");
    }
    return true;
}

static void close_lane(struct lane *lane)
{
    if (lane->easy != NULL)
        curl_multi_remove_handle(lane->bench->multi, lane->easy);
    curl_easy_cleanup(lane->easy);
    curl_slist_free_all(lane->headers);
    kv_buffer_fini(&lane->body);
    kv_ctl_events_fini(&lane->events);
}

static void turn(struct bench *bench)
{
    struct curl_waitfd interrupt = {.fd = kv_ctl_interrupt_fd(), .events = CURL_WAIT_POLLIN};
    int n_running, n_messages;
    curl_multi_perform(bench->multi, &n_running);
    for (CURLMsg *message; (message = curl_multi_info_read(bench->multi, &n_messages)) != NULL;) {
        struct lane *lane;
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &lane) == CURLE_OK)
            on_end(lane, message->data.result);
    }
    curl_multi_poll(bench->multi, &interrupt, 1, TURN_MS, NULL);
}

static bool goes_on(const struct bench *bench, int64_t until_ns)
{
    return now_ns() < until_ns && !kv_ctl_is_interrupted() && bench->n_failed < bench->n_lanes;
}

/* Waits for the last requests: a write must not come after the keys were deleted. */
static void drain(struct bench *bench)
{
    bench->is_over = true;
    bench->is_measuring = false;
    while (bench->n_in_flight != 0 && !kv_ctl_is_interrupted())
        turn(bench);
}

/* The writer begins once all streams have begun. */
static void measure(struct bench *bench)
{
    int64_t duration_ns = bench->duration_ms * KV_NS_PER_MS;
    for (uint64_t i = 0; i < bench->n_lanes; i++)
        send_request(&bench->lanes[i]);
    while (bench->kind == WATCH && bench->n_open < bench->n_lanes && goes_on(bench, INT64_MAX))
        turn(bench);
    if (bench->kind == WATCH)
        send_request(&bench->lanes[bench->n_lanes]);
    bench->is_measuring = true;
    bench->begin_ns = now_ns();
    while (goes_on(bench, bench->begin_ns + duration_ns))
        turn(bench);
    bench->end_ns = now_ns();
    drain(bench);
}

static int run_lanes(struct bench *bench)
{
    uint64_t n = bench->n_lanes + (bench->kind == WATCH);
    bool is_ready = true;
    bench->multi = curl_multi_init();
    bench->lanes = kv_calloc(n, sizeof(*bench->lanes));
    curl_multi_setopt(bench->multi, CURLMOPT_MAXCONNECTS, (long)n);
    for (uint64_t i = 0; i < n && is_ready; i++)
        is_ready = open_lane(bench, &bench->lanes[i], bench->kind == SET || i == bench->n_lanes);
    if (is_ready)
        measure(bench);
    for (uint64_t i = 0; i < n; i++)
        if (bench->lanes[i].bench != NULL)
            close_lane(&bench->lanes[i]);
    curl_multi_cleanup(bench->multi);
    free(bench->lanes);
    return is_ready ? KV_CTL_DONE : kv_ctl_fail(KV_CTL_USAGE, "libcurl cannot be set up for it");
}

/* ---- creating and deleting keys ---- */

typedef void (*append_fn)(struct bench *bench, struct kv_buffer *batch, uint64_t i);

static void append_set(struct bench *bench, struct kv_buffer *batch, uint64_t i)
{
    kv_buffer_printf(
        batch, "{\"type\":\"set\",\"payload\":{\"key\":\"%s%ju\",\"ttl\":\"10m\",\"value\":\"",
        bench->prefix, (uintmax_t)i);
    for (uint64_t n = 2; n < bench->size; n++)
        kv_buffer_append_char(batch, (char)('a' + n % 26));
    kv_buffer_append(batch, KV_SLICE("\"}}"));
}

static void append_delete(struct bench *bench, struct kv_buffer *batch, uint64_t i)
{
    kv_buffer_printf(batch, "{\"type\":\"delete\",\"payload\":{\"key\":\"%s%ju\"}}", bench->prefix,
                     (uintmax_t)i);
}

/* Sends a batch for all keys. Returns: the exit code; failures have been reported. */
static int for_all_keys(struct bench *bench, append_fn append)
{
    struct kv_buffer batch = {0};
    struct kv_ctl_answer answer = {0};
    int code = KV_CTL_DONE;
    for (uint64_t i = 0; i < bench->n_keys && code == KV_CTL_DONE; i++) {
        kv_buffer_append_char(&batch, batch.len == 0 ? '[' : ',');
        append(bench, &batch, i);
        if ((i + 1) % FILL_BATCH != 0 && i + 1 != bench->n_keys)
            continue;
        kv_buffer_append_char(&batch, ']');
        code = kv_ctl_ask_batch(bench->call, kv_buffer_slice(&batch), "bench", &answer);
        if (code == KV_CTL_DONE &&
            memmem(answer.body.bytes, answer.body.len, "\"type\":\"error\"", 14) != NULL)
            code = kv_ctl_fail(KV_CTL_REFUSED, "bench: keys that begin with %s are refused",
                               bench->prefix);
        batch.len = 0;
    }
    kv_buffer_fini(&batch);
    kv_ctl_answer_fini(&answer);
    return code;
}

/* ---- the result ---- */

static void put(const struct bench *bench)
{
    const struct kv_ctl_spread *spread = &bench->spread;
    const char *name = kind_names[bench->kind];
    double seconds = (double)(bench->end_ns - bench->begin_ns) / KV_NS_PER_MS / 1000;
    double rate = seconds > 0 ? (double)spread->n / seconds : 0;
    uintmax_t p50 = kv_ctl_spread_at(spread, 0.5), p90 = kv_ctl_spread_at(spread, 0.9),
              p99 = kv_ctl_spread_at(spread, 0.99);
    if (bench->call->format == KV_CTL_TEXT)
        kv_ctl_putf("%s: %.0f %s/s over %ju connections in %.1f s\n"
                    "latency: p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, most %.2f ms\n",
                    name, rate, bench->kind == WATCH ? "changes" : "requests",
                    (uintmax_t)bench->n_lanes, seconds, (double)p50 / 1000, (double)p90 / 1000,
                    (double)p99 / 1000, (double)spread->most / 1000);
    else
        kv_ctl_putf("{\"bench\":\"%s\",\"connections\":%ju,\"seconds\":%.3f,\"n\":%ju,"
                    "\"failed\":%ju,\"rate\":%.1f,\"p50_us\":%ju,\"p90_us\":%ju,\"p99_us\":%ju,"
                    "\"max_us\":%ju}\n",
                    name, (uintmax_t)bench->n_lanes, seconds, (uintmax_t)spread->n,
                    (uintmax_t)bench->n_failed, rate, p50, p90, p99, (uintmax_t)spread->most);
}

/* Asks for nothing, so that a server that cannot be reached is not measured. */
static int reach(const struct bench *bench)
{
    struct kv_ctl_answer answer = {0};
    int code = kv_ctl_ask_batch(bench->call, KV_SLICE("[]"), "bench", &answer);
    kv_ctl_answer_fini(&answer);
    return code;
}

static int run(struct bench *bench)
{
    kv_ctl_interrupt_catch();
    int code = bench->kind == GET ? for_all_keys(bench, append_set) : reach(bench);
    if (code == KV_CTL_DONE)
        code = run_lanes(bench);
    if (code != KV_CTL_DONE)
        return code;
    put(bench);
    if (kv_ctl_is_interrupted())
        return KV_CTL_DONE; /* the keys will expire */
    if (bench->n_failed != 0)
        return kv_ctl_fail(KV_CTL_REFUSED, "%ju requests failed; the first: %s",
                           (uintmax_t)bench->n_failed, bench->failure.text);
    return for_all_keys(bench, append_delete);
}

static int read_options(struct bench *bench, struct kv_error *reterr)
{
    const struct kv_ctl_arguments *arguments = &bench->call->arguments;
    if (kv_ctl_read_number(arguments, KV_CTL_CONNECTIONS, 1, MOST_CONNECTIONS, &bench->n_lanes,
                           reterr) != 0 ||
        kv_ctl_read_number(arguments, KV_CTL_KEYS, 1, MOST_KEYS, &bench->n_keys, reterr) != 0 ||
        kv_ctl_read_number(arguments, KV_CTL_SIZE, 2, MOST_SIZE, &bench->size, reterr) != 0)
        return -1;
    return kv_ctl_read_time(arguments, KV_CTL_DURATION, &bench->duration_ms, reterr);
}

int kv_ctl_bench_run(struct kv_ctl_call *call)
{
    struct kv_error error;
    struct bench *bench = kv_calloc(1, sizeof(*bench));
    int code = KV_CTL_USAGE;
    *bench = (struct bench){.call = call,
                            .target = kv_ctl_http_target(call->http),
                            .n_lanes = USUAL_CONNECTIONS,
                            .n_keys = USUAL_KEYS,
                            .size = USUAL_SIZE,
                            .duration_ms = USUAL_MS};
    while (bench->kind < WATCH && strcmp(kind_names[bench->kind], call->arguments.operands[0]) != 0)
        bench->kind++;
    if (getrandom(&bench->random, sizeof(bench->random), 0) < 0 || bench->random == 0)
        bench->random = (uint64_t)now_ns();
    snprintf(bench->prefix, sizeof(bench->prefix), "kvctl-bench/%016jx/", (uintmax_t)bench->random);
    if (read_options(bench, &error) != 0)
        kv_ctl_say("%s", error.text);
    else if (strlen(bench->target->url) > LONGEST_URL / 2)
        kv_ctl_say("the URL is too long for a benchmark");
    else
        code = run(bench);
    free(bench);
    return code;
}
