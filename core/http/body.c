/* One pass over the text; members that nobody asks for are checked and skipped. */
#include "http/body.h"

#include "wire/json.h"
#include "wire/ttl.h"

int kv_http_body_read(struct kv_slice text, uint32_t max_depth, struct kv_http_body *ret_body,
                      struct kv_error *reterr)
{
    struct kv_json_field fields[] = {{.name = KV_SLICE("value")}, {.name = KV_SLICE("ttl")}};
    struct kv_json_error bad;
    if (kv_json_read_object(text, max_depth + 1, fields, 2, &bad) != 0)
        return kv_json_error_tell(&bad, reterr);
    *ret_body = (struct kv_http_body){.value = fields[0].value,
                                      .ttl_is_given = fields[1].value.bytes != NULL};
    if (ret_body->value.bytes == NULL)
        return kv_error_set(reterr, "the body has no member \"value\"");
    return ret_body->ttl_is_given ? kv_ttl_parse(fields[1].value, &ret_body->ttl_ms, reterr) : 0;
}

void kv_http_body_apply(const struct kv_http_body *body, struct kv_command *command)
{
    command->value = body->value;
    command->ttl_is_given = body->ttl_is_given;
    command->ttl_ms = body->ttl_ms;
}
