/* One pass over the text; unknown members are checked and skipped. */
#include "http/body.h"

#include "protocol/edit.h"
#include "wire/integer.h"
#include "wire/json.h"
#include "wire/quote.h"
#include "wire/ttl.h"

#define SHAPE "the body must be {\"value\": \xe2\x80\xa6, \"ttl\"?: \xe2\x80\xa6}"
#define PATCH_SHAPE                                                                                \
    "the body must be {\"ttl\": \xe2\x80\xa6} or {\"increment\": \xe2\x80\xa6, \"ttl\"?: "         \
    "\xe2\x80\xa6}"
#define PATCH_HINT                                                                                 \
    "; to merge it into the value, send it as Content-Type: application/merge-patch+json"

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

/* If the text is not even the beginning of an object, describing the expected shape helps more than
 * the fault. hint: an alternative that may have been meant. */
static int refuse(const char *shape, const char *hint, struct kv_slice text,
                  const struct kv_json_error *bad, struct kv_error *reterr)
{
    struct kv_error fault;
    kv_json_error_tell(bad, &fault);
    if (begins_an_object(text))
        return kv_error_set(reterr, "%s", fault.text);
    if (text.len == 0)
        return kv_error_set(reterr, "%s, not empty", shape);
    if (bad->what != KV_JSON_NOT_OBJECT)
        return kv_error_set(reterr, "%s; %s", shape, fault.text);
    struct kv_slice value = {text.bytes + bad->offset, text.len - bad->offset};
    return kv_error_set(reterr, "%s, not %s%s", shape, kv_json_type_name(kv_json_type_of(value)),
                        hint);
}

static int read_ttl(struct kv_slice value, struct kv_http_body *body, struct kv_error *reterr)
{
    body->ttl_is_given = value.bytes != NULL;
    return body->ttl_is_given ? kv_ttl_parse(value, &body->ttl_ms, reterr) : 0;
}

static int read_write(struct kv_slice text, uint32_t max_depth, struct kv_http_body *body,
                      struct kv_error *reterr)
{
    static const struct kv_json_field fields[] = {{.name = {"value", 5}}, {.name = {"ttl", 3}}};
    struct kv_slice values[2] = {0};
    struct kv_json_error bad;
    if (kv_json_read_object(text, max_depth + 1, fields, 2, values, &bad) != 0)
        return refuse(SHAPE, "", text, &bad, reterr);
    body->value = values[0];
    if (body->value.bytes == NULL)
        return kv_error_set(reterr, SHAPE "; \"value\" is missing");
    return read_ttl(values[1], body, reterr);
}

static int read_increment(struct kv_slice value, struct kv_http_body *body, struct kv_error *reterr)
{
    body->increments = value.bytes != NULL;
    if (!body->increments || kv_integer_read(value, &body->by))
        return 0;
    return kv_error_set(reterr,
                        "\"increment\" must be an integer between -2^63+1 and 2^63-1, not %s",
                        kv_quote(value).text);
}

static int read_patch(struct kv_slice text, uint32_t max_depth, struct kv_http_body *body,
                      struct kv_error *reterr)
{
    static const struct kv_json_field fields[] = {{.name = {"increment", 9}}, {.name = {"ttl", 3}}};
    struct kv_slice values[2] = {0};
    struct kv_json_error bad;
    if (kv_json_read_object(text, max_depth + 1, fields, 2, values, &bad) != 0)
        return refuse(PATCH_SHAPE, PATCH_HINT, text, &bad, reterr);
    if (read_increment(values[0], body, reterr) != 0 || read_ttl(values[1], body, reterr) != 0)
        return -1;
    return body->increments || body->ttl_is_given ? 0
                                                  : kv_error_set(reterr, PATCH_SHAPE PATCH_HINT);
}

static int read_merge_patch(struct kv_slice text, uint32_t max_depth, struct kv_http_body *body,
                            struct kv_error *reterr)
{
    struct kv_json_error bad;
    if (kv_json_check(text, max_depth, &body->value, &bad) != 0)
        return kv_json_error_tell(&bad, reterr);
    return 0;
}

int kv_http_body_read(enum kv_body_form form, struct kv_slice text, uint32_t max_depth,
                      struct kv_http_body *ret_body, struct kv_error *reterr)
{
    *ret_body = (struct kv_http_body){.form = form};
    switch (form) {
    case KV_BODY_WRITE:
        return read_write(text, max_depth, ret_body, reterr);
    case KV_BODY_PATCH:
        return read_patch(text, max_depth, ret_body, reterr);
    default:
        return read_merge_patch(text, max_depth, ret_body, reterr);
    }
}

struct kv_command *kv_http_body_command(const struct kv_http_body *body,
                                        struct kv_keyspace_loop *home, size_t max_bytes)
{
    bool is_write = body->form == KV_BODY_WRITE;
    struct kv_command *command =
        kv_command_create(home, is_write ? KV_COMMAND_SET : KV_COMMAND_UPDATE);
    command->ttl_is_given = body->ttl_is_given;
    command->ttl_ms = body->ttl_ms;
    if (is_write)
        command->value = body->value;
    else if (body->form == KV_BODY_MERGE_PATCH)
        kv_edit_merge(command, body->value, max_bytes);
    else if (body->increments)
        kv_edit_increment(command, body->by);
    return command;
}
