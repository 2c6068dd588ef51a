/*
 * One pass of the scanner picks the members of all types. The id is checked first, so that errors
 * in other members can be answered with it, then the type, then the members that the type needs.
 */
#include "wire/message.h"

#include <kvserver/store.h>

#include "wire/decimal.h"
#include "wire/integer.h"
#include "wire/json.h"
#include "wire/json_string.h"
#include "wire/quote.h"
#include "wire/ttl.h"

#define SHAPE "the message must be {\"type\": \xe2\x80\xa6, \"payload\": \xe2\x80\xa6}"

/* Indexes into the table of members, and their values. */
enum {
    TYPE,
    ID,
    PAYLOAD,
    /* Of the payload: */
    KEY,
    VALUE,
    TTL,
    IF_REVISION,
    IF_ABSENT,
    META,
    PREFIX,
    INITIAL,
    SINCE,
    EPOCH,
    BY,
    PATCH,
    WHILE_CONNECTED,
    TOKEN,
    N_FIELDS
};

static const struct kv_json_field fields[N_FIELDS] = {
    [TYPE] = {.name = {"type", 4}},
    [ID] = {.name = {"id", 2}},
    [PAYLOAD] = {.name = {"payload", 7},
                 .members_ahead = KEY - PAYLOAD,
                 .n_members = N_FIELDS - KEY},
    [KEY] = {.name = {"key", 3}},
    [VALUE] = {.name = {"value", 5}},
    [TTL] = {.name = {"ttl", 3}},
    [IF_REVISION] = {.name = {"if_revision", 11}},
    [IF_ABSENT] = {.name = {"if_absent", 9}},
    [META] = {.name = {"meta", 4}},
    [PREFIX] = {.name = {"prefix", 6}},
    [INITIAL] = {.name = {"initial", 7}},
    [SINCE] = {.name = {"since", 5}},
    [EPOCH] = {.name = {"epoch", 5}},
    [BY] = {.name = {"by", 2}},
    [PATCH] = {.name = {"patch", 5}},
    [WHILE_CONNECTED] = {.name = {"while_connected", 15}},
    [TOKEN] = {.name = {"token", 5}},
};

enum {
    LONGEST_ESCAPE = 6 /* `\\u0041` stands for one byte */
};

/* An id that is too long is dropped: the error that reports it does not carry it. */
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

/* name: of the member, for errors. */
static int decode_key(struct kv_slice name, struct kv_slice key, size_t max_bytes,
                      struct kv_buffer *scratch, struct kv_message *message,
                      struct kv_error *reterr)
{
    if (key.len / LONGEST_ESCAPE > max_bytes) /* even fully escaped it is too long */
        return kv_error_set(reterr, "payload: \"%s\" has more than %zu bytes, the limit",
                            name.bytes, max_bytes);
    switch (kv_json_unescape(key, scratch)) {
    case 0:
        message->key = kv_buffer_slice(scratch);
        return 0;
    case KV_JSON_NO_MEMORY:
        return kv_error_set(reterr, "there is no memory to read the %s", name.bytes);
    default:
        return kv_error_set(reterr, "payload: \"%s\" has a lone surrogate", name.bytes);
    }
}

/* field: KEY or PREFIX. */
static int read_key(const struct kv_slice *values, int field, size_t max_bytes,
                    struct kv_buffer *scratch, struct kv_message *message, struct kv_error *reterr)
{
    struct kv_slice name = fields[field].name, key = values[field];
    if (key.bytes == NULL)
        return kv_error_set(reterr, "payload: \"%s\" is missing", name.bytes);
    if (kv_json_type_of(key) != KV_JSON_STRING)
        return kv_error_set(reterr, "payload: \"%s\" is not a string", name.bytes);
    message->key = kv_json_inside(key);
    return kv_json_has_escapes(key) ? decode_key(name, key, max_bytes, scratch, message, reterr)
                                    : 0;
}

static int read_revision(const struct kv_slice *values, int field, uint64_t least, uint64_t *ret,
                         struct kv_error *reterr)
{
    struct kv_slice name = fields[field].name, value = values[field];
    if (kv_json_type_of(value) != KV_JSON_NUMBER)
        return kv_error_set(reterr, "payload: \"%s\" is not a number", name.bytes);
    struct kv_decimal decimal = kv_decimal_read(value);
    if (decimal.is_negative || !decimal.is_whole || decimal.rounded < least ||
        decimal.rounded > KV_REVISION_MAX)
        return kv_error_set(reterr, "payload: \"%s\" is no revision: %s", name.bytes,
                            kv_quote(value).text);
    *ret = decimal.rounded;
    return 0;
}

static int read_if_revision(const struct kv_slice *values, struct kv_message *message,
                            struct kv_error *reterr)
{
    if (values[IF_REVISION].bytes == NULL)
        return 0;
    return read_revision(values, IF_REVISION, 1, &message->if_revision, reterr);
}

