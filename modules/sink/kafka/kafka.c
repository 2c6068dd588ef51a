/*
 * Sends events as messages of Kafka, with the event's key as the message's, so that the events of a
 * key stay in order in one partition. The producer is idempotent: messages that it repeats by
 * itself are stored once, and in order.
 *
 * A message has no time-out of its own, as the next one would then overtake it. If not all messages
 * are acknowledged in time, the remaining ones are purged and the producer is recreated: then
 * messages that the brokers had already accepted are sent again, with the same header `id`, in
 * order.
 */
#include <kvserver/sink.h>

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

enum {
    OPTION_BROKERS,
    OPTION_TOPIC,
    OPTION_SETTINGS,
    OPTION_TIMEOUT,
    N_OPTIONS
};

enum {
    TURN_MS = 100,      /* between two checks of the time */
    LONGEST_TOPIC = 249 /* that Kafka allows */
};

struct kv_sink {
    const struct kv_sink_host *host;
    const struct kv_option_value *options;
    rd_kafka_t *producer; /* NULL: none */
    rd_kafka_resp_err_t *results;
    size_t n_results; /* of the deliver() in progress */
    size_t n_sent;    /* in it */
    size_t n_open;    /* not answered yet */
    size_t capacity;
    char trouble[256]; /* the library's last error message; empty: none */
};

/* The settings of librdkafka that contain a password or a key. */
static const char *const secret_settings[] = {"sasl.password",
                                              "sasl.oauthbearer.client.secret",
                                              "sasl.oauthbearer.config",
                                              "ssl.key.password",
                                              "ssl.key.pem",
                                              "ssl.keystore.password",
                                              NULL};

static const struct kv_option kafka_options[N_OPTIONS] = {
    [OPTION_BROKERS] = {.name = "brokers",
                        .type = KV_OPTION_STRING,
                        .fallback = "127.0.0.1:9092",
                        .doc = "host:port, and others behind commas"},
    [OPTION_TOPIC] = {.name = "topic", .type = KV_OPTION_STRING, .fallback = "kvserver"},
    [OPTION_SETTINGS] = {.name = "settings",
                         .type = KV_OPTION_MAP,
                         .flags = KV_OPTION_SECRET,
                         .secret_keys = secret_settings,
                         .doc = "of librdkafka, by their names"},
    [OPTION_TIMEOUT] = {.name = "timeout",
                        .type = KV_OPTION_DURATION,
                        .fallback = "10s",
                        .min = 100,
                        .max = 600000,
                        .doc = "without any acknowledgement"},
};

/* ---- the producer ---- */

/* The opaque of a message is its index plus one. */
static void reported(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kv_sink *sink = opaque;
    size_t place = (size_t)(uintptr_t)message->_private - 1;
    (void)producer;
    if (place >= sink->n_results)
        return;
    sink->results[place] = message->err;
    sink->n_open--;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct kv_error *reterr)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return kv_error_set(reterr, "settings: %s", why);
}

static int configure(const struct kv_option_value *options, rd_kafka_conf_t *conf,
                     struct kv_error *reterr)
{
    const struct kv_option_value *settings = &options[OPTION_SETTINGS];
    if (set(conf, "bootstrap.servers", options[OPTION_BROKERS].string.bytes, reterr) != 0 ||
        set(conf, "client.id", "kvserver", reterr) != 0 || set(conf, "linger.ms", "0", reterr) != 0)
        return -1;
    for (size_t i = 0; i + 1 < settings->list.n; i += 2)
        if (set(conf, settings->list.items[i].string.bytes,
                settings->list.items[i + 1].string.bytes, reterr) != 0)
            return -1;
    return set(conf, "enable.idempotence", "true", reterr) == 0 &&
                   set(conf, "message.timeout.ms", "0", reterr) == 0
               ? 0
               : -1;
}

/* The reason why the brokers are not reached. The reason for one of them is more informative than
 * "all are down". */
static void complained(rd_kafka_t *producer, int error, const char *text, void *opaque)
{
    struct kv_sink *sink = opaque;
    (void)producer;
    if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || sink->trouble[0] == '\0')
        snprintf(sink->trouble, sizeof(sink->trouble), "%s", text);
}

