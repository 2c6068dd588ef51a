#include "kvctl/ask.h"

#include "kvctl/say.h"
#include "wire/json.h"
#include "wire/json_string.h"

struct kv_slice kv_ctl_member(struct kv_slice object, struct kv_slice name)
{
    struct kv_json_field field = {.name = name};
    struct kv_slice value = {0};
    struct kv_json_error error;
    if (kv_json_read_object(object, KV_JSON_MAX_DEPTH, &field, 1, &value, &error) != 0)
        return (struct kv_slice){0};
    return value;
}

int kv_ctl_tell_strange(struct kv_ctl_call *call, const char *subject)
{
    return kv_ctl_fail(KV_CTL_NO_SERVER,
                       "%s: the answer does not come from a KvServer: is the server %s?", subject,
                       kv_ctl_http_target(call->http)->name);
}

/* A server that cannot serve, or a proxy that cannot reach it. */
static bool is_not_serving(int status)
{
    return status == 502 || status == 503 || status == 504;
}

int kv_ctl_tell_refusal(const char *subject, const struct kv_ctl_answer *answer)
{
    struct kv_slice error = kv_ctl_member(kv_buffer_slice(&answer->body), KV_SLICE("error"));
    struct kv_buffer text = {0};
    int code = is_not_serving(answer->status) ? KV_CTL_NO_SERVER : KV_CTL_REFUSED;
    if (kv_json_type_of(error) == KV_JSON_STRING)
        kv_json_unescape(error, &text);
    if (text.len != 0)
        kv_ctl_say("%s: %.*s (%d)", subject, (int)text.len, text.bytes, answer->status);
    else
        kv_ctl_say("%s: the server answers with %d", subject, answer->status);
    kv_buffer_fini(&text);
    return code;
}

int kv_ctl_code_unanswered(const struct kv_ctl_answer *answer)
{
    return answer->is_file_wrong ? KV_CTL_USAGE : KV_CTL_NO_SERVER;
}

static bool is_reading(const struct kv_ctl_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

int kv_ctl_ask(struct kv_ctl_call *call, const struct kv_ctl_request *request, const char *subject,
               int accepted, struct kv_ctl_answer *ret)
{
    struct kv_error error;
    switch (kv_ctl_http_ask(call->http, request, ret, &error)) {
    case KV_CTL_UNANSWERED:
        return kv_ctl_fail(
            kv_ctl_code_unanswered(ret), "%s%s", error.text,
            is_reading(request) || !ret->is_sent ? "" : " (whether it took effect is not known)");
    case KV_CTL_INTERRUPTED:
    case KV_CTL_STOPPED:
        return KV_CTL_USAGE; /* the caller has the reason */
    default:
        break;
    }
    if (ret->status / 100 == 2 || ret->status == accepted)
        return KV_CTL_DONE;
    return kv_ctl_tell_refusal(subject, ret);
}

int kv_ctl_ask_batch(struct kv_ctl_call *call, struct kv_slice messages, const char *subject,
                     struct kv_ctl_answer *ret)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct kv_ctl_request request = {
        .method = "POST", .path = KV_SLICE("/batch"), .body = messages, .headers = headers};
    int code = kv_ctl_ask(call, &request, subject, 0, ret);
    struct kv_slice answers = kv_buffer_slice(&ret->body);
    if (code == KV_CTL_DONE && (answers.len == 0 || kv_json_type_of(answers) != KV_JSON_ARRAY))
        return kv_ctl_tell_strange(call, subject);
    return code;
}
