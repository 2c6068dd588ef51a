/*
 * Sends events to a stream of Redis, or to a channel. The events of one deliver() are one
 * transaction: Redis accepts all of them or none. If the connection breaks before the answer, they
 * may have been accepted and are sent again, with the same `id`.
 */
#include <kvserver/sink.h>

#include "../../redis_client/options.h"
#include "../../redis_client/request.h"
#include "../../redis_client/sentinel.h"

#include <stdlib.h>

enum {
    OPTION_MODE = N_REDIS_OPTIONS,
    OPTION_NAME,
    OPTION_MAX_LENGTH,
    OPTION_TIMEOUT,
    N_OPTIONS
};

enum mode {
    MODE_STREAM,
    MODE_PUBLISH
};

enum {
    MOST_WORDS = 16,
    LONGEST_NUMBER = 24,
    ASK_AGAIN_MS = 1000, /* the sentinels, while the connection is fine */
};

struct kv_sink {
    const struct kv_sink_host *host;
    const struct kv_option_value *options;
    struct address address;
    struct resolver resolver;
    struct link link;
    struct sentinels sentinels; /* empty: none */
    struct master_address master;
    int64_t asked_ms; /* when the sentinels were asked */
};

static const char *const modes[] = {"stream", "publish", NULL};

static const struct kv_option redis_options[N_OPTIONS] = {
    REDIS_OPTIONS,
    [OPTION_MODE] = {.name = "mode",
                     .type = KV_OPTION_CHOICE,
                     .choices = modes,
                     .fallback = "stream",
                     .doc = "stream: XADD; publish: PUBLISH, to those who listen just then"},
    [OPTION_NAME] = {.name = "name",
                     .type = KV_OPTION_STRING,
                     .fallback = "kvserver",
                     .doc = "of the stream, or of the channel"},
    [OPTION_MAX_LENGTH] = {.name = "max_length",
                           .type = KV_OPTION_INT,
                           .fallback = "0",
                           .max = INT64_C(1) << 50,
                           .doc = "entries of the stream, about; 0: no limit"},
    [OPTION_TIMEOUT] =
        {.name = "timeout", .type = KV_OPTION_DURATION, .fallback = "5s", .min = 1, .max = 600000},
};

static void redis_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    redis_options_check(options, faults);
    if (options[OPTION_NAME].string.len == 0)
        faults->add(faults, "name", "the name of a stream or channel is expected");
}

static int redis_open(const struct kv_sink_host *host, const struct kv_option_value *options,
                      struct kv_sink **ret_sink, struct kv_error *reterr)
{
    struct kv_sink *sink = malloc(sizeof(*sink));
    if (sink == NULL)
        return kv_error_set(reterr, "no memory");
    *sink = (struct kv_sink){.host = host, .options = options};
    if (options[REDIS_SENTINELS].list.n != 0 &&
        sentinels_init(&sink->sentinels, options, NULL, reterr) != 0) {
        free(sink);
        return -1;
    }
    redis_options_read(options, &sink->address);
    sink->address.resolver = &sink->resolver;
    link_init(&sink->link);
    *ret_sink = sink;
    return 0;
}

/* ---- the connection ---- */

/* The next answer. Returns: -1 and *reterr if there is none; the connection is closed then. */
static int await(struct kv_sink *sink, struct kv_slice *ret_reply, struct kv_error *reterr)
{
    int64_t until_ms = link_clock_ms() + sink->options[OPTION_TIMEOUT].integer;
    int result = link_wait(&sink->link, &sink->address, until_ms, ret_reply, reterr);
    if (result != 0)
        link_close(&sink->link);
    return result;
}

/* Runs a command whose answer is only checked for an error. */
static int run(struct kv_sink *sink, const struct kv_slice *words, size_t n,
               struct kv_error *reterr)
{
    struct resp_value value;
    struct kv_slice reply;
    if (!request_words(&sink->link.out, words, n))
        return kv_error_set(reterr, "no memory");
    if (await(sink, &reply, reterr) != 0)
        return -1;
    if (!resp_next(&reply, &value) || value.type != RESP_ERROR)
        return 0;
    kv_error_set(reterr, "%s: %s: %.*s", sink->address.text, words[0].bytes, (int)value.text.len,
                 value.text.bytes);
    link_close(&sink->link);
    return -1;
}

static int log_in(struct kv_sink *sink, struct kv_error *reterr)
{
    struct kv_slice user = sink->options[REDIS_USER].string;
    struct kv_slice password = sink->options[REDIS_PASSWORD].string;
    if (password.len == 0)
        return 0;
    if (user.len == 0)
        return run(sink, (struct kv_slice[]){KV_SLICE("AUTH"), password}, 2, reterr);
    return run(sink, (struct kv_slice[]){KV_SLICE("AUTH"), user, password}, 3, reterr);
}

