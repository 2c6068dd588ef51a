/*
 * Events as messages of MQTT. With a quality of service of 1 or 2 an event is delivered when the
 * broker has acknowledged it. Where the connection breaks, the client and what it had not sent are
 * made anew, so that the order is the host's: what the broker had taken comes once more.
 *
 * The connection has no keep-alive, as nobody serves it between two calls; one that has gone in the
 * meantime is found when it is used.
 */
#include <kvserver/sink.h>

#include <errno.h>
#include <mosquitto.h>
#include <stdlib.h>

enum {
    OPTION_HOST,
    OPTION_PORT,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_CLIENT_ID,
    OPTION_CA_FILE,
    OPTION_CERTIFICATE,
    OPTION_PRIVATE_KEY,
    OPTION_TOPIC,
    OPTION_QOS,
    OPTION_RETAIN,
    OPTION_TIMEOUT,
    N_OPTIONS
};

enum {
    LONGEST_TOPIC = 65535,
    TURN_MS = 100,
    MOST_EVENTS = 1024 /* of one call */
};

struct kv_sink {
    const struct kv_sink_host *host;
    const struct kv_option_value *options;
    struct mosquitto *client; /* NULL: not connected */
    bool is_connected;        /* the broker has said so */
    int refusal;              /* of the broker; 0: none */
    char *topic;              /* room for one */
    int mids[MOST_EVENTS];    /* of what is under way, in order; 0: acknowledged */
    size_t n_mids;
    size_t n_open;
};

static const struct kv_option mqtt_options[N_OPTIONS] = {
    [OPTION_HOST] = {.name = "host", .type = KV_OPTION_STRING, .fallback = "127.0.0.1"},
    [OPTION_PORT] =
        {.name = "port", .type = KV_OPTION_INT, .fallback = "1883", .min = 1, .max = 65535},
    [OPTION_USER] = {.name = "user", .type = KV_OPTION_STRING},
    [OPTION_PASSWORD] = {.name = "password", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET},
    [OPTION_CLIENT_ID] = {.name = "client_id",
                          .type = KV_OPTION_STRING,
                          .doc = "a random one unless given"},
    [OPTION_CA_FILE] = {.name = "ca_file",
                        .type = KV_OPTION_STRING,
                        .doc = "certificates to trust; given, the connection is by TLS"},
    [OPTION_CERTIFICATE] = {.name = "certificate", .type = KV_OPTION_STRING, .doc = "of ours"},
    [OPTION_PRIVATE_KEY] = {.name = "private_key", .type = KV_OPTION_STRING, .doc = "its file"},
    [OPTION_TOPIC] = {.name = "topic",
                      .type = KV_OPTION_STRING,
                      .fallback = "kvserver/{type}",
                      .doc = "{type} and {key} stand for the event's"},
    [OPTION_QOS] = {.name = "qos", .type = KV_OPTION_INT, .fallback = "1", .max = 2},
    [OPTION_RETAIN] = {.name = "retain", .type = KV_OPTION_BOOL, .fallback = "false"},
    [OPTION_TIMEOUT] = {.name = "timeout",
                        .type = KV_OPTION_DURATION,
                        .fallback = "10s",
                        .min = 100,
                        .max = 600000},
};

static int mqtt_open(const struct kv_sink_host *host, const struct kv_option_value *options,
                     struct kv_sink **ret_sink, struct kv_error *reterr)
{
    struct kv_slice topic = options[OPTION_TOPIC].string;
    if (topic.len == 0 || topic.len > LONGEST_TOPIC || strpbrk(topic.bytes, "+#") != NULL)
        return kv_error_set(reterr, "topic: \"%s\" is no topic to publish to", topic.bytes);
    struct kv_sink *sink = calloc(1, sizeof(*sink));
    char *room = malloc(LONGEST_TOPIC + 1);
    if (sink == NULL || room == NULL) {
        free(sink);
        free(room);
        return kv_error_set(reterr, "no memory");
    }
    mosquitto_lib_init();
    sink->host = host;
    sink->options = options;
    sink->topic = room;
    *ret_sink = sink;
    return 0;
}

/* ---- the connection ---- */

static void connected(struct mosquitto *client, void *user, int refusal)
{
    struct kv_sink *sink = user;
    (void)client;
    sink->is_connected = refusal == 0;
    sink->refusal = refusal;
}

static void disconnected(struct mosquitto *client, void *user, int reason)
{
    struct kv_sink *sink = user;
    (void)client;
    (void)reason;
    sink->is_connected = false;
}