/* Disables the library's output on the standard error: the host logs failures. */
static void keep_quiet(const rd_kafka_t *producer, int level, const char *part, const char *text)
{
    (void)producer;
    (void)level;
    (void)part;
    (void)text;
}

static rd_kafka_t *make_producer(struct kv_sink *sink, struct kv_error *reterr)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (configure(sink->options, conf, reterr) != 0) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    rd_kafka_conf_set_error_cb(conf, complained);
    rd_kafka_conf_set_log_cb(conf, keep_quiet);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (producer != NULL)
        return producer;
    rd_kafka_conf_destroy(conf);
    kv_error_set(reterr, "%s", why);
    return NULL;
}

static void destroy_producer(struct kv_sink *sink)
{
    if (sink->producer == NULL)
        return;
    rd_kafka_purge(sink->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (sink->n_open != 0 && rd_kafka_poll(sink->producer, TURN_MS) != 0)
        continue;
    rd_kafka_destroy(sink->producer);
    sink->producer = NULL;
}

static bool is_topic(struct kv_slice text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return text.len != 0 && text.len <= LONGEST_TOPIC && strspn(text.bytes, letters) == text.len &&
           !kv_slice_equals(text, KV_SLICE(".")) && !kv_slice_equals(text, KV_SLICE(".."));
}

/* Settings that the order depends on. */
static bool is_of_the_sink(const char *setting)
{
    return strcmp(setting, "enable.idempotence") == 0 || strcmp(setting, "message.timeout.ms") == 0;
}

static void check_setting(rd_kafka_conf_t *conf, const char *name, const char *value,
                          const struct kv_faults *faults)
{
    char why[256], option[256];
    snprintf(option, sizeof(option), "settings.%s", name);
    if (is_of_the_sink(name))
        faults->add(faults, option, "the sink sets it itself");
    else if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        faults->add(faults, option, "%s", why);
}

static void kafka_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    const struct kv_option_value *settings = &options[OPTION_SETTINGS];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (options[OPTION_BROKERS].string.len == 0)
        faults->add(faults, "brokers", "an address is expected, as 127.0.0.1:9092");
    if (!is_topic(options[OPTION_TOPIC].string))
        faults->add(faults, "topic",
                    "\"%s\" is no name of a topic: up to %d letters, digits, dots, dashes and "
                    "underscores",
                    options[OPTION_TOPIC].string.bytes, LONGEST_TOPIC);
    for (size_t i = 0; i + 1 < settings->list.n; i += 2)
        check_setting(conf, settings->list.items[i].string.bytes,
                      settings->list.items[i + 1].string.bytes, faults);
    rd_kafka_conf_destroy(conf);
}

/* The producer connects in the background: inconsistent settings are reported at once, a missing
 * broker is not. */
static int kafka_open(const struct kv_sink_host *host, const struct kv_option_value *options,
                      struct kv_sink **ret_sink, struct kv_error *reterr)
{
    struct kv_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL)
        return kv_error_set(reterr, "no memory");
    *sink = (struct kv_sink){.host = host, .options = options};
    sink->producer = make_producer(sink, reterr);
    if (sink->producer == NULL) {
        free(sink);
        return -1;
    }
    *ret_sink = sink;
    return 0;
}

/* ---- delivering ---- */

static int make_room(struct kv_sink *sink, size_t n)
{
    if (n > sink->capacity) {
        rd_kafka_resp_err_t *results = realloc(sink->results, n * sizeof(*results));
        if (results == NULL)
            return -1;
        sink->results = results;
        sink->capacity = n;
    }
    for (size_t i = 0; i < n; i++)
        sink->results[i] = RD_KAFKA_RESP_ERR__IN_PROGRESS;
    sink->n_results = n;
    sink->n_sent = 0;
    sink->n_open = 0;
    return 0;
}

static rd_kafka_resp_err_t produce(struct kv_sink *sink, const struct kv_event *event, size_t place)
{
    /* An empty key is a key, too: as NULL, its messages would be spread over the partitions. */
    const char *key = event->key.len == 0 ? "" : event->key.bytes;
    return rd_kafka_producev(
        sink->producer, RD_KAFKA_V_TOPIC(sink->options[OPTION_TOPIC].string.bytes),
        RD_KAFKA_V_KEY(key, event->key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)event->json.bytes, event->json.len),
        RD_KAFKA_V_HEADER("id", event->id.bytes, (ssize_t)event->id.len),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE((void *)(place + 1)),
        RD_KAFKA_V_END);
}

