/*
 * One pass of the scanner picks every member that any type knows; then the id is judged, so that
 * whatever is wrong after it can be answered under it, then the type, then what the type needs.
 */
#include "wire/message.h"

#include <kvserver/store.h>

#include "wire/decimal.h"
#include "wire/json.h"
#include "wire/json_string.h"
#include "wire/quote.h"
#include "wire/ttl.h"

#define SHAPE "the message is {\"type\": \xe2\x80\xa6, \"payload\": \xe2\x80\xa6}"

/* The places in the arrays of fields. */
enum {
    TYPE,
    ID,
    PAYLOAD,
    N_MEMBERS
};
enum {
    KEY,
    VALUE,
    TTL,
    IF_REVISION,
    IF_ABSENT,
    N_PAYLOAD
};

static const struct kv_slice member_names[N_MEMBERS] = {
    [TYPE] = {"type", 4},
    [ID] = {"id", 2},
    [PAYLOAD] = {"payload", 7},
};
static const struct kv_slice payload_names[N_PAYLOAD] = {
    [KEY] = {"key", 3},
    [VALUE] = {"value", 5},
    [TTL] = {"ttl", 3},
    [IF_REVISION] = {"if_revision", 11},
    [IF_ABSENT] = {"if_absent", 9},
};

enum {
    LONGEST_ESCAPE = 6 /* `\\u0041` stands for one byte */
};

static const struct kv_slice type_names[] = {
    [KV_MESSAGE_GET] = {"get", 3},
    [KV_MESSAGE_SET] = {"set", 3},
    [KV_MESSAGE_DELETE] = {"delete", 6},
    [KV_MESSAGE_SUBSCRIBE] = {"subscribe", 9},
    [KV_MESSAGE_UNSUBSCRIBE] = {"unsubscribe", 11},
};

/* An id that is too long is no id: the error that says so does not bear it. */
static int read_id(struct kv_slice id, size_t max_bytes, struct kv_message *message,
                   struct kv_error *reterr)
{
    switch (kv_json_type_of(id)) {
    case KV_JSON_NONE:
        return 0;
    case KV_JSON_STRING:
    case KV_JSON_NUMBER:
        if (id.len > max_bytes)
            return kv_error_set(reterr, "\"id\" has %zu bytes, the limit is %zu", id.len,
                                max_bytes);
        message->id = id;
        return 0;
    default:
        return kv_error_set(reterr, "\"id\" must be a string or a number");
    }
}

static int read_type(struct kv_slice type, struct kv_message *message, struct kv_error *reterr)
{
    if (type.bytes == NULL)
        return kv_error_set(reterr, "\"type\" is missing");
    if (kv_json_type_of(type) != KV_JSON_STRING)
        return kv_error_set(reterr, "\"type\" is not a string");
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (kv_json_string_equals(type, type_names[i])) {
            message->type = (enum kv_message_type)i;
            return 0;
        }
    }
    return kv_error_set(reterr, "unknown type %s", kv_quote(type).text);
}

static int decode_key(struct kv_slice key, size_t max_bytes, struct kv_buffer *scratch,
                      struct kv_message *message, struct kv_error *reterr)
{
    if (key.len / LONGEST_ESCAPE > max_bytes) /* whatever it says, it is too long */
        return kv_error_set(reterr, "payload: \"key\" has more than %zu bytes, the limit",
                            max_bytes);
    switch (kv_json_unescape(key, scratch)) {
    case 0:
        message->key = kv_buffer_slice(scratch);
        return 0;
    case KV_JSON_NO_MEMORY:
        return kv_error_set(reterr, "there is no memory to read the key");
    default:
        return kv_error_set(reterr, "payload: \"key\" has a lone surrogate");
    }
}

static int read_key(struct kv_slice key, size_t max_bytes, struct kv_buffer *scratch,
                    struct kv_message *message, struct kv_error *reterr)
{
    if (key.bytes == NULL)
        return kv_error_set(reterr, "payload: \"key\" is missing");
    if (kv_json_type_of(key) != KV_JSON_STRING)
        return kv_error_set(reterr, "payload: \"key\" is not a string");
    message->key = kv_json_inside(key);
    return kv_json_has_escapes(key) ? decode_key(key, max_bytes, scratch, message, reterr) : 0;
}

