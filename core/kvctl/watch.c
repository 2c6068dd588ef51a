/* The stream is GET /events. It begins after the server's newest revision, from `hello`, so that
 * there is a position to resume from before the first change. If there is none (a snapshot was
 * interrupted), an id that the server never uses makes it reset: nothing is missed silently. */
#include "kvctl/watch.h"

#include <time.h>

#include "kvctl/arguments.h"
#include "kvctl/ask.h"
#include "kvctl/events.h"
#include "kvctl/given.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "wire/json.h"
#include "wire/json_string.h"

enum {
    FIRST_PAUSE_MS = 200,
    LONGEST_PAUSE_MS = 5000,
    LEAST_SILENCE_MS = 90000, /* heartbeats come every 25 s unless configured otherwise */
    TOO_MANY = 429,
    TIMED_OUT = 408,
    MS_PER_S = 1000,
    NS_PER_MS = 1000000
};

static const char no_id[] = "none";

struct watch {
    struct kv_ctl_call *call;
    struct kv_buffer path; /* of the stream, without the position to begin from */
    struct kv_buffer id_line;
    struct kv_ctl_events events;
    uint64_t n_left; /* of --limit; UINT64_MAX: no limit */
    bool shows_synced;
    bool is_connected;
    bool is_cut_off; /* the stream had begun before the connection was lost */
    bool is_unauthorized;
    int64_t pause_ms;
};

/* ---- receiving ---- */

static bool is_type(const struct kv_ctl_event *event, const char *type)
{
    return kv_slice_equals(event->type, kv_slice_of(type));
}

/* Prints `{"type":"value",` and the members of the payload. */
static void put_json(const struct watch *watch, const struct kv_ctl_event *event)
{
    struct kv_slice rest = {event->data.bytes + 1, event->data.len - 1};
    kv_ctl_put(KV_SLICE("{\"type\":"));
    kv_ctl_put_json_string(event->type);
    kv_ctl_put(KV_SLICE(","));
    if (watch->call->format == KV_CTL_JSONL)
        kv_ctl_put_json_line(rest);
    else
        kv_ctl_put(rest);
    kv_ctl_put(KV_SLICE("\n"));
}

static void put_name(struct kv_slice string)
{
    struct kv_buffer name = {0};
    if (kv_json_type_of(string) == KV_JSON_STRING && kv_json_unescape(string, &name) == 0)
        kv_ctl_put_key_text(kv_buffer_slice(&name));
    kv_buffer_fini(&name);
}

enum {
    KEY,
    PREFIX,
    VALUE,
    REASON,
    N_MEMBERS
};

/* `set`, `delete` and `expire` are changes; `value` and `no-value` are states. */
static void put_text(const struct kv_ctl_event *event)
{
    static const struct kv_json_field fields[N_MEMBERS] = {
        [KEY] = {.name = {"key", 3}},
        [PREFIX] = {.name = {"prefix", 6}},
        [VALUE] = {.name = {"value", 5}},
        [REASON] = {.name = {"reason", 6}},
    };
    struct kv_slice members[N_MEMBERS] = {0};
    struct kv_json_error error;
    if (kv_json_read_object(event->data, KV_JSON_MAX_DEPTH, fields, N_MEMBERS, members, &error) !=
        0)
        return;
    if (kv_json_type_of(members[REASON]) == KV_JSON_STRING)
        kv_ctl_put(kv_json_inside(members[REASON]));
    else
        kv_ctl_put(event->type);
    kv_ctl_put(KV_SLICE("\t"));
    put_name(members[members[KEY].bytes != NULL ? KEY : PREFIX]);
    if (members[VALUE].bytes != NULL) {
        kv_ctl_put(KV_SLICE("\t"));
        kv_ctl_put_json_line(members[VALUE]);
    }
    kv_ctl_put(KV_SLICE("\n"));
}

static void put_raw(const struct kv_ctl_event *event)
{
    struct kv_slice value = kv_ctl_member(event->data, KV_SLICE("value"));
    if (value.bytes == NULL)
        return;
    kv_ctl_put_json_line(value);
    kv_ctl_put(KV_SLICE("\n"));
}

static void put(const struct watch *watch, const struct kv_ctl_event *event)
{
    if (event->data.len < 2 || event->data.bytes[0] != '{')
        return;
    switch (watch->call->format) {
    case KV_CTL_TEXT:
        put_text(event);
        break;
    case KV_CTL_RAW:
        put_raw(event);
        break;
    default:
        put_json(watch, event);
        break;
    }
    kv_ctl_output_flush();
}

