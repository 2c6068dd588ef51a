/*
 * Events into a stream of Redis, or to a channel. What one deliver() brings is one transaction: all
 * of it is taken, or none. Where the connection breaks before the answer, it may have been taken
 * and comes once more, with the same `id`.
 */
#include <kvserver/sink.h>

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/un.h>

enum {
    OPTION_HOST,
    OPTION_PORT,
    OPTION_UNIX,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_DATABASE,
    OPTION_MODE,
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
    LONGEST_NUMBER = 24
};

struct kv_sink {
    const struct kv_sink_host *host;
    const struct kv_option_value *options;
    redisContext *redis; /* NULL: not connected */
    char peer[256];      /* its address, for messages */
};

static const char *const modes[] = {"stream", "publish", NULL};

static const struct kv_option redis_options[N_OPTIONS] = {
    [OPTION_HOST] = {.name = "host", .type = KV_OPTION_STRING, .fallback = "127.0.0.1"},
    [OPTION_PORT] =
        {.name = "port", .type = KV_OPTION_INT, .fallback = "6379", .min = 1, .max = 65535},
    [OPTION_UNIX] = {.name = "unix",
                     .type = KV_OPTION_PATH,
                     .doc = "the path of a socket, in place of host and port"},
    [OPTION_USER] = {.name = "user", .type = KV_OPTION_STRING},
    [OPTION_PASSWORD] = {.name = "password", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET},
    [OPTION_DATABASE] = {.name = "database", .type = KV_OPTION_INT, .fallback = "0", .max = 65535},
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

static void write_peer(struct kv_sink *sink)
{
    const char *path = sink->options[OPTION_UNIX].string.bytes;
    const char *host = sink->options[OPTION_HOST].string.bytes;
    long long port = sink->options[OPTION_PORT].integer;
    if (sink->options[OPTION_UNIX].string.len != 0)
        snprintf(sink->peer, sizeof(sink->peer), "%s", path);
    else
        snprintf(sink->peer, sizeof(sink->peer),
                 strchr(host, ':') != NULL ? "[%s]:%lld" : "%s:%lld", host, port);
}

static void redis_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    bool has_address = options[OPTION_HOST].is_given || options[OPTION_PORT].is_given;
    if (options[OPTION_NAME].string.len == 0)
        faults->add(faults, "name", "the name of a stream or channel is expected");
    if (options[OPTION_UNIX].string.len != 0 && has_address)
        faults->add(faults, "unix", "it stands in place of `host` and `port`, which are given");
    if (options[OPTION_UNIX].string.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        faults->add(faults, "unix", "it is longer than the path of a socket may be");
    if (options[OPTION_USER].string.len != 0 && options[OPTION_PASSWORD].string.len == 0)
        faults->add(faults, "user", "it needs a `password`");
}

static int redis_open(const struct kv_sink_host *host, const struct kv_option_value *options,
                      struct kv_sink **ret_sink, struct kv_error *reterr)
{
    struct kv_sink *sink = malloc(sizeof(*sink));
    if (sink == NULL)
        return kv_error_set(reterr, "no memory");
    *sink = (struct kv_sink){.host = host, .options = options};
    write_peer(sink);
    *ret_sink = sink;
    return 0;
}

/* ---- the connection ---- */

static void disconnect(struct kv_sink *sink)
{
    if (sink->redis != NULL)
        redisFree(sink->redis);
    sink->redis = NULL;
}

/* Whether Redis has closed the connection, in answer to what it was sent. */
static bool was_cut_off(const struct kv_sink *sink)
{
    int error = sink->redis == NULL ? 0 : sink->redis->err;
    return error == REDIS_ERR_EOF ||
           (error == REDIS_ERR_IO && (errno == ECONNRESET || errno == EPIPE));
}

/* The connection is good for nothing any more. */
static int fail(struct kv_sink *sink, const char *what, struct kv_error *reterr)
{
    kv_error_set(reterr, "%s %s: %s", what, sink->peer,
                 sink->redis == NULL || sink->redis->err == 0 ? "no memory" : sink->redis->errstr);
    disconnect(sink);
    return -1;
}

/* Runs a command whose answer is only looked at for an error. */
static int run(struct kv_sink *sink, int n, const char **words, const size_t *lens,
               struct kv_error *reterr)
{
    redisReply *reply = redisCommandArgv(sink->redis, n, words, lens);
    if (reply == NULL)
        return fail(sink, "no answer from", reterr);
    int result = 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        result = kv_error_set(reterr, "%s: %s: %s", sink->peer, words[0], reply->str);
        disconnect(sink);
    }
    freeReplyObject(reply);
    return result;
}

static int log_in(struct kv_sink *sink, struct kv_error *reterr)
{
    struct kv_slice user = sink->options[OPTION_USER].string;
    struct kv_slice password = sink->options[OPTION_PASSWORD].string;
    const char *words[3] = {"AUTH"};
    size_t lens[3] = {4};
    int n = 1;
    if (password.len == 0)
        return 0;
    if (user.len != 0) {
        words[n] = user.bytes;
        lens[n++] = user.len;
    }
    words[n] = password.bytes;
    lens[n++] = password.len;
    return run(sink, n, words, lens, reterr);
}

static int select_database(struct kv_sink *sink, struct kv_error *reterr)
{
    char number[LONGEST_NUMBER];
    long long database = sink->options[OPTION_DATABASE].integer;
    if (database == 0)
        return 0;
    int len = snprintf(number, sizeof(number), "%lld", database);
    const char *words[] = {"SELECT", number};
    const size_t lens[] = {6, (size_t)len};
    return run(sink, 2, words, lens, reterr);
}

