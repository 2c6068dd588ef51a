/*
 * Sends events as messages of NATS, one by one and in order. With `jetstream`, an event is
 * delivered when a stream has it on its disk; the stream discards duplicates by the header
 * Nats-Msg-Id. Without `jetstream`, it is delivered when the server has received it.
 */
#include <kvserver/sink.h>

#include <nats/nats.h>
#include <stdlib.h>

enum {
    OPTION_SERVERS,
    OPTION_SUBJECT,
    OPTION_JETSTREAM,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_TOKEN,
    OPTION_CREDENTIALS,
    OPTION_TIMEOUT,
    N_OPTIONS
};

enum {
    LONGEST_ID = 128,
    LONGEST_SUBJECT = 1000 /* the type is appended */
};

struct kv_sink {
    const struct kv_sink_host *host;
    const struct kv_option_value *options;
    char **servers;
    natsConnection *connection; /* NULL: not connected */
    jsCtx *jetstream;
    char peers[256]; /* their addresses, for messages */
};

static const struct kv_option server_element = {.type = KV_OPTION_STRING, .flags = KV_OPTION_URL};

static const struct kv_option nats_options[N_OPTIONS] = {
    [OPTION_SERVERS] = {.name = "servers",
                        .type = KV_OPTION_LIST,
                        .fields = &server_element,
                        .n_fields = 1,
                        .doc = "as nats://127.0.0.1:4222, which is the default"},
    [OPTION_SUBJECT] = {.name = "subject",
                        .type = KV_OPTION_STRING,
                        .fallback = "kvserver",
                        .doc = "the type follows: kvserver.set, kvserver.delete, kvserver.expire"},
    [OPTION_JETSTREAM] = {.name = "jetstream",
                          .type = KV_OPTION_BOOL,
                          .fallback = "false",
                          .doc = "delivered when a stream has it"},
    [OPTION_USER] = {.name = "user", .type = KV_OPTION_STRING},
    [OPTION_PASSWORD] = {.name = "password", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET},
    [OPTION_TOKEN] = {.name = "token", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET},
    [OPTION_CREDENTIALS] = {.name = "credentials",
                            .type = KV_OPTION_PATH,
                            .flags = KV_OPTION_READS,
                            .doc = "the path of a .creds file"},
    [OPTION_TIMEOUT] =
        {.name = "timeout", .type = KV_OPTION_DURATION, .fallback = "5s", .min = 1, .max = 600000},
};

static bool is_subject(struct kv_slice text)
{
    if (text.len == 0 || text.len > LONGEST_SUBJECT || text.bytes[0] == '.' ||
        text.bytes[text.len - 1] == '.')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (strchr("*> \t\r\n", text.bytes[i]) != NULL ||
            (text.bytes[i] == '.' && text.bytes[i - 1] == '.'))
            return false;
    return true;
}

/* `nats://host:port`, `tls://host:port`, or without the scheme. */
static bool is_server(struct kv_slice text)
{
    const char *scheme = strstr(text.bytes, "://");
    return text.len != 0 && (scheme == NULL || kv_slice_has_prefix(text, KV_SLICE("nats://")) ||
                             kv_slice_has_prefix(text, KV_SLICE("tls://")));
}

static void nats_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    const struct kv_option_value *servers = &options[OPTION_SERVERS];
    if (!is_subject(options[OPTION_SUBJECT].string))
        faults->add(faults, "subject", "\"%s\" is not a subject to publish to",
                    options[OPTION_SUBJECT].string.bytes);
    if (options[OPTION_PASSWORD].string.len != 0 && options[OPTION_USER].string.len == 0)
        faults->add(faults, "password", "it needs a `user`");
    for (size_t i = 0; i < servers->list.n; i++) {
        char option[32];
        snprintf(option, sizeof(option), "servers[%zu]", i);
        if (!is_server(servers->list.items[i].string))
            faults->add(faults, option,
                        "an address is expected, as nats://127.0.0.1:4222 or tls://…");
    }
}

/* Lists the servers, without the passwords that their URLs may contain. */
static void write_peers(struct kv_sink *sink)
{
    size_t n = sink->options[OPTION_SERVERS].list.n, len = 0;
    snprintf(sink->peers, sizeof(sink->peers), "127.0.0.1:4222");
    for (size_t i = 0; i < n && len < sizeof(sink->peers); i++) {
        const char *name = strrchr(sink->servers[i], '@');
        if (name == NULL)
            name = strstr(sink->servers[i], "//");
        len += (size_t)snprintf(sink->peers + len, sizeof(sink->peers) - len, "%s%s",
                                i == 0 ? "" : ", ",
                                name == NULL ? sink->servers[i] : name + strspn(name, "@/"));
    }
}

