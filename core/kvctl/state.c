#include "kvctl/state.h"

#include "kvctl/output.h"
#include "wire/json.h"
#include "wire/json_string.h"

void kv_ctl_put_state(const struct kv_ctl_call *call, const struct kv_ctl_state *state)
{
    kv_ctl_put(KV_SLICE("{\"key\":"));
    kv_ctl_put_json_string(state->key);
    if (state->value.bytes != NULL) {
        kv_ctl_put(KV_SLICE(",\"value\":"));
        if (call->format == KV_CTL_JSONL)
            kv_ctl_put_json_line(state->value);
        else
            kv_ctl_put(state->value);
    }
    if (state->revision != 0)
        kv_ctl_putf(",\"revision\":%ju", (uintmax_t)state->revision);
    if (state->ttl_ms >= 0)
        kv_ctl_putf(",\"ttl\":%jd", (intmax_t)state->ttl_ms);
    kv_ctl_put(KV_SLICE("}"));
}

static int put_raw(struct kv_slice value)
{
    struct kv_buffer text = {0};
    if (kv_json_type_of(value) != KV_JSON_STRING) {
        kv_ctl_put(value);
        return 0;
    }
    int result = kv_json_unescape(value, &text);
    kv_ctl_put(kv_buffer_slice(&text));
    kv_buffer_fini(&text);
    return result == 0 ? 0 : -1;
}

int kv_ctl_put_value(const struct kv_ctl_call *call, struct kv_slice value)
{
    if (call->format == KV_CTL_RAW)
        return put_raw(value);
    kv_ctl_put_json_text(value);
    kv_ctl_put(KV_SLICE("\n"));
    return 0;
}

void kv_ctl_list_begin(const struct kv_ctl_call *call)
{
    if (call->format == KV_CTL_JSON)
        kv_ctl_put(KV_SLICE("["));
}

void kv_ctl_list_next(const struct kv_ctl_call *call, struct kv_ctl_list *list)
{
    if (list->n++ != 0)
        kv_ctl_put(call->format == KV_CTL_JSON ? KV_SLICE(",\n ") : KV_SLICE("\n"));
}

void kv_ctl_list_end(const struct kv_ctl_call *call, const struct kv_ctl_list *list)
{
    if (call->format == KV_CTL_JSON)
        kv_ctl_put(KV_SLICE("]\n"));
    else if (list->n != 0)
        kv_ctl_put(KV_SLICE("\n"));
}