static bool on_event(void *context, const struct kv_ctl_event *event)
{
    struct watch *watch = context;
    if (is_type(event, "unauthorized")) {
        watch->is_unauthorized = true;
        return false;
    }
    if (is_type(event, "reset"))
        watch->shows_synced = true;
    if (is_type(event, "synced") && !watch->shows_synced)
        return true;
    put(watch, event);
    if (is_type(event, "synced")) {
        watch->shows_synced = false;
        return true;
    }
    if (!is_type(event, "reset") && watch->n_left != UINT64_MAX)
        watch->n_left--;
    return watch->n_left != 0;
}

static bool on_body(void *context, struct kv_slice part)
{
    struct watch *watch = context;
    if (!watch->is_connected && watch->is_cut_off && !kv_ctl_has(watch->call, KV_CTL_QUIET))
        kv_ctl_say("connected again");
    watch->is_connected = true;
    watch->pause_ms = 0;
    return kv_ctl_events_take(&watch->events, part);
}

/* ---- requesting the stream ---- */

static void append_parameter(struct watch *watch, const char *name, struct kv_slice value)
{
    kv_buffer_printf(&watch->path,
                     "%c%s=", memchr(watch->path.bytes, '?', watch->path.len) == NULL ? '?' : '&',
                     name);
    kv_ctl_append_escaped(&watch->path, value);
}

static int append_names(struct watch *watch, const char *parameter, const char *const *names,
                        size_t n, struct kv_error *reterr)
{
    struct kv_buffer name = {0};
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        result = kv_ctl_given_key(watch->call, names[i], &name, reterr);
        append_parameter(watch, parameter, kv_buffer_slice(&name));
    }
    kv_buffer_fini(&name);
    return result;
}

static int write_path(struct watch *watch, struct kv_error *reterr)
{
    const struct kv_ctl_arguments *arguments = &watch->call->arguments;
    kv_buffer_append(&watch->path, KV_SLICE("/events"));
    if (arguments->n_operands + arguments->n_prefixes == 0)
        return kv_error_set(reterr, "watch needs a KEY or --prefix (--prefix '': every key)");
    if (append_names(watch, "key", arguments->operands, arguments->n_operands, reterr) != 0 ||
        append_names(watch, "prefix", arguments->prefixes, arguments->n_prefixes, reterr) != 0)
        return -1;
    append_parameter(watch, "meta", KV_SLICE("true"));
    if (kv_ctl_has(watch->call, KV_CTL_INITIAL))
        append_parameter(watch, "initial", KV_SLICE("true"));
    return 0;
}

static void set_id(struct watch *watch, const char *format, struct kv_slice epoch,
                   struct kv_slice revision)
{
    watch->events.id.len = 0;
    kv_buffer_printf(&watch->events.id, format, (int)epoch.len, epoch.bytes, (int)revision.len,
                     revision.bytes);
    kv_ctl_events_restart(&watch->events);
}

/* Begins after the newest revision of the server; if the store does not report one, just from now
 * on. Returns: the exit code; failures have been reported. */
static int begin_now(struct watch *watch)
{
    struct kv_ctl_answer answer = {0};
    struct kv_slice message = {0}, payload, epoch, revision;
    struct kv_json_error error;
    size_t at = 0;
    int code = kv_ctl_ask_batch(watch->call, KV_SLICE("[{\"type\":\"hello\"}]"), "watch", &answer);
    if (code == KV_CTL_DONE &&
        kv_json_read_array(kv_buffer_slice(&answer.body), KV_JSON_MAX_DEPTH, &at, &message,
                           &error) == 1 &&
        kv_json_type_of(message) == KV_JSON_OBJECT) {
        payload = kv_ctl_member(message, KV_SLICE("payload"));
        if (kv_json_type_of(payload) == KV_JSON_OBJECT) {
            epoch = kv_ctl_member(payload, KV_SLICE("epoch"));
            revision = kv_ctl_member(payload, KV_SLICE("revision"));
            if (kv_json_type_of(epoch) == KV_JSON_STRING &&
                kv_json_type_of(revision) == KV_JSON_NUMBER)
                set_id(watch, "%.*s-%.*s", kv_json_inside(epoch), revision);
        }
    }
    kv_ctl_answer_fini(&answer);
    return code;
}