static int read_bool(const struct kv_slice *values, int field, bool *ret, struct kv_error *reterr)
{
    enum kv_json_type type = kv_json_type_of(values[field]);
    if (type != KV_JSON_NONE && type != KV_JSON_TRUE && type != KV_JSON_FALSE)
        return kv_error_set(reterr, "payload: \"%s\" is neither true nor false",
                            fields[field].name.bytes);
    *ret = type == KV_JSON_TRUE;
    return 0;
}

static int read_ttl(const struct kv_slice *values, struct kv_message *message,
                    struct kv_error *reterr)
{
    struct kv_slice value = values[TTL];
    message->has_ttl = value.bytes != NULL;
    return message->has_ttl ? kv_ttl_parse(value, &message->ttl_ms, reterr) : 0;
}

static int read_while_connected(const struct kv_slice *values, struct kv_message *message,
                                struct kv_error *reterr)
{
    if (read_bool(values, WHILE_CONNECTED, &message->while_connected, reterr) != 0)
        return -1;
    if (message->while_connected && message->ttl_ms < KV_LEASE_LEAST_MS)
        return kv_error_set(reterr, "payload: \"while_connected\" needs a \"ttl\" of at least 5 s");
    return 0;
}

/* ---- members of each type, besides the key ---- */

static int read_get(const struct kv_slice *values, struct kv_message *message,
                    struct kv_error *reterr)
{
    return read_bool(values, META, &message->meta, reterr);
}

static int read_set(const struct kv_slice *values, struct kv_message *message,
                    struct kv_error *reterr)
{
    message->value = values[VALUE];
    if (message->value.bytes == NULL)
        return kv_error_set(reterr, "payload: \"value\" is missing");
    if (read_ttl(values, message, reterr) != 0 ||
        read_bool(values, IF_ABSENT, &message->if_absent, reterr) != 0 ||
        read_while_connected(values, message, reterr) != 0)
        return -1;
    return read_if_revision(values, message, reterr);
}

static int read_delete(const struct kv_slice *values, struct kv_message *message,
                       struct kv_error *reterr)
{
    return read_if_revision(values, message, reterr);
}

static int read_since(const struct kv_slice *values, struct kv_message *message,
                      struct kv_error *reterr)
{
    message->has_since = values[SINCE].bytes != NULL;
    if (!message->has_since)
        return 0;
    message->epoch = values[EPOCH];
    if (read_revision(values, SINCE, 0, &message->since, reterr) != 0)
        return -1;
    if (message->epoch.bytes == NULL)
        return kv_error_set(reterr, "payload: \"since\" needs the \"epoch\" of that revision");
    if (kv_json_type_of(message->epoch) != KV_JSON_STRING)
        return kv_error_set(reterr, "payload: \"epoch\" is not a string");
    return 0;
}

static int read_subscribe(const struct kv_slice *values, struct kv_message *message,
                          struct kv_error *reterr)
{
    if (read_bool(values, META, &message->meta, reterr) != 0 ||
        read_bool(values, INITIAL, &message->initial, reterr) != 0)
        return -1;
    return read_since(values, message, reterr);
}

static int read_touch(const struct kv_slice *values, struct kv_message *message,
                      struct kv_error *reterr)
{
    if (values[TTL].bytes == NULL)
        return kv_error_set(reterr, "payload: \"ttl\" is missing");
    return read_ttl(values, message, reterr);
}

static int read_increment(const struct kv_slice *values, struct kv_message *message,
                          struct kv_error *reterr)
{
    struct kv_slice by = values[BY];
    message->by = 1;
    if (by.bytes != NULL && !kv_integer_read(by, &message->by))
        return kv_error_set(reterr,
                            "payload: \"by\" must be an integer between -2^63+1 and 2^63-1, not %s",
                            kv_quote(by).text);
    return read_ttl(values, message, reterr);
}

static int read_merge(const struct kv_slice *values, struct kv_message *message,
                      struct kv_error *reterr)
{
    message->value = values[PATCH];
    if (message->value.bytes == NULL)
        return kv_error_set(reterr, "payload: \"patch\" is missing");
    return 0;
}

/* A token with escapes is invalid: no character of a token needs one. */
static int read_auth(const struct kv_slice *values, struct kv_message *message,
                     struct kv_error *reterr)
{
    struct kv_slice token = values[TOKEN];
    if (token.bytes == NULL)
        return kv_error_set(reterr, "payload: \"token\" is missing");
    if (kv_json_type_of(token) != KV_JSON_STRING)
        return kv_error_set(reterr, "payload: \"token\" is not a string");
    message->token = kv_json_inside(token);
    return 0;
}