static int nats_open_sink(const struct kv_sink_host *host, const struct kv_option_value *options,
                          struct kv_sink **ret_sink, struct kv_error *reterr)
{
    size_t n = options[OPTION_SERVERS].list.n;
    struct kv_sink *sink = calloc(1, sizeof(*sink));
    char **servers = calloc(n + 1, sizeof(*servers));
    if (sink == NULL || servers == NULL) {
        free(sink);
        free(servers);
        return kv_error_set(reterr, "no memory");
    }
    for (size_t i = 0; i < n; i++)
        servers[i] = (char *)(uintptr_t)options[OPTION_SERVERS].list.items[i].string.bytes;
    *sink = (struct kv_sink){.host = host, .options = options, .servers = servers};
    write_peers(sink);
    *ret_sink = sink;
    return 0;
}

/* ---- the connection ---- */

static void disconnect(struct kv_sink *sink)
{
    jsCtx_Destroy(sink->jetstream);
    natsConnection_Destroy(sink->connection);
    sink->jetstream = NULL;
    sink->connection = NULL;
}

static natsStatus set_identity(const struct kv_sink *sink, natsOptions *nats)
{
    const struct kv_option_value *options = sink->options;
    natsStatus status = NATS_OK;
    if (options[OPTION_USER].string.len != 0)
        status = natsOptions_SetUserInfo(nats, options[OPTION_USER].string.bytes,
                                         options[OPTION_PASSWORD].string.bytes);
    if (status == NATS_OK && options[OPTION_TOKEN].string.len != 0)
        status = natsOptions_SetToken(nats, options[OPTION_TOKEN].string.bytes);
    if (status == NATS_OK && options[OPTION_CREDENTIALS].string.len != 0)
        status = natsOptions_SetUserCredentialsFromFiles(
            nats, options[OPTION_CREDENTIALS].string.bytes, NULL);
    return status;
}

/* The library must not reconnect by itself: pending messages would be sent out of order. */
static natsStatus configure(const struct kv_sink *sink, natsOptions *nats)
{
    size_t n = sink->options[OPTION_SERVERS].list.n;
    natsStatus status = natsOptions_SetAllowReconnect(nats, false);
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(nats, sink->options[OPTION_TIMEOUT].integer);
    if (status == NATS_OK)
        status = natsOptions_SetName(nats, "kvserver");
    if (status == NATS_OK && n != 0)
        status = natsOptions_SetServers(nats, (const char **)sink->servers, (int)n);
    return status == NATS_OK ? set_identity(sink, nats) : status;
}

static natsStatus connect_to(struct kv_sink *sink)
{
    natsOptions *nats = NULL;
    natsStatus status = natsOptions_Create(&nats);
    if (status == NATS_OK)
        status = configure(sink, nats);
    if (status == NATS_OK)
        status = natsConnection_Connect(&sink->connection, nats);
    natsOptions_Destroy(nats);
    if (status == NATS_OK && sink->options[OPTION_JETSTREAM].boolean)
        status = natsConnection_JetStream(&sink->jetstream, sink->connection, NULL);
    return status;
}

/* ---- delivering ---- */

static natsStatus make_message(const struct kv_sink *sink, const struct kv_event *event,
                               natsMsg **ret_message)
{
    char subject[LONGEST_SUBJECT + 16], id[LONGEST_ID];
    snprintf(subject, sizeof(subject), "%s.%s", sink->options[OPTION_SUBJECT].string.bytes,
             kv_event_type_name(event->type));
    snprintf(id, sizeof(id), "%.*s", (int)event->id.len, event->id.bytes);
    natsStatus status =
        natsMsg_Create(ret_message, subject, NULL, event->json.bytes, (int)event->json.len);
    return status == NATS_OK ? natsMsgHeader_Set(*ret_message, "Nats-Msg-Id", id) : status;
}

static natsStatus publish(struct kv_sink *sink, natsMsg *message, jsErrCode *ret_code)
{
    jsPubOptions options;
    *ret_code = 0;
    if (sink->jetstream == NULL)
        return natsConnection_PublishMsg(sink->connection, message);
    jsPubOptions_Init(&options);
    options.MaxWait = sink->options[OPTION_TIMEOUT].integer;
    return js_PublishMsg(NULL, sink->jetstream, message, &options, ret_code);
}