static int select_database(struct kv_sink *sink, struct kv_error *reterr)
{
    char number[LONGEST_NUMBER];
    long long database = sink->options[REDIS_DATABASE].integer;
    if (database == 0)
        return 0;
    snprintf(number, sizeof(number), "%lld", database);
    return run(sink, (struct kv_slice[]){KV_SLICE("SELECT"), kv_slice_of(number)}, 2, reterr);
}

/* An error is no failure: Redis may forbid the question, and a replica refuses the writes. */
static int check_role(struct kv_sink *sink, struct kv_error *reterr)
{
    struct resp_value value;
    struct kv_slice reply;
    if (sink->sentinels.n == 0)
        return 0;
    if (!request_words(&sink->link.out, (struct kv_slice[]){KV_SLICE("ROLE")}, 1))
        return kv_error_set(reterr, "no memory");
    if (await(sink, &reply, reterr) != 0)
        return -1;
    if (resp_is_error(reply) || !resp_next(&reply, &value) || !resp_next(&reply, &value) ||
        kv_slice_equals(value.text, KV_SLICE("master")))
        return 0;
    link_close(&sink->link);
    return kv_error_set(reterr, "Redis at %s is not a master yet, or no longer",
                        sink->address.text);
}

static bool is_connected(const struct kv_sink *sink)
{
    return sink->link.fd >= 0 && !link_is_stale(&sink->link);
}

static void point_to_master(struct kv_sink *sink, const struct master_address *master)
{
    bool has_own_name = sink->options[REDIS_TLS].list.items[REDIS_TLS_NAME].string.len != 0;
    sink->master = *master;
    sink->address.host = kv_slice_of(sink->master.host);
    sink->address.port = sink->master.port;
    if (!has_own_name)
        sink->address.tls.name = sink->address.host;
    redis_address_write_text(&sink->address);
}

/* Leaves a master that has been replaced, even if it still accepts writes. */
static int find_master(struct kv_sink *sink, struct kv_error *reterr)
{
    struct master_address master;
    int64_t now_ms = link_clock_ms();
    if (is_connected(sink) && now_ms - sink->asked_ms < ASK_AGAIN_MS)
        return 0;
    sink->asked_ms = now_ms;
    if (sentinels_find_master(&sink->sentinels, sink->options[OPTION_TIMEOUT].integer, &master,
                              reterr) != 0)
        return is_connected(sink) ? 0 : -1;
    bool is_older =
        is_connected(sink) && master.epoch != EPOCH_UNKNOWN && master.epoch <= sink->master.epoch;
    if (is_older)
        return 0;
    if (!master_address_equals(&master, &sink->master))
        link_close(&sink->link);
    point_to_master(sink, &master);
    return 0;
}

static int ensure_connected(struct kv_sink *sink, struct kv_error *reterr)
{
    if (sink->sentinels.n != 0 && find_master(sink, reterr) != 0)
        return -1;
    int64_t until_ms = link_clock_ms() + sink->options[OPTION_TIMEOUT].integer;
    if (is_connected(sink))
        return 0;
    if (link_connect(&sink->link, &sink->address, until_ms, reterr) != 0)
        return -1;
    bool is_done = log_in(sink, reterr) == 0 && check_role(sink, reterr) == 0 &&
                   select_database(sink, reterr) == 0;
    return is_done ? 0 : -1;
}

/* ---- delivering ---- */

struct words {
    struct kv_slice all[MOST_WORDS];
    size_t n;
};

static void add(struct words *words, struct kv_slice word)
{
    words->all[words->n++] = word;
}

static void add_pair(struct words *words, struct kv_slice name, struct kv_slice value)
{
    add(words, name);
    add(words, value);
}

static bool append_entry(struct kv_sink *sink, const struct kv_event *event)
{
    struct words words = {.n = 0};
    char number[LONGEST_NUMBER];
    add_pair(&words, KV_SLICE("XADD"), sink->options[OPTION_NAME].string);
    if (sink->options[OPTION_MAX_LENGTH].integer != 0) {
        snprintf(number, sizeof(number), "%lld",
                 (long long)sink->options[OPTION_MAX_LENGTH].integer);
        add_pair(&words, KV_SLICE("MAXLEN"), KV_SLICE("~"));
        add(&words, kv_slice_of(number));
    }
    add(&words, KV_SLICE("*"));
    add_pair(&words, KV_SLICE("id"), event->id);
    add_pair(&words, KV_SLICE("type"), kv_slice_of(kv_event_type_name(event->type)));
    add_pair(&words, KV_SLICE("key"), event->key);
    add_pair(&words, KV_SLICE("event"), event->json);
    return request_words(&sink->link.out, words.all, words.n);
}

