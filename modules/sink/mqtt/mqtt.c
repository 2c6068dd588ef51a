/*
 * Sends events as messages of MQTT. With a quality of service of 1 or 2, an event is delivered when
 * the broker has acknowledged it. If the connection breaks, the client and its unsent messages are
 * recreated, so that the order is the host's: messages that the broker had already accepted are
 * sent again.
 *
 * The connection has no keep-alive, as it is not served between two calls; a broken connection is
 * detected when it is used.
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
    LONGEST_MESSAGE = 268435455, /* of the protocol, including the head */
    TURN_MS = 100,
    MOST_EVENTS = 1024, /* of one call */
    NO_TOPIC = 10000    /* besides the errors of the library */
};

struct kv_sink {
    const struct kv_sink_host *host;
    const struct kv_option_value *options;
    struct mosquitto *client; /* NULL: not connected */
    bool is_connected;        /* confirmed by the broker */
    int refusal;              /* of the broker; 0: none */
    bool is_key_encrypted;    /* our private key */
    char *topic;              /* room for one */
    char peer[256];           /* the broker's address, for messages */
    int mids[MOST_EVENTS];    /* of the messages in flight, in order; 0: acknowledged; below 0:
                                 an error, never to be sent */
    size_t n_mids;
    size_t n_open;
    int early_mid; /* acknowledged, but not yet among them; 0: none */
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
                        .type = KV_OPTION_PATH,
                        .flags = KV_OPTION_READS,
                        .doc = "certificates to trust; given, the connection is by TLS"},
    [OPTION_CERTIFICATE] = {.name = "certificate",
                            .type = KV_OPTION_PATH,
                            .flags = KV_OPTION_READS,
                            .doc = "of ours"},
    [OPTION_PRIVATE_KEY] = {.name = "private_key",
                            .type = KV_OPTION_PATH,
                            .flags = KV_OPTION_READS,
                            .doc = "its file"},
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

static void write_peer(struct kv_sink *sink)
{
    const char *host = sink->options[OPTION_HOST].string.bytes;
    snprintf(sink->peer, sizeof(sink->peer), strchr(host, ':') != NULL ? "[%s]:%lld" : "%s:%lld",
             host, (long long)sink->options[OPTION_PORT].integer);
}

static bool is_topic(struct kv_slice text)
{
    return text.len != 0 && text.len <= LONGEST_TOPIC && strpbrk(text.bytes, "+#") == NULL &&
           mosquitto_validate_utf8(text.bytes, (int)text.len) == MOSQ_ERR_SUCCESS;
}

/* Adds a fault if one option is given without the other. */
static void check_pair(const struct kv_option_value *options, int one, int other,
                       const struct kv_faults *faults)
{
    if (options[one].string.len != 0 && options[other].string.len == 0)
        faults->add(faults, mqtt_options[one].name, "it needs a `%s`", mqtt_options[other].name);
}

static void mqtt_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    if (!is_topic(options[OPTION_TOPIC].string))
        faults->add(faults, "topic", "\"%s\" is no topic to publish to",
                    options[OPTION_TOPIC].string.bytes);
    check_pair(options, OPTION_PASSWORD, OPTION_USER, faults);
    check_pair(options, OPTION_CERTIFICATE, OPTION_CA_FILE, faults);
    check_pair(options, OPTION_CERTIFICATE, OPTION_PRIVATE_KEY, faults);
    check_pair(options, OPTION_PRIVATE_KEY, OPTION_CERTIFICATE, faults);
}