/* An idle connection that says something has been closed by the other side. */
static bool is_stale(const struct kv_sink *sink)
{
    struct pollfd fd = {.fd = sink->redis->fd, .events = POLLIN};
    return poll(&fd, 1, 0) != 0;
}

static int ensure_connected(struct kv_sink *sink, struct kv_error *reterr)
{
    const struct kv_option_value *options = sink->options;
    int64_t ms = options[OPTION_TIMEOUT].integer;
    struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (sink->redis != NULL && is_stale(sink))
        disconnect(sink);
    if (sink->redis != NULL)
        return 0;
    sink->redis = options[OPTION_UNIX].string.len != 0
                      ? redisConnectUnixWithTimeout(options[OPTION_UNIX].string.bytes, timeout)
                      : redisConnectWithTimeout(options[OPTION_HOST].string.bytes,
                                                (int)options[OPTION_PORT].integer, timeout);
    if (sink->redis == NULL || sink->redis->err != 0 ||
        redisSetTimeout(sink->redis, timeout) != REDIS_OK)
        return fail(sink, "cannot connect to", reterr);
    return log_in(sink, reterr) == 0 && select_database(sink, reterr) == 0 ? 0 : -1;
}

/* ---- delivering ---- */

struct words {
    const char *bytes[MOST_WORDS];
    size_t lens[MOST_WORDS];
    int n;
};

static void add(struct words *words, struct kv_slice word)
{
    words->bytes[words->n] = word.len == 0 ? "" : word.bytes;
    words->lens[words->n++] = word.len;
}

static void add_pair(struct words *words, const char *name, struct kv_slice value)
{
    add(words, kv_slice_of(name));
    add(words, value);
}

static int append_event(struct kv_sink *sink, const struct kv_event *event)
{
    struct words words = {.n = 0};
    char number[LONGEST_NUMBER];
    if (sink->options[OPTION_MODE].integer == MODE_PUBLISH) {
        add(&words, KV_SLICE("PUBLISH"));
        add_pair(&words, sink->options[OPTION_NAME].string.bytes, event->json);
    } else {
        add_pair(&words, "XADD", sink->options[OPTION_NAME].string);
        if (sink->options[OPTION_MAX_LENGTH].integer != 0) {
            snprintf(number, sizeof(number), "%lld",
                     (long long)sink->options[OPTION_MAX_LENGTH].integer);
            add_pair(&words, "MAXLEN", KV_SLICE("~"));
            add(&words, kv_slice_of(number));
        }
        add(&words, KV_SLICE("*"));
        add_pair(&words, "id", event->id);
        add_pair(&words, "type", kv_slice_of(kv_event_type_name(event->type)));
        add_pair(&words, "key", event->key);
        add_pair(&words, "event", event->json);
    }
    return redisAppendCommandArgv(sink->redis, words.n, words.bytes, words.lens);
}

static int append_all(struct kv_sink *sink, const struct kv_event *events, size_t n)
{
    int result = redisAppendCommand(sink->redis, "MULTI");
    for (size_t i = 0; i < n && result == REDIS_OK; i++)
        result = append_event(sink, &events[i]);
    return result == REDIS_OK ? redisAppendCommand(sink->redis, "EXEC") : result;
}

/* The first error of a transaction's answers. */
static const char *fault_of(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        if (reply->element[i]->type == REDIS_REPLY_ERROR)
            return reply->element[i]->str;
    return NULL;
}

/* Redis has a limit for the length of a text (proto-max-bulk-len), and for that of an entry. */
static bool is_too_long(const char *fault)
{
    return strstr(fault, "invalid bulk length") != NULL ||
           strstr(fault, "Elements are too large") != NULL;
}

/* What one event more or less cannot alter waits: OOM, READONLY, WRONGTYPE, NOPERM and the like.
 * Returns: how many events are settled by that. */
static size_t judge(struct kv_sink *sink, const struct kv_event *events, size_t n,
                    const char *fault)
{
    if (!is_too_long(fault))
        return 0;
    disconnect(sink); /* which Redis does, too */
    if (n == 1)
        sink->host->drop(sink->host, &events[0], "%s: %s", sink->peer, fault);
    else
        sink->host->refused(sink->host);
    return n == 1;
}

/* Reads the answers to MULTI, the commands, and EXEC. The first that is an error says why nothing
 * was taken: *ret_fault. Returns: -1 and *reterr where an answer is missing. */
static int read_all(struct kv_sink *sink, size_t n, char *ret_fault, size_t size,
                    struct kv_error *reterr)
{
    ret_fault[0] = '\0';
    for (size_t i = 0; i < n + 2; i++) {
        void *reply;
        if (redisGetReply(sink->redis, &reply) != REDIS_OK) {
            if (was_cut_off(sink) && ret_fault[0] == '\0')
                sink->host->refused(sink->host);
            fail(sink, "no answer from", reterr);
            return ret_fault[0] != '\0' ? 0 : -1;
        }
        const char *fault = fault_of(reply);
        if (fault != NULL && ret_fault[0] == '\0')
            snprintf(ret_fault, size, "%s", fault);
        freeReplyObject(reply);
    }
    return 0;
}

static size_t redis_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                            struct kv_error *reterr)
{
    char fault[256];
    if (ensure_connected(sink, reterr) != 0)
        return 0;
    if (append_all(sink, events, n) != REDIS_OK) {
        fail(sink, "cannot send to", reterr);
        return 0;
    }
    if (read_all(sink, n, fault, sizeof(fault), reterr) != 0)
        return 0;
    if (fault[0] == '\0')
        return n;
    kv_error_set(reterr, "%s: %s", sink->peer, fault);
    return judge(sink, events, n, fault);
}

static void redis_close(struct kv_sink *sink)
{
    disconnect(sink);
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