static void acknowledged(struct mosquitto *client, void *user, int mid)
{
    struct kv_sink *sink = user;
    (void)client;
    for (size_t i = 0; i < sink->n_mids; i++)
        if (sink->mids[i] == mid) {
            sink->mids[i] = 0;
            sink->n_open--;
            return;
        }
}

static void disconnect(struct kv_sink *sink)
{
    if (sink->client == NULL)
        return;
    mosquitto_disconnect(sink->client);
    mosquitto_destroy(sink->client);
    sink->client = NULL;
    sink->is_connected = false;
}

static const char *text_of(const struct kv_sink *sink, int option)
{
    const struct kv_slice *text = &sink->options[option].string;
    return text->len == 0 ? NULL : text->bytes;
}

/* Returns: an error of the library. */
static int configure(struct kv_sink *sink)
{
    int error = MOSQ_ERR_SUCCESS;
    mosquitto_connect_callback_set(sink->client, connected);
    mosquitto_disconnect_callback_set(sink->client, disconnected);
    mosquitto_publish_callback_set(sink->client, acknowledged);
    mosquitto_max_inflight_messages_set(sink->client, 0);
    if (text_of(sink, OPTION_USER) != NULL)
        error = mosquitto_username_pw_set(sink->client, text_of(sink, OPTION_USER),
                                          text_of(sink, OPTION_PASSWORD));
    if (error == MOSQ_ERR_SUCCESS && text_of(sink, OPTION_CA_FILE) != NULL)
        error = mosquitto_tls_set(sink->client, text_of(sink, OPTION_CA_FILE), NULL,
                                  text_of(sink, OPTION_CERTIFICATE),
                                  text_of(sink, OPTION_PRIVATE_KEY), NULL);
    return error;
}

static int64_t now_ms(const struct kv_sink *sink)
{
    return sink->host->base.now_ms(&sink->host->base);
}

static bool is_to_wait(const struct kv_sink *sink, int64_t until_ms)
{
    return now_ms(sink) < until_ms && !sink->host->is_ending(sink->host);
}

/* Returns: an error of the library, told by errno where that is MOSQ_ERR_ERRNO. */
static int connect_to(struct kv_sink *sink)
{
    int64_t until_ms = now_ms(sink) + sink->options[OPTION_TIMEOUT].integer;
    sink->refusal = 0;
    int error = configure(sink);
    if (error == MOSQ_ERR_SUCCESS)
        error = mosquitto_connect(sink->client, sink->options[OPTION_HOST].string.bytes,
                                  (int)sink->options[OPTION_PORT].integer, 0);
    while (error == MOSQ_ERR_SUCCESS && !sink->is_connected && sink->refusal == 0 &&
           is_to_wait(sink, until_ms))
        error = mosquitto_loop(sink->client, TURN_MS, 1);
    if (error == MOSQ_ERR_SUCCESS && !sink->is_connected && sink->refusal == 0)
        error = MOSQ_ERR_NO_CONN;
    return error;
}

static const char *text_of_error(int error)
{
    return error == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(error);
}

static int ensure_connected(struct kv_sink *sink, struct kv_error *reterr)
{
    /* What has come meanwhile is read; so is the end of the connection. */
    if (sink->client != NULL &&
        (mosquitto_loop(sink->client, 0, 1) != MOSQ_ERR_SUCCESS || !sink->is_connected))
        disconnect(sink);
    if (sink->client != NULL)
        return 0;
    sink->client = mosquitto_new(text_of(sink, OPTION_CLIENT_ID), true, sink);
    if (sink->client == NULL)
        return kv_error_set(reterr, "%s", strerror(errno));
    int error = connect_to(sink);
    if (error == MOSQ_ERR_SUCCESS && sink->is_connected)
        return 0;
    kv_error_set(reterr, "cannot connect: %s",
                 sink->refusal != 0 ? mosquitto_connack_string(sink->refusal)
                                    : text_of_error(error));
    disconnect(sink);
    return -1;
}

/* ---- topics ---- */

/* What may not stand in a topic becomes an underscore. Returns: the length, or -1: too long. */
static int append(char *topic, int len, struct kv_slice text, bool is_checked)
{
    if (len < 0 || text.len > (size_t)(LONGEST_TOPIC - len))
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        char letter = text.bytes[i];
        bool is_bad = letter == '+' || letter == '#' || letter == '\0';
        topic[len++] = is_checked && is_bad ? '_' : letter;
    }
    topic[len] = '\0';
    return len;
}

