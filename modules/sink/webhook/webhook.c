/*
 * Sends events by HTTP POST, with the headers of Standard Webhooks. One request is in flight at a
 * time, so that the order is kept; it has at most `batch` events. A failed request is repeated
 * unchanged, with the same `webhook-id`, even if more events have arrived since. A request refused
 * because of its content is repeated in halves, so that one event does not fail the others.
 *
 * Only the head of the answer matters: the body is read for the log, and so that the connection can
 * be reused.
 *
 * After a number of attempts, an event is given up and goes to the dead-letter file; once the
 * receiver has answered 410, all events do.
 */
#include <kvserver/sink.h>

#include <curl/curl.h>
#include <stdlib.h>

#include "dead_letter.h"
#include "options.h"
#include "signature.h"

enum {
    TURN_MS = 100,
    LONGEST_ID = 128,
    LONGEST_ANSWER_TEXT = 200,
    MOST_ANSWER_BYTES = 65536, /* read at most; then the connection is closed */
    ANSWER_MS = 500,           /* for a body, after its head */
    STATUS_GONE = 410,
    STATUS_TOO_LARGE = 413,
    MOST_SECONDS_TO_WAIT = 3600 /* that a receiver may request */
};

struct kv_sink {
    const struct kv_sink_host *host;
    const struct kv_option_value *options;
    struct kv_webhook_secret secret, previous_secret;
    char peer[256]; /* the receiver's address, for messages */
    CURLM *multi;
    CURL *easy;
    bool is_gone;          /* the receiver wants no more events */
    char id[LONGEST_ID];   /* of the failed request; empty: none */
    size_t n_events;       /* in it */
    size_t most;           /* events of the next one */
    int64_t n_attempts;    /* of it */
    int64_t not_before_ms; /* the receiver asked to wait until then */
    char *body;
    size_t body_capacity;
    long status;     /* of the answer, once its head is complete; otherwise 0 */
    int64_t head_ms; /* when that was */
    char answer[LONGEST_ANSWER_TEXT + 1]; /* the beginning of its body */
    size_t answer_len;
    size_t n_answer_bytes;
    char trouble[CURL_ERROR_SIZE]; /* why there was no answer */
};

/* ---- creation ---- */

static int64_t now_ms(const struct kv_sink *sink)
{
    return sink->host->base.now_ms(&sink->host->base);
}

static void webhook_close(struct kv_sink *sink)
{
    curl_easy_cleanup(sink->easy);
    curl_multi_cleanup(sink->multi);
    curl_global_cleanup();
    free(sink->body);
    free(sink);
}

/* Keeps the beginning of the receiver's answer, for the log. Returns: less than the input's length
 * if the answer is too long. */
static size_t take_answer(char *bytes, size_t size, size_t n, void *user)
{
    struct kv_sink *sink = user;
    size_t len = size * n, room = LONGEST_ANSWER_TEXT - sink->answer_len;
    if (room > len)
        room = len;
    for (size_t i = 0; i < room; i++)
        sink->answer[sink->answer_len++] =
            bytes[i] < ' ' || bytes[i] > '~' ? ' ' : bytes[i]; /* one line of plain text */
    sink->answer[sink->answer_len] = '\0';
    sink->n_answer_bytes += len;
    return sink->n_answer_bytes <= MOST_ANSWER_BYTES ? len : 0;
}

/* An empty line ends the head. Interim answers (1xx) have heads, too. */
static size_t take_header(char *bytes, size_t size, size_t n, void *user)
{
    struct kv_sink *sink = user;
    struct kv_slice line = {bytes, size * n};
    long status = 0;
    bool is_end = kv_slice_equals(line, KV_SLICE("\r\n")) || kv_slice_equals(line, KV_SLICE("\n"));
    if (sink->status != 0 || !is_end)
        return line.len;
    curl_easy_getinfo(sink->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return line.len;
    sink->status = status;
    sink->head_ms = now_ms(sink);
    return line.len;
}

static bool set_up(struct kv_sink *sink)
{
    const struct kv_option_value *options = sink->options;
    CURL *easy = sink->easy;
    if (options[OPTION_CA_FILE].string.len != 0 &&
        curl_easy_setopt(easy, CURLOPT_CAINFO, options[OPTION_CA_FILE].string.bytes) != CURLE_OK)
        return false;
    return curl_easy_setopt(easy, CURLOPT_URL, options[OPTION_URL].string.bytes) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "kvserver") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options[OPTION_TIMEOUT].integer) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                            (long)options[OPTION_CONNECT_TIMEOUT].integer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, sink) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, sink) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, sink->trouble) == CURLE_OK;
}

