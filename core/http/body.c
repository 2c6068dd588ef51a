/* One pass over the text; unknown members are checked and skipped. */
#include "http/body.h"

#include "wire/json.h"
#include "wire/ttl.h"

#define SHAPE "the body is {\"value\": \xe2\x80\xa6, \"ttl\"?: \xe2\x80\xa6}"

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool begins_an_object(struct kv_slice text)
{
    size_t at = 0;
    while (at < text.len && is_space(text.bytes[at]))
        at++;
    return at < text.len && text.bytes[at] == '{';
}

/* Where the text is not even the beginning of an object, the shape says more than the fault. */
static int refuse(struct kv_slice text, const struct kv_json_error *bad, struct kv_error *reterr)
{
    struct kv_error fault;
    kv_json_error_tell(bad, &fault);
    if (begins_an_object(text))
        return kv_error_set(reterr, "%s", fault.text);
    if (text.len == 0)
        return kv_error_set(reterr, SHAPE ", not empty");
    if (bad->what != KV_JSON_NOT_OBJECT)
        return kv_error_set(reterr, SHAPE "; %s", fault.text);
    struct kv_slice value = {text.bytes + bad->offset, text.len - bad->offset};
    return kv_error_set(reterr, SHAPE ", not %s", kv_json_type_name(kv_json_type_of(value)));
}

int kv_http_body_read(struct kv_slice text, uint32_t max_depth, struct kv_http_body *ret_body,
                      struct kv_error *reterr)
{
    struct kv_json_field fields[] = {{.name = KV_SLICE("value")}, {.name = KV_SLICE("ttl")}};
    struct kv_json_error bad;
    if (kv_json_read_object(text, max_depth + 1, fields, 2, &bad) != 0)
        return refuse(text, &bad, reterr);
    *ret_body = (struct kv_http_body){.value = fields[0].value,
                                      .ttl_is_given = fields[1].value.bytes != NULL};
    if (ret_body->value.bytes == NULL)
        return kv_error_set(reterr, SHAPE "; \"value\" is missing");
    return ret_body->ttl_is_given ? kv_ttl_parse(fields[1].value, &ret_body->ttl_ms, reterr) : 0;
}

void kv_http_body_apply(const struct kv_http_body *body, struct kv_command *command)
{
    command->value = body->value;
    command->ttl_is_given = body->ttl_is_given;
    command->ttl_ms = body->ttl_ms;
}