static int write_topic(const struct kv_sink *sink, const struct kv_event *event)
{
    const char *at = sink->options[OPTION_TOPIC].string.bytes;
    int len = 0;
    while (*at != '\0' && len >= 0) {
        size_t plain = strcspn(at, "{");
        if (plain != 0) {
            len = append(sink->topic, len, (struct kv_slice){at, plain}, false);
            at += plain;
        } else if (strncmp(at, "{key}", 5) == 0) {
            len = append(sink->topic, len, event->key, true);
            at += 5;
        } else if (strncmp(at, "{type}", 6) == 0) {
            len = append(sink->topic, len, kv_slice_of(kv_event_type_name(event->type)), false);
            at += 6;
        } else {
            len = append(sink->topic, len, (struct kv_slice){at, 1}, false);
            at++;
        }
    }
    return len <= 0 ? -1 : 0;
}

/* ---- delivering ---- */

static void give_up(struct kv_sink *sink, const struct kv_event *event, const char *why)
{
    sink->host->base.log(&sink->host->base, KV_LOG_ERROR, "event %.*s is dropped: %s",
                         (int)event->id.len, event->id.bytes, why);
    sink->host->gave_up(sink->host, 1);
}

/* Returns: an error of the library; success too where the event can never be delivered. */
static int publish(struct kv_sink *sink, const struct kv_event *event)
{
    int mid = 0;
    if (write_topic(sink, event) != 0) {
        give_up(sink, event, "its topic is empty, or too long");
        sink->mids[sink->n_mids++] = 0;
        return MOSQ_ERR_SUCCESS;
    }
    int error = mosquitto_publish(sink->client, &mid, sink->topic, (int)event->json.len,
                                  event->json.bytes, (int)sink->options[OPTION_QOS].integer,
                                  sink->options[OPTION_RETAIN].boolean);
    if (error == MOSQ_ERR_PAYLOAD_SIZE || error == MOSQ_ERR_OVERSIZE_PACKET) {
        give_up(sink, event, mosquitto_strerror(error));
        sink->mids[sink->n_mids++] = 0;
        return MOSQ_ERR_SUCCESS;
    }
    if (error != MOSQ_ERR_SUCCESS)
        return error;
    sink->mids[sink->n_mids++] = mid;
    sink->n_open++;
    return MOSQ_ERR_SUCCESS;
}

static int await_all(struct kv_sink *sink)
{
    int64_t until_ms = now_ms(sink) + sink->options[OPTION_TIMEOUT].integer;
    int error = MOSQ_ERR_SUCCESS;
    while (error == MOSQ_ERR_SUCCESS && sink->n_open != 0 && is_to_wait(sink, until_ms))
        error = mosquitto_loop(sink->client, TURN_MS, 1);
    return error == MOSQ_ERR_SUCCESS && sink->n_open != 0 ? MOSQ_ERR_NO_CONN : error;
}

static size_t mqtt_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                           struct kv_error *reterr)
{
    int error = MOSQ_ERR_SUCCESS;
    size_t settled = 0, wanted = n < MOST_EVENTS ? n : MOST_EVENTS;
    if (ensure_connected(sink, reterr) != 0)
        return 0;
    sink->n_mids = 0;
    sink->n_open = 0;
    while (sink->n_mids < wanted && error == MOSQ_ERR_SUCCESS)
        error = publish(sink, &events[sink->n_mids]);
    if (error == MOSQ_ERR_SUCCESS)
        error = await_all(sink);
    while (settled < sink->n_mids && sink->mids[settled] == 0)
        settled++;
    if (error != MOSQ_ERR_SUCCESS) {
        kv_error_set(reterr, "%s", text_of_error(error));
        disconnect(sink);
    }
    return settled;
}

static void mqtt_close(struct kv_sink *sink)
{
    disconnect(sink);
    mosquitto_lib_cleanup();
    free(sink->topic);
    free(sink);
}

static const struct kv_sink_ops mqtt_ops = {
    .size = sizeof(mqtt_ops),
    .open = mqtt_open,
    .deliver = mqtt_deliver,
    .close = mqtt_close,
};

static const struct kv_module mqtt_module = {
    KV_MODULE_IDENTITY,      .kind = KV_MODULE_SINK, .name = "mqtt",   .version = "1.0",
    .options = mqtt_options, .n_options = N_OPTIONS, .ops = &mqtt_ops,
};

KV_MODULE_EXPORT(&mqtt_module)
