#include "kvctl/write.h"

#include "kvctl/arguments.h"
#include "kvctl/ask.h"
#include "kvctl/given.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "kvctl/state.h"
#include "wire/integer.h"
#include "wire/json_string.h"

enum {
    NOT_FOUND = 404,
    LONGEST_CONDITION = 48,
    MOST_HEADERS = 4
};

#define MOST_REVISION ((UINT64_C(1) << 53) - 1)

/* A write that is being assembled. Owns the buffers, until fini(). */
struct writing {
    struct kv_ctl_call *call;
    const char *name; /* the key, as given */
    const char *method;
    struct kv_buffer key, path, body;
    char condition[LONGEST_CONDITION];
    const char *headers[MOST_HEADERS];
    size_t n_headers;
    struct kv_ctl_answer answer;
};

static void fini(struct writing *writing)
{
    kv_buffer_fini(&writing->key);
    kv_buffer_fini(&writing->path);
    kv_buffer_fini(&writing->body);
    kv_ctl_answer_fini(&writing->answer);
}

static void add_header(struct writing *writing, const char *line)
{
    writing->headers[writing->n_headers++] = line;
}

/* Sets the key and the conditions. Returns: 0, or -1 and *reterr. */
static int begin(struct writing *writing, struct kv_ctl_call *call, const char *method,
                 const char *name, struct kv_error *reterr)
{
    const struct kv_ctl_arguments *arguments = &call->arguments;
    uint64_t revision = 0;
    *writing = (struct writing){.call = call, .name = name, .method = method};
    if (kv_ctl_given_key(call, name, &writing->key, reterr) != 0 ||
        kv_ctl_read_number(arguments, KV_CTL_IF_REVISION, 1, MOST_REVISION, &revision, reterr) != 0)
        return -1;
    if (revision != 0 && kv_ctl_has(call, KV_CTL_IF_ABSENT))
        return kv_error_set(reterr, "--if-revision and --if-absent exclude each other");
    kv_ctl_append_key_path(&writing->path, kv_buffer_slice(&writing->key));
    if (kv_ctl_has(call, KV_CTL_IF_ABSENT))
        add_header(writing, "If-None-Match: *");
    if (revision != 0) {
        snprintf(writing->condition, sizeof(writing->condition), "If-Match: \"%ju\"",
                 (uintmax_t)revision);
        add_header(writing, writing->condition);
    }
    return 0;
}

/* Digits alone are milliseconds, as in the protocol; the server checks anything else. */
static void append_ttl(struct kv_buffer *body, const char *ttl)
{
    bool is_number = *ttl != '\0' && ttl[strspn(ttl, "0123456789")] == '\0';
    if (is_number)
        kv_buffer_append(body, kv_slice_of(ttl));
    else
        kv_json_append_string(body, kv_slice_of(ttl));
}

/* Appends the TTL and the end of the body's object. */
static void end_body(struct writing *writing)
{
    const char *ttl = writing->call->arguments.options[KV_CTL_TTL];
    if (ttl != NULL) {
        kv_buffer_append(&writing->body, KV_SLICE(",\"ttl\":"));
        append_ttl(&writing->body, ttl);
    }
    kv_buffer_append_char(&writing->body, '}');
    add_header(writing, "Content-Type: application/json");
}

/* accepted: as for kv_ctl_ask(). */
static int carry_out(struct writing *writing, int accepted)
{
    struct kv_ctl_request request = {.method = writing->method,
                                     .path = kv_buffer_slice(&writing->path),
                                     .headers = writing->headers};
    if (writing->body.len != 0)
        request.body = kv_buffer_slice(&writing->body);
    return kv_ctl_ask(writing->call, &request, writing->name, accepted, &writing->answer);
}

/* Prints the written state for -o json; as text, only the value, if the answer has it. */
static int put(struct writing *writing, struct kv_slice value)
{
    struct kv_ctl_call *call = writing->call;
    if (call->format == KV_CTL_JSON || call->format == KV_CTL_JSONL) {
        kv_ctl_put_state(call, &(struct kv_ctl_state){.key = kv_buffer_slice(&writing->key),
                                                      .value = value,
                                                      .revision = writing->answer.revision,
                                                      .ttl_ms = writing->answer.ttl_ms});
        kv_ctl_put(KV_SLICE("\n"));
    } else if (value.bytes != NULL && kv_ctl_put_value(call, value) != 0) {
        return kv_ctl_fail(KV_CTL_REFUSED,
                           "%s: the text has half a surrogate pair: -o json prints "
                           "it",
                           writing->name);
    }
    return KV_CTL_DONE;
}