static bool is_too_long(const struct kv_sink *sink, const struct kv_event *event)
{
    int64_t most = natsConnection_GetMaxPayload(sink->connection);
    return most > 0 && event->json.len + LONGEST_ID > (uint64_t)most;
}

/* Returns: NATS_OK also if the event can never be delivered. */
static natsStatus deliver_one(struct kv_sink *sink, const struct kv_event *event)
{
    natsMsg *message = NULL;
    jsErrCode code = 0;
    if (is_too_long(sink, event)) {
        sink->host->drop(sink->host, event, "%s takes %lld bytes at most", sink->peers,
                         (long long)natsConnection_GetMaxPayload(sink->connection));
        return NATS_OK;
    }
    natsStatus status = make_message(sink, event, &message);
    if (status == NATS_OK)
        status = publish(sink, message, &code);
    natsMsg_Destroy(message);
    if (code != JSStreamMessageExceedsMaximumErr)
        return status;
    sink->host->drop(sink->host, event, "it is longer than the stream takes");
    return NATS_OK;
}

/* Written messages are settled when the server has answered a later ping, and has reported no error
 * meanwhile. */
static natsStatus confirm(struct kv_sink *sink)
{
    const char *complaint;
    if (sink->jetstream != NULL)
        return NATS_OK;
    natsStatus status =
        natsConnection_FlushTimeout(sink->connection, sink->options[OPTION_TIMEOUT].integer);
    return status == NATS_OK ? natsConnection_GetLastError(sink->connection, &complaint) : status;
}

static size_t deliver_all(struct kv_sink *sink, const struct kv_event *events, size_t n,
                          natsStatus *ret_status)
{
    size_t done = 0;
    natsStatus status = NATS_OK;
    while (done < n && !sink->host->is_ending(sink->host) &&
           (status = deliver_one(sink, &events[done])) == NATS_OK)
        done++;
    natsStatus confirmed = confirm(sink);
    *ret_status = status != NATS_OK ? status : confirmed;
    return confirmed == NATS_OK ? done : 0;
}

/* Whether the server has closed the connection because of a message. */
static bool was_cut_off(natsStatus status)
{
    return status == NATS_CONNECTION_CLOSED || status == NATS_CONNECTION_DISCONNECTED ||
           status == NATS_IO_ERROR;
}

/* The reason why delivery stopped; the server's own message is better than the library's. */
static void explain(struct kv_sink *sink, natsStatus status, struct kv_error *reterr)
{
    const char *complaint = NULL;
    bool is_connected = sink->connection != NULL;
    if (is_connected)
        natsConnection_GetLastError(sink->connection, &complaint);
    bool has_complaint = complaint != NULL && complaint[0] != '\0';
    kv_error_set(reterr, "%s%s: %s%s", is_connected ? "" : "cannot connect to ", sink->peers,
                 has_complaint ? complaint : natsStatus_GetText(status),
                 status == NATS_NO_RESPONDERS ? " (no stream takes this subject)" : "");
}

static size_t nats_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                           struct kv_error *reterr)
{
    size_t done = 0;
    natsStatus status = NATS_OK;
    if (sink->connection != NULL && natsConnection_IsClosed(sink->connection))
        disconnect(sink);
    if (sink->connection == NULL)
        status = connect_to(sink);
    if (status == NATS_OK)
        done = deliver_all(sink, events, n, &status);
    if (status == NATS_OK)
        return done;
    if (sink->connection != NULL && was_cut_off(status))
        sink->host->refused(sink->host);
    explain(sink, status, reterr);
    disconnect(sink);
    return done;
}

static void nats_close_sink(struct kv_sink *sink)
{
    disconnect(sink);
    nats_ReleaseThreadMemory();
    free(sink->servers);
    free(sink);
}

static const struct kv_sink_ops nats_ops = {
    .size = sizeof(nats_ops),
    .open = nats_open_sink,
    .deliver = nats_deliver,
    .close = nats_close_sink,
    .check = nats_check,
};

static const struct kv_module nats_module = {
    KV_MODULE_IDENTITY,      .kind = KV_MODULE_SINK, .name = "nats",   .version = "1.0",
    .options = nats_options, .n_options = N_OPTIONS, .ops = &nats_ops,
};

KV_MODULE_EXPORT(&nats_module)