static bool append_event(struct kv_sink *sink, const struct kv_event *event)
{
    struct kv_slice channel = sink->options[OPTION_NAME].string;
    const struct kv_slice words[] = {KV_SLICE("PUBLISH"), channel, event->json};
    bool is_published = sink->options[OPTION_MODE].integer == MODE_PUBLISH;
    return is_published ? request_words(&sink->link.out, words, 3) : append_entry(sink, event);
}

static bool append_all(struct kv_sink *sink, const struct kv_event *events, size_t n)
{
    bool is_there = request_words(&sink->link.out, (struct kv_slice[]){KV_SLICE("MULTI")}, 1);
    for (size_t i = 0; i < n && is_there; i++)
        is_there = append_event(sink, &events[i]);
    return is_there && request_words(&sink->link.out, (struct kv_slice[]){KV_SLICE("EXEC")}, 1);
}

/* The first error of an answer, possibly of a transaction; empty: none. */
static struct kv_slice fault_of(struct kv_slice reply)
{
    struct resp_value value;
    while (resp_next(&reply, &value))
        if (value.type == RESP_ERROR)
            return value.text;
    return (struct kv_slice){0};
}

/* Redis limits the length of a string (proto-max-bulk-len), and that of an entry. */
static bool is_too_long(const char *fault)
{
    return strstr(fault, "invalid bulk length") != NULL ||
           strstr(fault, "Elements are too large") != NULL;
}

/* Errors that do not depend on a single event are retried later: OOM, READONLY, WRONGTYPE, NOPERM
 * and the like. Returns: the number of events settled. */
static size_t judge(struct kv_sink *sink, const struct kv_event *events, size_t n,
                    const char *fault)
{
    if (sink->sentinels.n != 0 && strncmp(fault, "READONLY", 8) == 0)
        link_close(&sink->link); /* the sentinels are asked again */
    if (!is_too_long(fault))
        return 0;
    link_close(&sink->link); /* as does Redis */
    if (n == 1)
        sink->host->drop(sink->host, &events[0], "%s: %s", sink->address.text, fault);
    else
        sink->host->refused(sink->host);
    return n == 1;
}

/* Reads the answers to MULTI, the commands, and EXEC. *ret_fault: the first error, which is the
 * reason why nothing was accepted. Returns: -1 and *reterr if an answer is missing. */
static int read_all(struct kv_sink *sink, size_t n, char *ret_fault, size_t size,
                    struct kv_error *reterr)
{
    struct kv_slice reply;
    ret_fault[0] = '\0';
    for (size_t i = 0; i < n + 2; i++) {
        if (await(sink, &reply, reterr) != 0) {
            if (sink->link.is_cut_off && ret_fault[0] == '\0')
                sink->host->refused(sink->host);
            return ret_fault[0] != '\0' ? 0 : -1;
        }
        struct kv_slice fault = fault_of(reply);
        if (ret_fault[0] == '\0')
            snprintf(ret_fault, size, "%.*s", (int)fault.len, fault.bytes);
    }
    return 0;
}

static size_t redis_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                            struct kv_error *reterr)
{
    char fault[256];
    if (ensure_connected(sink, reterr) != 0)
        return 0;
    if (!append_all(sink, events, n)) {
        kv_error_set(reterr, "no memory");
        link_close(&sink->link);
        return 0;
    }
    if (read_all(sink, n, fault, sizeof(fault), reterr) != 0)
        return 0;
    if (fault[0] == '\0')
        return n;
    kv_error_set(reterr, "%s: %s", sink->address.text, fault);
    return judge(sink, events, n, fault);
}

static void redis_close(struct kv_sink *sink)
{
    link_close(&sink->link);
    resolver_fini(&sink->resolver);
    sentinels_fini(&sink->sentinels);
    free(sink);
}

static const struct kv_sink_ops redis_ops = {
    .size = sizeof(redis_ops),
    .open = redis_open,
    .deliver = redis_deliver,
    .close = redis_close,
    .check = redis_check,
};

static const struct kv_module redis_module = {
    KV_MODULE_IDENTITY,       .kind = KV_MODULE_SINK, .name = "redis",   .version = "1.0",
    .options = redis_options, .n_options = N_OPTIONS, .ops = &redis_ops,
};

KV_MODULE_EXPORT(&redis_module)
