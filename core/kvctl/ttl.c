#include "kvctl/ttl.h"

#include "kvctl/ask.h"
#include "kvctl/given.h"
#include "kvctl/output.h"
#include "kvctl/say.h"

enum {
    NO_CONTENT = 204
};

static void put(const struct kv_ctl_call *call, struct kv_slice key, int64_t ttl_ms)
{
    char text[24] = "none";
    if (ttl_ms >= 0)
        snprintf(text, sizeof(text), "%jd", (intmax_t)ttl_ms);
    if (call->format == KV_CTL_TEXT || call->format == KV_CTL_RAW) {
        kv_ctl_putf("%s\n", text);
        return;
    }
    kv_ctl_put(KV_SLICE("{\"key\":"));
    kv_ctl_put_json_string(key);
    kv_ctl_putf(",\"ttl\":%s}\n", ttl_ms >= 0 ? text : "null");
}

int kv_ctl_ttl_run(struct kv_ctl_call *call)
{
    const char *name = call->arguments.operands[0];
    struct kv_buffer key = {0}, path = {0};
    struct kv_ctl_answer answer = {0};
    struct kv_error error;
    int code = KV_CTL_USAGE;
    if (kv_ctl_given_key(call, name, &key, &error) != 0) {
        kv_ctl_say("%s", error.text);
    } else {
        kv_ctl_append_key_path(&path, kv_buffer_slice(&key));
        struct kv_ctl_request request = {.method = "HEAD", .path = kv_buffer_slice(&path)};
        code = kv_ctl_ask(call, &request, name, 0, &answer);
        if (code == KV_CTL_DONE && answer.status == NO_CONTENT)
            code = kv_ctl_fail(KV_CTL_MISSING, "%s: no value", name);
        else if (code == KV_CTL_DONE)
            put(call, kv_buffer_slice(&key), answer.ttl_ms);
    }
    kv_ctl_answer_fini(&answer);
    kv_buffer_fini(&path);
    kv_buffer_fini(&key);
    return code;
}