static int put_answer(struct writing *writing)
{
    struct kv_slice value =
        kv_ctl_member(kv_buffer_slice(&writing->answer.body), KV_SLICE("value"));
    return value.bytes != NULL ? put(writing, value)
                               : kv_ctl_tell_strange(writing->call, writing->name);
}

int kv_ctl_set_run(struct kv_ctl_call *call)
{
    struct writing writing;
    struct kv_error error;
    int code = KV_CTL_USAGE;
    bool is_ready = begin(&writing, call, "PUT", call->arguments.operands[0], &error) == 0;
    kv_buffer_append(&writing.body, KV_SLICE("{\"value\":"));
    if (!is_ready ||
        kv_ctl_given_value(call, call->arguments.operands[1], &writing.body, &error) != 0) {
        kv_ctl_say("%s", error.text);
    } else {
        end_body(&writing);
        code = carry_out(&writing, 0);
        if (code == KV_CTL_DONE)
            code = put(&writing, (struct kv_slice){0});
    }
    fini(&writing);
    return code;
}

static int refuse_missing(const struct writing *writing)
{
    return kv_ctl_fail(KV_CTL_MISSING, "%s: no value", writing->name);
}

int kv_ctl_touch_run(struct kv_ctl_call *call)
{
    struct writing writing;
    struct kv_error error;
    int code = KV_CTL_USAGE;
    if (begin(&writing, call, "PATCH", call->arguments.operands[0], &error) != 0) {
        kv_ctl_say("%s", error.text);
    } else {
        kv_buffer_append(&writing.body, KV_SLICE("{\"ttl\":"));
        append_ttl(&writing.body, call->arguments.operands[1]);
        end_body(&writing);
        code = carry_out(&writing, NOT_FOUND);
        if (code == KV_CTL_DONE)
            code = writing.answer.status == NOT_FOUND ? refuse_missing(&writing)
                                                      : put(&writing, (struct kv_slice){0});
    }
    fini(&writing);
    return code;
}

int kv_ctl_incr_run(struct kv_ctl_call *call)
{
    const char *by = call->arguments.n_operands > 1 ? call->arguments.operands[1] : "1";
    struct writing writing;
    struct kv_error error;
    int64_t integer;
    int code = KV_CTL_USAGE;
    bool is_ready = begin(&writing, call, "PATCH", call->arguments.operands[0], &error) == 0;
    if (is_ready && !kv_integer_read(kv_slice_of(by), &integer)) {
        is_ready = false;
        kv_error_set(&error, "\"%s\" is not an integer", by);
    }
    if (is_ready) {
        kv_buffer_printf(&writing.body, "{\"increment\":%s", by);
        end_body(&writing);
        code = carry_out(&writing, 0);
        if (code == KV_CTL_DONE)
            code = put_answer(&writing);
    } else {
        kv_ctl_say("%s", error.text);
    }
    fini(&writing);
    return code;
}

int kv_ctl_merge_run(struct kv_ctl_call *call)
{
    struct writing writing;
    struct kv_error error;
    int code = KV_CTL_USAGE;
    if (begin(&writing, call, "PATCH", call->arguments.operands[0], &error) != 0 ||
        kv_ctl_given_value(call, call->arguments.operands[1], &writing.body, &error) != 0) {
        kv_ctl_say("%s", error.text);
    } else {
        add_header(&writing, "Content-Type: application/merge-patch+json");
        code = carry_out(&writing, 0);
        if (code == KV_CTL_DONE)
            code = put_answer(&writing);
    }
    fini(&writing);
    return code;
}

static int delete_key(struct kv_ctl_call *call, const char *name)
{
    struct writing writing;
    struct kv_error error;
    int code = begin(&writing, call, "DELETE", name, &error) == 0
                   ? carry_out(&writing, 0)
                   : kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    fini(&writing);
    return code;
}

int kv_ctl_del_run(struct kv_ctl_call *call)
{
    int code = KV_CTL_DONE;
    if (call->arguments.n_operands > 1 && kv_ctl_has(call, KV_CTL_IF_REVISION))
        return kv_ctl_fail(KV_CTL_USAGE, "--if-revision goes with one key");
    for (size_t i = 0; i < call->arguments.n_operands && code == KV_CTL_DONE; i++)
        code = delete_key(call, call->arguments.operands[i]);
    return code;
}
