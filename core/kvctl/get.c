#include "kvctl/get.h"

#include "kvctl/ask.h"
#include "kvctl/given.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "kvctl/state.h"

enum {
    NO_CONTENT = 204
};

struct getting {
    struct kv_ctl_call *call;
    struct kv_buffer key, path;
    struct kv_ctl_answer answer;
    struct kv_ctl_list list;
};

static bool is_text(const struct kv_ctl_call *call)
{
    return call->format == KV_CTL_TEXT || call->format == KV_CTL_RAW;
}

static int put(struct getting *getting, const char *name)
{
    struct kv_ctl_call *call = getting->call;
    struct kv_slice value =
        kv_ctl_member(kv_buffer_slice(&getting->answer.body), KV_SLICE("value"));
    if (value.bytes == NULL)
        return kv_ctl_tell_strange(call, name);
    if (is_text(call))
        return kv_ctl_put_value(call, value) == 0
                   ? KV_CTL_DONE
                   : kv_ctl_fail(KV_CTL_REFUSED,
                                 "%s: the text has half a surrogate pair: -o json "
                                 "prints it",
                                 name);
    kv_ctl_list_next(call, &getting->list);
    kv_ctl_put_state(call, &(struct kv_ctl_state){.key = kv_buffer_slice(&getting->key),
                                                  .value = value,
                                                  .revision = getting->answer.revision,
                                                  .ttl_ms = getting->answer.ttl_ms});
    return KV_CTL_DONE;
}

static int get(struct getting *getting, const char *name)
{
    struct kv_error error;
    if (kv_ctl_given_key(getting->call, name, &getting->key, &error) != 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    getting->path.len = 0;
    kv_ctl_append_key_path(&getting->path, kv_buffer_slice(&getting->key));
    struct kv_ctl_request request = {.method = "GET", .path = kv_buffer_slice(&getting->path)};
    int code = kv_ctl_ask(getting->call, &request, name, 0, &getting->answer);
    if (code != KV_CTL_DONE)
        return code;
    if (getting->answer.status == NO_CONTENT)
        return kv_ctl_fail(KV_CTL_MISSING, "%s: no value", name);
    return put(getting, name);
}

/* With one key, JSON is an object. Existing keys are printed even if others are missing. */
int kv_ctl_get_run(struct kv_ctl_call *call)
{
    struct getting getting = {.call = call};
    bool is_list = !is_text(call) && call->arguments.n_operands > 1;
    int result = KV_CTL_DONE;
    if (is_list)
        kv_ctl_list_begin(call);
    for (size_t i = 0; i < call->arguments.n_operands && result <= KV_CTL_MISSING; i++) {
        int code = get(&getting, call->arguments.operands[i]);
        result = code > result ? code : result;
    }
    if (is_list)
        kv_ctl_list_end(call, &getting.list);
    else if (getting.list.n != 0)
        kv_ctl_put(KV_SLICE("\n"));
    kv_ctl_answer_fini(&getting.answer);
    kv_buffer_fini(&getting.path);
    kv_buffer_fini(&getting.key);
    return result;
}