static int read_if_revision(struct kv_slice value, struct kv_message *message,
                            struct kv_error *reterr)
{
    if (value.bytes == NULL)
        return 0;
    if (kv_json_type_of(value) != KV_JSON_NUMBER)
        return kv_error_set(reterr, "payload: \"if_revision\" is not a number");
    struct kv_decimal decimal = kv_decimal_read(value);
    if (decimal.is_negative || !decimal.is_whole || decimal.rounded == 0 ||
        decimal.rounded > KV_REVISION_MAX)
        return kv_error_set(reterr, "payload: \"if_revision\" is no revision: %s",
                            kv_quote(value).text);
    message->if_revision = decimal.rounded;
    return 0;
}

static int read_if_absent(struct kv_slice value, struct kv_message *message,
                          struct kv_error *reterr)
{
    enum kv_json_type type = kv_json_type_of(value);
    if (type != KV_JSON_NONE && type != KV_JSON_TRUE && type != KV_JSON_FALSE)
        return kv_error_set(reterr, "payload: \"if_absent\" is neither true nor false");
    message->if_absent = type == KV_JSON_TRUE;
    return 0;
}

static int read_ttl(struct kv_slice value, struct kv_message *message, struct kv_error *reterr)
{
    message->has_ttl = value.bytes != NULL;
    return message->has_ttl ? kv_ttl_parse(value, &message->ttl_ms, reterr) : 0;
}

static int read_set(const struct kv_json_field payload[N_PAYLOAD], struct kv_message *message,
                    struct kv_error *reterr)
{
    message->value = payload[VALUE].value;
    if (message->value.bytes == NULL)
        return kv_error_set(reterr, "payload: \"value\" is missing");
    if (read_ttl(payload[TTL].value, message, reterr) != 0 ||
        read_if_absent(payload[IF_ABSENT].value, message, reterr) != 0)
        return -1;
    return read_if_revision(payload[IF_REVISION].value, message, reterr);
}

static int read_payload(const struct kv_json_field *field, const struct kv_message_limits *limits,
                        struct kv_buffer *scratch, struct kv_message *message,
                        struct kv_error *reterr)
{
    const struct kv_json_field *payload = field->members;
    if (field->value.bytes == NULL)
        return kv_error_set(reterr, "\"payload\" is missing");
    if (kv_json_type_of(field->value) != KV_JSON_OBJECT)
        return kv_error_set(reterr, "\"payload\" must be an object, not %s",
                            kv_json_type_name(kv_json_type_of(field->value)));
    if (read_key(payload[KEY].value, limits->max_key_bytes, scratch, message, reterr) != 0)
        return -1;
    switch (message->type) {
    case KV_MESSAGE_SET:
        return read_set(payload, message, reterr);
    case KV_MESSAGE_DELETE:
        return read_if_revision(payload[IF_REVISION].value, message, reterr);
    case KV_MESSAGE_GET:
    case KV_MESSAGE_SUBSCRIBE:
    case KV_MESSAGE_UNSUBSCRIBE:
        break;
    }
    return 0;
}

static int tell(struct kv_slice text, const struct kv_json_error *error, struct kv_error *reterr)
{
    if (error->what != KV_JSON_NOT_OBJECT)
        return kv_json_error_tell(error, reterr);
    struct kv_slice value = {text.bytes + error->offset, text.len - error->offset};
    return kv_error_set(reterr, SHAPE ", not %s", kv_json_type_name(kv_json_type_of(value)));
}

/* One by one: clearing both arrays at once, as an initialiser does, took a fifth of the time of
 * reading a message (`rep stos` is slow to start). */
static void blank_fields(struct kv_json_field *fields, const struct kv_slice *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fields[i] = (struct kv_json_field){.name = names[i]};
}

int kv_message_parse(struct kv_slice text, const struct kv_message_limits *limits,
                     struct kv_buffer *scratch, struct kv_message *ret, struct kv_error *reterr)
{
    struct kv_json_field payload[N_PAYLOAD], members[N_MEMBERS];
    struct kv_json_error error;
    *ret = (struct kv_message){0};
    scratch->len = 0;
    blank_fields(payload, payload_names, N_PAYLOAD);
    blank_fields(members, member_names, N_MEMBERS);
    members[PAYLOAD].members = payload;
    members[PAYLOAD].n_members = N_PAYLOAD;
    if (kv_json_read_object(text, limits->max_depth, members, N_MEMBERS, &error) != 0) {
        read_id(members[ID].value, limits->max_key_bytes, ret,
                NULL); /* where it stands before the fault */
        return tell(text, &error, reterr);
    }
    if (read_id(members[ID].value, limits->max_key_bytes, ret, reterr) != 0 ||
        read_type(members[TYPE].value, ret, reterr) != 0)
        return -1;
    return read_payload(&members[PAYLOAD], limits, scratch, ret, reterr);
}