static int mqtt_open(const struct kv_sink_host *host, const struct kv_option_value *options,
                     struct kv_sink **ret_sink, struct kv_error *reterr)
{
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
    write_peer(sink);
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
    sink->early_mid = mid; /* sent within mosquitto_publish(), with a quality of service of 0 */
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

/* Replaces OpenSSL's function, which asks at the terminal. Returns: the length of an empty
 * passphrase. */
static int note_passphrase(char *text, int size, int is_for_writing, void *client)
{
    struct kv_sink *sink = mosquitto_userdata(client);
    (void)text;
    (void)size;
    (void)is_for_writing;
    sink->is_key_encrypted = true;
    return 0;
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
                                  text_of(sink, OPTION_PRIVATE_KEY), note_passphrase);
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

/* Returns: an error of the library; errno has the reason if it is MOSQ_ERR_ERRNO. */
static int connect_to(struct kv_sink *sink)
{
    int64_t until_ms = now_ms(sink) + sink->options[OPTION_TIMEOUT].integer;
    sink->refusal = 0;
    sink->is_key_encrypted = false;
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
    if (error == NO_TOPIC)
        return "its topic is empty, or longer than 65535 bytes";
    return error == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(error);
}

static const char *why_not_connected(const struct kv_sink *sink, int error)
{
    if (sink->refusal != 0)
        return mosquitto_connack_string(sink->refusal);
    if (sink->is_key_encrypted)
        return "`private_key` is encrypted, and there is nobody to ask for the passphrase; write "
               "it without one (openssl pkey)";
    return text_of_error(error);
}

static int ensure_connected(struct kv_sink *sink, struct kv_error *reterr)
{
    /* Reads data that has arrived meanwhile, and detects the end of the connection. */
    if (sink->client != NULL &&
        (mosquitto_loop(sink->client, 0, 1) != MOSQ_ERR_SUCCESS || !sink->is_connected))
        disconnect(sink);
    if (sink->client != NULL)
        return 0;
    sink->client = mosquitto_new(text_of(sink, OPTION_CLIENT_ID), true, sink);
    if (sink->client == NULL)
        return kv_error_set(reterr, "no client for %s: %s", sink->peer, strerror(errno));
    int error = connect_to(sink);
    if (error == MOSQ_ERR_SUCCESS && sink->is_connected)
        return 0;
    kv_error_set(reterr, "cannot connect to %s: %s", sink->peer, why_not_connected(sink, error));
    disconnect(sink);
    return -1;
}

/* ---- topics ---- */

/* The next character of a UTF-8 text. Returns: its length. */
static size_t take_character(struct kv_slice text, uint32_t *ret_code)
{
    unsigned char first = (unsigned char)text.bytes[0];
    size_t len = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = len == 1 ? first : first & (0x7fu >> len);
    if (len > text.len)
        len = text.len;
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)text.bytes[i] & 0x3f);
    *ret_code = code;
    return len;
}

/* Wildcards, and characters for which MQTT allows a broker to close the connection: control
 * characters and noncharacters of Unicode. */
static bool is_forbidden(uint32_t code)
{
    return code == '+' || code == '#' || code < 0x20 || (code >= 0x7f && code < 0xa0) ||
           (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) == 0xfffe;
}

/* Returns: the length; -1: too long. */
static int append(char *topic, int len, struct kv_slice text)
{
    if (len < 0 || text.len > (size_t)(LONGEST_TOPIC - len))
        return -1;
    memcpy(topic + len, text.bytes, text.len);
    len += (int)text.len;
    topic[len] = '\0';
    return len;
}

/* Replaces each character that is invalid in a topic by an underscore. */
static int append_key(char *topic, int len, struct kv_slice key)
{
    uint32_t code;
    while (key.len != 0 && len >= 0) {
        size_t n = take_character(key, &code);
        struct kv_slice character = {key.bytes, n};
        len = append(topic, len, is_forbidden(code) ? KV_SLICE("_") : character);
        key = (struct kv_slice){key.bytes + n, key.len - n};
    }
    return len;
}

static int write_topic(const struct kv_sink *sink, const struct kv_event *event)
{
    const char *at = sink->options[OPTION_TOPIC].string.bytes;
    int len = 0;
    while (*at != '\0' && len >= 0) {
        size_t plain = strcspn(at, "{");
        if (plain != 0) {
            len = append(sink->topic, len, (struct kv_slice){at, plain});
            at += plain;
        } else if (strncmp(at, "{key}", 5) == 0) {
            len = append_key(sink->topic, len, event->key);
            at += 5;
        } else if (strncmp(at, "{type}", 6) == 0) {
            len = append(sink->topic, len, kv_slice_of(kv_event_type_name(event->type)));
            at += 6;
        } else {
            len = append(sink->topic, len, (struct kv_slice){at, 1});
            at++;
        }
    }
    return len <= 0 ? -1 : 0;
}

/* ---- delivering ---- */