/* For a message that was not sent, as it is longer than the producer's limit. */
static bool is_too_long(rd_kafka_resp_err_t result)
{
    return result == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

/* Errors of a broker that concern the length of a batch, or of one of its messages. */
static bool is_refusal(rd_kafka_resp_err_t result)
{
    return result == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           result == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
           result == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

/* Stops at the first message that the producer has no room for. */
static void produce_all(struct kv_sink *sink, const struct kv_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t result = produce(sink, &events[i], i);
        if (result == RD_KAFKA_RESP_ERR_NO_ERROR) {
            sink->n_sent++;
            sink->n_open++;
        } else if (result == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
            sink->results[i] = RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
        } else {
            sink->results[i] = result;
            return;
        }
    }
}

/* Waits as long as there is progress. */
static void await_all(struct kv_sink *sink)
{
    const struct kv_host *base = &sink->host->base;
    int64_t until_ms = 0;
    for (size_t n_before = 0; sink->n_open != 0 && !sink->host->is_ending(sink->host);) {
        if (sink->n_open != n_before)
            until_ms = base->now_ms(base) + sink->options[OPTION_TIMEOUT].integer;
        else if (base->now_ms(base) >= until_ms)
            return;
        n_before = sink->n_open;
        rd_kafka_poll(sink->producer, TURN_MS);
    }
}

/* Whether the event can never be delivered. An event that was refused in a batch may not be the
 * cause. */
static bool is_hopeless(const struct kv_sink *sink, rd_kafka_resp_err_t result)
{
    return is_too_long(result) || (is_refusal(result) && sink->n_sent == 1);
}

static size_t count_settled(struct kv_sink *sink, const struct kv_event *events, size_t n)
{
    size_t settled = 0;
    for (; settled < n; settled++) {
        rd_kafka_resp_err_t result = sink->results[settled];
        if (is_hopeless(sink, result))
            sink->host->drop(sink->host, &events[settled], "%s", rd_kafka_err2str(result));
        else if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
    }
    return settled;
}

static void explain(struct kv_sink *sink, rd_kafka_resp_err_t result, struct kv_error *reterr)
{
    const char *brokers = sink->options[OPTION_BROKERS].string.bytes;
    if (result != RD_KAFKA_RESP_ERR__IN_PROGRESS)
        kv_error_set(reterr, "%.500s: %s", brokers, rd_kafka_err2str(result));
    else
        kv_error_set(reterr, "no acknowledgement in time from %.500s%s%s", brokers,
                     sink->trouble[0] == '\0' ? "" : ": ", sink->trouble);
}

static size_t kafka_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                            struct kv_error *reterr)
{
    if (sink->producer == NULL && (sink->producer = make_producer(sink, reterr)) == NULL)
        return 0;
    if (make_room(sink, n) != 0) {
        kv_error_set(reterr, "no memory");
        return 0;
    }
    sink->trouble[0] = '\0';
    produce_all(sink, events, n);
    await_all(sink);
    size_t settled = count_settled(sink, events, n);
    if (settled == n)
        return n;
    explain(sink, sink->results[settled], reterr);
    if (is_refusal(sink->results[settled]))
        sink->host->refused(sink->host);
    if (sink->n_open != 0 || rd_kafka_fatal_error(sink->producer, NULL, 0) != 0)
        destroy_producer(sink);
    sink->n_results = 0;
    return settled;
}

static void kafka_close(struct kv_sink *sink)
{
    sink->n_results = 0;
    sink->n_open = 0;
    destroy_producer(sink);
    free(sink->results);
    free(sink);
}

static const struct kv_sink_ops kafka_ops = {
    .size = sizeof(kafka_ops),
    .open = kafka_open,
    .deliver = kafka_deliver,
    .close = kafka_close,
    .check = kafka_check,
};

static const struct kv_module kafka_module = {
    KV_MODULE_IDENTITY,       .kind = KV_MODULE_SINK, .name = "kafka",   .version = "1.0",
    .options = kafka_options, .n_options = N_OPTIONS, .ops = &kafka_ops,
};

KV_MODULE_EXPORT(&kafka_module)