/* Returns: the exit code; failures have been reported. */
static int begin(struct watch *watch)
{
    const struct kv_ctl_arguments *arguments = &watch->call->arguments;
    const char *epoch = arguments->options[KV_CTL_EPOCH];
    struct kv_error error;
    uint64_t since = 0, limit = UINT64_MAX;
    if (kv_ctl_read_number(arguments, KV_CTL_SINCE, 0, UINT64_MAX - 1, &since, &error) != 0 ||
        kv_ctl_read_number(arguments, KV_CTL_LIMIT, 1, UINT64_MAX - 1, &limit, &error) != 0 ||
        write_path(watch, &error) != 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    if (kv_ctl_has(watch->call, KV_CTL_SINCE) != (epoch != NULL))
        return kv_ctl_fail(KV_CTL_USAGE, "--since and --epoch go together");
    watch->n_left = limit;
    watch->shows_synced = epoch != NULL || kv_ctl_has(watch->call, KV_CTL_INITIAL);
    if (epoch != NULL)
        set_id(watch, "%.*s-%.*s", kv_slice_of(epoch),
               kv_slice_of(arguments->options[KV_CTL_SINCE]));
    return watch->shows_synced ? KV_CTL_DONE : begin_now(watch);
}

/* is_first: nothing has been shown yet, so nothing can be missed. */
static enum kv_ctl_outcome follow(struct watch *watch, bool is_first, struct kv_ctl_answer *answer,
                                  struct kv_error *reterr)
{
    struct kv_slice id = kv_buffer_slice(&watch->events.id);
    const char *headers[] = {"Accept: text/event-stream", NULL, NULL};
    kv_ctl_events_restart(&watch->events);
    watch->is_connected = false;
    watch->id_line.len = 0;
    kv_buffer_printf(&watch->id_line, "Last-Event-ID: %.*s", id.len != 0 ? (int)id.len : 4,
                     id.len != 0 ? id.bytes : no_id);
    kv_buffer_append_char(&watch->id_line, '\0');
    if (id.len != 0 || !is_first)
        headers[1] = watch->id_line.bytes;
    struct kv_ctl_request request = {.method = "GET",
                                     .path = kv_buffer_slice(&watch->path),
                                     .headers = headers,
                                     .on_body = on_body,
                                     .context = watch,
                                     .least_silence_ms = LEAST_SILENCE_MS};
    return kv_ctl_http_ask(watch->call->http, &request, answer, reterr);
}

static void pause_before_retry(struct watch *watch)
{
    watch->pause_ms = watch->pause_ms == 0 ? FIRST_PAUSE_MS : 2 * watch->pause_ms;
    if (watch->pause_ms > LONGEST_PAUSE_MS)
        watch->pause_ms = LONGEST_PAUSE_MS;
    struct timespec pause = {.tv_sec = watch->pause_ms / MS_PER_S,
                             .tv_nsec = watch->pause_ms % MS_PER_S * NS_PER_MS};
    nanosleep(&pause, NULL);
}

static bool is_for_good(int status)
{
    return status / 100 == 4 && status != TOO_MANY && status != TIMED_OUT;
}

/* Whether to request a stream again that has ended; otherwise *ret_code, which has been
 * reported. */
static bool is_to_retry(struct watch *watch, bool is_first, enum kv_ctl_outcome outcome,
                        const struct kv_ctl_answer *answer, const struct kv_error *error,
                        int *ret_code)
{
    if (outcome == KV_CTL_STOPPED) {
        *ret_code = KV_CTL_DONE;
        if (watch->is_unauthorized)
            *ret_code = kv_ctl_fail(KV_CTL_REFUSED, "the token is no longer valid");
        return false;
    }
    bool is_refused = outcome == KV_CTL_ANSWERED && answer->status != 200;
    if (is_refused && (is_first || is_for_good(answer->status))) {
        *ret_code = kv_ctl_tell_refusal("watch", answer);
        return false;
    }
    if (is_first && !watch->is_connected && outcome == KV_CTL_UNANSWERED) {
        *ret_code = kv_ctl_fail(kv_ctl_code_unanswered(answer), "%s", error->text);
        return false;
    }
    return true;
}

static void tell_cut(struct watch *watch, enum kv_ctl_outcome outcome, const struct kv_error *error)
{
    if (watch->is_connected && !kv_ctl_has(watch->call, KV_CTL_QUIET))
        kv_ctl_say("the connection is lost (%s): trying again",
                   outcome == KV_CTL_UNANSWERED ? error->text : "the server has ended it");
    watch->is_cut_off = true;
}

static int watch_on(struct watch *watch)
{
    struct kv_ctl_answer answer = {0};
    struct kv_error error;
    int code = KV_CTL_DONE;
    for (bool is_first = true;; is_first = false) {
        enum kv_ctl_outcome outcome = follow(watch, is_first, &answer, &error);
        if (!is_to_retry(watch, is_first, outcome, &answer, &error, &code))
            break;
        tell_cut(watch, outcome, &error);
        pause_before_retry(watch);
    }
    kv_ctl_answer_fini(&answer);
    return code;
}

int kv_ctl_watch_run(struct kv_ctl_call *call)
{
    struct watch watch = {.call = call};
    watch.events = (struct kv_ctl_events){.on_event = on_event, .context = &watch};
    int code = begin(&watch);
    if (code == KV_CTL_DONE)
        code = watch_on(&watch);
    kv_ctl_events_fini(&watch.events);
    kv_buffer_fini(&watch.path);
    kv_buffer_fini(&watch.id_line);
    return code;
}