/* Shows only the host and port of the URL: the rest may be secret. */
static void write_peer(struct kv_sink *sink)
{
    const char *at = strstr(sink->options[OPTION_URL].string.bytes, "://");
    at = at == NULL ? sink->options[OPTION_URL].string.bytes : at + 3;
    size_t len = strcspn(at, "/?#");
    const char *user = memrchr(at, '@', len);
    size_t skipped = user == NULL ? 0 : (size_t)(user - at) + 1;
    snprintf(sink->peer, sizeof(sink->peer), "%.*s", (int)(len - skipped), at + skipped);
}

static int read_secrets(struct kv_sink *sink, struct kv_error *reterr)
{
    const struct kv_option_value *options = sink->options;
    if (kv_webhook_secret_read(options[OPTION_SECRET].string, &sink->secret, reterr) != 0)
        return -1;
    return kv_webhook_secret_read(options[OPTION_PREVIOUS_SECRET].string, &sink->previous_secret,
                                  reterr);
}

static int webhook_open(const struct kv_sink_host *host, const struct kv_option_value *options,
                        struct kv_sink **ret_sink, struct kv_error *reterr)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return kv_error_set(reterr, "libcurl cannot be set up");
    struct kv_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) {
        curl_global_cleanup();
        return kv_error_set(reterr, "no memory");
    }
    sink->host = host;
    sink->options = options;
    write_peer(sink);
    sink->most = (size_t)options[OPTION_BATCH].integer;
    int result = read_secrets(sink, reterr);
    if (result == 0) {
        sink->multi = curl_multi_init();
        sink->easy = curl_easy_init();
        if (sink->multi == NULL || sink->easy == NULL || !set_up(sink))
            result = kv_error_set(reterr, "libcurl takes not all of the options");
    }
    if (result != 0) {
        webhook_close(sink);
        return -1;
    }
    *ret_sink = sink;
    return 0;
}

/* ---- a request ---- */

static bool reserve(struct kv_sink *sink, size_t size)
{
    if (size <= sink->body_capacity)
        return true;
    char *body = realloc(sink->body, size);
    if (body == NULL)
        return false;
    sink->body = body;
    sink->body_capacity = size;
    return true;
}

/* One event alone, or a list of events. Returns: no bytes if memory runs out. */
static struct kv_slice write_body(struct kv_sink *sink, const struct kv_event *events, size_t n)
{
    size_t size = 2, len = 0;
    if (sink->options[OPTION_BATCH].integer == 1)
        return events[0].json;
    for (size_t i = 0; i < n; i++)
        size += events[i].json.len + 1;
    if (!reserve(sink, size))
        return (struct kv_slice){0};
    for (size_t i = 0; i < n; i++) {
        sink->body[len++] = i == 0 ? '[' : ',';
        memcpy(sink->body + len, events[i].json.bytes, events[i].json.len);
        len += events[i].json.len;
    }
    sink->body[len++] = ']';
    return (struct kv_slice){sink->body, len};
}

static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
    char line[WEBHOOK_LONGEST_HEADER];
    int len = snprintf(line, sizeof(line), "%s: %s", name, value);
    struct curl_slist *more = len < (int)sizeof(line) ? curl_slist_append(*headers, line) : NULL;
    if (more != NULL)
        *headers = more;
    return more != NULL;
}

static bool add_signature(const struct kv_sink *sink, int64_t timestamp, struct kv_slice body,
                          struct curl_slist **headers)
{
    char first[KV_WEBHOOK_SIGNATURE_SIZE], second[KV_WEBHOOK_SIGNATURE_SIZE] = "";
    char signatures[2 * KV_WEBHOOK_SIGNATURE_SIZE];
    struct kv_slice id = kv_slice_of(sink->id);
    bool has_two = sink->previous_secret.len != 0;
    if (sink->secret.len == 0)
        return true;
    if (kv_webhook_sign(&sink->secret, id, timestamp, body, first) != 0 ||
        (has_two && kv_webhook_sign(&sink->previous_secret, id, timestamp, body, second) != 0))
        return false;
    snprintf(signatures, sizeof(signatures), "%s%s%s", first, has_two ? " " : "", second);
    return add_header(headers, "webhook-signature", signatures);
}