/* Whether the library can never send the message. */
static bool is_hopeless(int error)
{
    return error == NO_TOPIC || error == MOSQ_ERR_PAYLOAD_SIZE ||
           error == MOSQ_ERR_OVERSIZE_PACKET || error == MOSQ_ERR_INVAL ||
           error == MOSQ_ERR_MALFORMED_UTF8;
}

/* Called while errno still belongs to the error: logging a drop changes it. */
static int name_lost_connection(int error)
{
    return error == MOSQ_ERR_ERRNO && (errno == ECONNRESET || errno == EPIPE) ? MOSQ_ERR_CONN_LOST
                                                                              : error;
}

/* Returns: an error of the library, or NO_TOPIC. */
static int send_event(struct kv_sink *sink, const struct kv_event *event, int *ret_mid)
{
    if (write_topic(sink, event) != 0)
        return NO_TOPIC;
    if (event->json.len > LONGEST_MESSAGE)
        return MOSQ_ERR_PAYLOAD_SIZE;
    return mosquitto_publish(sink->client, ret_mid, sink->topic, (int)event->json.len,
                             event->json.bytes, (int)sink->options[OPTION_QOS].integer,
                             sink->options[OPTION_RETAIN].boolean);
}

/* Returns: an error of the library; success also if the event can never be delivered. */
static int publish(struct kv_sink *sink, const struct kv_event *event)
{
    int mid = 0;
    sink->early_mid = 0;
    int error = send_event(sink, event, &mid);
    if (error != MOSQ_ERR_SUCCESS && !is_hopeless(error))
        return error;
    bool is_open = error == MOSQ_ERR_SUCCESS && sink->early_mid != mid;
    sink->mids[sink->n_mids++] = is_open ? mid : -error;
    sink->n_open += is_open;
    return MOSQ_ERR_SUCCESS;
}

static int await_all(struct kv_sink *sink)
{
    int64_t until_ms = now_ms(sink) + sink->options[OPTION_TIMEOUT].integer;
    int error = MOSQ_ERR_SUCCESS;
    while (error == MOSQ_ERR_SUCCESS && sink->n_open != 0 && is_to_wait(sink, until_ms))
        error = mosquitto_loop(sink->client, TURN_MS, 1);
    return error;
}

/* Whether the broker has closed the connection, which is its only way to refuse a message. */
static bool was_cut_off(int error)
{
    return error == MOSQ_ERR_CONN_LOST || error == MOSQ_ERR_NO_CONN;
}

/* Retries are sent by a new client. */
static void fail(struct kv_sink *sink, int error, struct kv_error *reterr)
{
    kv_error_set(reterr, "%s: %s", sink->peer,
                 error == MOSQ_ERR_SUCCESS ? "no acknowledgement in time" : text_of_error(error));
    if (was_cut_off(error))
        sink->host->refused(sink->host);
    disconnect(sink);
}

/* Returns: the number of events settled, from the front. */
static size_t settle(struct kv_sink *sink, const struct kv_event *events)
{
    size_t settled = 0;
    for (; settled < sink->n_mids && sink->mids[settled] <= 0; settled++)
        if (sink->mids[settled] < 0)
            sink->host->drop(sink->host, &events[settled], "%s",
                             text_of_error(-sink->mids[settled]));
    return settled;
}

static size_t mqtt_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                           struct kv_error *reterr)
{
    int error = MOSQ_ERR_SUCCESS;
    size_t wanted = n < MOST_EVENTS ? n : MOST_EVENTS;
    if (ensure_connected(sink, reterr) != 0)
        return 0;
    sink->n_mids = 0;
    sink->n_open = 0;
    while (sink->n_mids < wanted && error == MOSQ_ERR_SUCCESS)
        error = publish(sink, &events[sink->n_mids]);
    if (error == MOSQ_ERR_SUCCESS)
        error = await_all(sink);
    error = name_lost_connection(error);
    size_t settled = settle(sink, events);
    if (error != MOSQ_ERR_SUCCESS || sink->n_open != 0)
        fail(sink, error, reterr);
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
    .check = mqtt_check,
};

static const struct kv_module mqtt_module = {
    KV_MODULE_IDENTITY,      .kind = KV_MODULE_SINK, .name = "mqtt",   .version = "1.0",
    .options = mqtt_options, .n_options = N_OPTIONS, .ops = &mqtt_ops,
};

KV_MODULE_EXPORT(&mqtt_module)