static const struct {
    struct kv_slice name;
    bool has_payload;
    bool has_key;
    bool takes_prefix; /* `prefix` is allowed in place of the key */
    int (*read)(const struct kv_slice *values, struct kv_message *message,
                struct kv_error *reterr); /* NULL: no other members */
} types[] = {
    [KV_MESSAGE_GET] = {{"get", 3}, true, true, false, read_get},
    [KV_MESSAGE_SET] = {{"set", 3}, true, true, false, read_set},
    [KV_MESSAGE_DELETE] = {{"delete", 6}, true, true, false, read_delete},
    [KV_MESSAGE_SUBSCRIBE] = {{"subscribe", 9}, true, true, true, read_subscribe},
    [KV_MESSAGE_UNSUBSCRIBE] = {{"unsubscribe", 11}, true, true, true, NULL},
    [KV_MESSAGE_TOUCH] = {{"touch", 5}, true, true, false, read_touch},
    [KV_MESSAGE_INCREMENT] = {{"increment", 9}, true, true, false, read_increment},
    [KV_MESSAGE_MERGE] = {{"merge", 5}, true, true, false, read_merge},
    [KV_MESSAGE_HELLO] = {{"hello", 5}, false, false, false, NULL},
    [KV_MESSAGE_AUTH] = {{"auth", 4}, true, false, false, read_auth},
};

static int read_type(struct kv_slice type, struct kv_message *message, struct kv_error *reterr)
{
    if (type.bytes == NULL)
        return kv_error_set(reterr, "\"type\" is missing");
    if (kv_json_type_of(type) != KV_JSON_STRING)
        return kv_error_set(reterr, "\"type\" is not a string");
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (kv_json_string_equals(type, types[i].name)) {
            message->type = (enum kv_message_type)i;
            return 0;
        }
    }
    return kv_error_set(reterr, "unknown type %s", kv_quote(type).text);
}

static int read_key_or_prefix(const struct kv_slice *values, size_t max_bytes,
                              struct kv_buffer *scratch, struct kv_message *message,
                              struct kv_error *reterr)
{
    bool takes_prefix = types[message->type].takes_prefix;
    message->is_prefix = takes_prefix && values[PREFIX].bytes != NULL;
    if (takes_prefix && !message->is_prefix && values[KEY].bytes == NULL)
        return kv_error_set(reterr, "payload: \"key\" or \"prefix\" is missing");
    if (!message->is_prefix)
        return read_key(values, KEY, max_bytes, scratch, message, reterr);
    if (values[KEY].bytes != NULL)
        return kv_error_set(reterr, "payload: \"key\" and \"prefix\" exclude each other");
    return read_key(values, PREFIX, max_bytes, scratch, message, reterr);
}

static int read_payload(const struct kv_slice *values, const struct kv_message_limits *limits,
                        struct kv_buffer *scratch, struct kv_message *message,
                        struct kv_error *reterr)
{
    struct kv_slice payload = values[PAYLOAD];
    if (payload.bytes == NULL)
        return kv_error_set(reterr, "\"payload\" is missing");
    if (kv_json_type_of(payload) != KV_JSON_OBJECT)
        return kv_error_set(reterr, "\"payload\" must be an object, not %s",
                            kv_json_type_name(kv_json_type_of(payload)));
    if (types[message->type].has_key &&
        read_key_or_prefix(values, limits->max_key_bytes, scratch, message, reterr) != 0)
        return -1;
    return types[message->type].read == NULL ? 0
                                             : types[message->type].read(values, message, reterr);
}

static int tell(struct kv_slice text, const struct kv_json_error *error, struct kv_error *reterr)
{
    if (error->what != KV_JSON_NOT_OBJECT)
        return kv_json_error_tell(error, reterr);
    struct kv_slice value = {text.bytes + error->offset, text.len - error->offset};
    return kv_error_set(reterr, SHAPE ", not %s", kv_json_type_name(kv_json_type_of(value)));
}

/* An initialiser would be slow (`rep stos`), and of absent members only `bytes` is read. */
static void blank(struct kv_slice values[N_FIELDS])
{
    for (size_t i = 0; i < N_FIELDS; i++)
        values[i].bytes = NULL;
}

int kv_message_parse(struct kv_slice text, const struct kv_message_limits *limits,
                     struct kv_buffer *scratch, struct kv_message *ret, struct kv_error *reterr)
{
    struct kv_slice values[N_FIELDS];
    struct kv_json_error error;
    *ret = (struct kv_message){0};
    scratch->len = 0;
    blank(values);
    if (kv_json_read_object(text, limits->max_depth, fields, KEY, values, &error) != 0) {
        read_id(values[ID], limits->max_key_bytes, ret,
                NULL); /* in case it comes before the fault */
        return tell(text, &error, reterr);
    }
    if (read_id(values[ID], limits->max_key_bytes, ret, reterr) != 0 ||
        read_type(values[TYPE], ret, reterr) != 0)
        return -1;
    return types[ret->type].has_payload ? read_payload(values, limits, scratch, ret, reterr) : 0;
}