/* Owns: the caller, by curl_slist_free_all(). */
static struct curl_slist *make_headers(const struct kv_sink *sink, struct kv_slice body)
{
    const struct kv_option_value *further = &sink->options[OPTION_HEADERS];
    struct curl_slist *headers = NULL;
    char time[32];
    int64_t timestamp = sink->host->base.wall_us(&sink->host->base) / 1000000;
    snprintf(time, sizeof(time), "%lld", (long long)timestamp);
    bool is_whole = add_header(&headers, "content-type", "application/json") &&
                    add_header(&headers, "expect", "") &&
                    add_header(&headers, "webhook-id", sink->id) &&
                    add_header(&headers, "webhook-timestamp", time) &&
                    add_signature(sink, timestamp, body, &headers);
    for (size_t i = 0; is_whole && i + 1 < further->list.n; i += 2)
        is_whole = add_header(&headers, further->list.items[i].string.bytes,
                              further->list.items[i + 1].string.bytes);
    if (is_whole)
        return headers;
    curl_slist_free_all(headers);
    return NULL;
}

/* Whether to continue with the request for another turn. */
static bool goes_on(const struct kv_sink *sink)
{
    if (sink->status != 0 && now_ms(sink) - sink->head_ms >= ANSWER_MS)
        return false;
    return !sink->host->is_ending(sink->host);
}

/* Runs the request to its end, or as long as necessary. Returns: the result;
 * CURLE_ABORTED_BY_CALLBACK if it was not finished. */
static CURLcode transfer(struct kv_sink *sink)
{
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int n_running = 1, n_messages;
    if (curl_multi_add_handle(sink->multi, sink->easy) != CURLM_OK)
        return CURLE_FAILED_INIT;
    while (n_running != 0 && goes_on(sink)) {
        if (curl_multi_perform(sink->multi, &n_running) != CURLM_OK)
            break;
        if (n_running != 0)
            curl_multi_poll(sink->multi, NULL, 0, TURN_MS, NULL);
    }
    for (CURLMsg *message; (message = curl_multi_info_read(sink->multi, &n_messages)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            result = message->data.result;
    curl_multi_remove_handle(sink->multi, sink->easy);
    return result;
}

static void note_wish_to_wait(struct kv_sink *sink)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(sink->easy, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds > MOST_SECONDS_TO_WAIT)
        seconds = MOST_SECONDS_TO_WAIT;
    sink->not_before_ms = now_ms(sink) + (int64_t)seconds * 1000;
}

static void forget_answer(struct kv_sink *sink)
{
    sink->status = 0;
    sink->answer_len = 0;
    sink->n_answer_bytes = 0;
    sink->answer[0] = '\0';
    sink->trouble[0] = '\0';
}

static void explain(const struct kv_sink *sink, CURLcode result, struct kv_error *reterr)
{
    const char *why = sink->trouble[0] != '\0' ? sink->trouble : curl_easy_strerror(result);
    kv_error_set(reterr, "%s: %s", sink->peer,
                 result == CURLE_ABORTED_BY_CALLBACK ? "the time for it is over" : why);
}

/* Returns: the status, 0 and *reterr if there is none. */
static long post(struct kv_sink *sink, struct kv_slice body, struct kv_error *reterr)
{
    struct curl_slist *headers = body.bytes == NULL ? NULL : make_headers(sink, body);
    forget_answer(sink);
    if (headers == NULL) {
        kv_error_set(reterr, "no memory, or a header that is too long");
        return 0;
    }
    curl_easy_setopt(sink->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(sink->easy, CURLOPT_POSTFIELDS, body.bytes);
    curl_easy_setopt(sink->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    CURLcode result = transfer(sink);
    if (sink->status != 0)
        note_wish_to_wait(sink);
    else
        explain(sink, result, reterr);
    curl_easy_setopt(sink->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return sink->status;
}

/* ---- delivering ---- */

/* The number of events in the next request; a failed request is repeated with the same events. */
static size_t choose(struct kv_sink *sink, const struct kv_event *events, size_t n)
{
    char id[LONGEST_ID];
    snprintf(id, sizeof(id), "%.*s", (int)events[0].id.len, events[0].id.bytes);
    if (strcmp(id, sink->id) == 0 && sink->n_events <= n)
        return sink->n_events;
    memcpy(sink->id, id, sizeof(id));
    sink->n_events = n < sink->most ? n : sink->most;
    sink->n_attempts = 0;
    return sink->n_events;
}

/* Waits until the receiver may be contacted again. */
static bool wait_as_asked(const struct kv_sink *sink)
{
    int64_t left_ms;
    while ((left_ms = sink->not_before_ms - now_ms(sink)) > 0 &&
           !sink->host->is_ending(sink->host)) {
        struct timespec turn = {.tv_nsec = (left_ms < TURN_MS ? left_ms : TURN_MS) * 1000000};
        nanosleep(&turn, NULL);
    }
    return left_ms <= 0;
}

/* Returns: the number of events settled: n, or 0 and *reterr if they could not be kept. */
static size_t give_up(struct kv_sink *sink, const struct kv_event *events, size_t n,
                      struct kv_error *reterr)
{
    struct kv_slice path = sink->options[OPTION_DEAD_LETTER].string;
    if (path.len != 0 && kv_dead_letter_append(path.bytes, events, n, reterr) != 0)
        return 0;
    sink->host->gave_up(sink->host, n);
    return n;
}

/* Whether the refusal concerns the content of the request: the receiver would refuse it again. */
static bool is_refusal(long status)
{
    return status == 400 || status == STATUS_TOO_LARGE || status == 415 || status == 422;
}

/* The next request has half as many events, and starts with the same one. */
static void halve(struct kv_sink *sink)
{
    sink->most = (sink->n_events + 1) / 2;
    sink->id[0] = '\0';
}

/* Whether the events have had their last attempt. A single event that is too large needs no other
 * one, unless the receiver asks for it. */
static bool is_to_give_up(struct kv_sink *sink, long status)
{
    int64_t most = sink->options[OPTION_ATTEMPTS].integer;
    if (sink->host->is_ending(sink->host) || most == 0)
        return false;
    bool is_final = status == STATUS_TOO_LARGE && sink->not_before_ms <= now_ms(sink);
    return ++sink->n_attempts >= most || is_final;
}

static size_t fail(struct kv_sink *sink, const struct kv_event *events, size_t n, long status,
                   struct kv_error *reterr)
{
    struct kv_error error;
    if (status != 0)
        kv_error_set(reterr, "%s answered %ld%s%s", sink->peer, status,
                     sink->answer_len == 0 ? "" : ": ", sink->answer);
    if (n > 1 && is_refusal(status)) {
        halve(sink);
        return 0;
    }
    if (!is_to_give_up(sink, status))
        return 0;
    if (give_up(sink, events, n, &error) == 0) {
        sink->host->base.log(&sink->host->base, KV_LOG_ERROR, "%s", error.text);
        return 0;
    }
    sink->host->base.log(&sink->host->base, KV_LOG_ERROR,
                         "%zu event%s from %s on %s given up after %lld attempt%s: %s", n,
                         n == 1 ? "" : "s", sink->id, n == 1 ? "is" : "are",
                         (long long)sink->n_attempts, sink->n_attempts == 1 ? "" : "s",
                         reterr->text);
    return n;
}

/* The request was accepted: the next one may have twice as many events. */
static size_t succeed(struct kv_sink *sink, size_t n)
{
    size_t most = (size_t)sink->options[OPTION_BATCH].integer;
    sink->id[0] = '\0';
    sink->most = sink->most > most / 2 ? most : 2 * sink->most;
    return n;
}

static size_t disable(struct kv_sink *sink, const struct kv_event *events, size_t n,
                      struct kv_error *reterr)
{
    if (!sink->is_gone)
        sink->host->base.log(&sink->host->base, KV_LOG_ERROR,
                             "%s answered 410: nothing is sent any more, until SIGHUP or a restart",
                             sink->peer);
    sink->is_gone = true;
    return give_up(sink, events, n, reterr);
}

/* Sends one request. Returns: the number of events settled. */
static size_t deliver_some(struct kv_sink *sink, const struct kv_event *events, size_t n,
                           struct kv_error *reterr)
{
    if (sink->is_gone)
        return disable(sink, events, n, reterr);
    size_t chosen = choose(sink, events, n);
    if (!wait_as_asked(sink)) {
        kv_error_set(reterr, "%s asked to wait", sink->peer);
        return 0;
    }
    long status = post(sink, write_body(sink, events, chosen), reterr);
    if (status / 100 == 2)
        return succeed(sink, chosen);
    if (status == STATUS_GONE)
        return disable(sink, events, n, reterr);
    return fail(sink, events, chosen, status, reterr);
}

static size_t webhook_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                              struct kv_error *reterr)
{
    size_t settled = 0;
    while (settled < n && !sink->host->is_ending(sink->host)) {
        size_t more = deliver_some(sink, events + settled, n - settled, reterr);
        if (more == 0)
            break;
        settled += more;
    }
    return settled;
}

static void webhook_reopen(struct kv_sink *sink)
{
    sink->is_gone = false;
    sink->not_before_ms = 0;
}

static const struct kv_sink_ops webhook_ops = {
    .size = sizeof(webhook_ops),
    .open = webhook_open,
    .deliver = webhook_deliver,
    .reopen = webhook_reopen,
    .close = webhook_close,
    .check = webhook_check,
};

static const struct kv_module webhook_module = {
    KV_MODULE_IDENTITY,         .kind = KV_MODULE_SINK, .name = "webhook",   .version = "1.0",
    .options = webhook_options, .n_options = N_OPTIONS, .ops = &webhook_ops,
};

KV_MODULE_EXPORT(&webhook_module)
