/* One pass of the scanner picks the members; then each is checked. */
#include "wire/line.h"

#include "wire/json.h"
#include "wire/json_string.h"
#include "wire/ttl.h"

enum {
    KEY,
    VALUE,
    TTL,
    DEADLINE, /* this and the following: only in the lines of a backup */
    DELETED,
    TOUCHED,
    BACKUP,
    N_MEMBERS
};

enum {
    LONGEST_ESCAPE = 6, /* `\u0001` stands for one byte */
    OTHER_BYTES = 1024  /* ample for the names, a TTL and a revision */
};

static int decode_key(struct kv_slice key, struct kv_buffer *scratch, struct kv_line *line,
                      struct kv_error *reterr)
{
    switch (kv_json_unescape(key, scratch)) {
    case 0:
        line->key = kv_buffer_slice(scratch);
        return 0;
    case KV_JSON_NO_MEMORY:
        return kv_error_set(reterr, "there is no memory to read the key");
    default:
        return kv_error_set(reterr, "\"key\" has a lone surrogate");
    }
}

static int read_key(struct kv_slice key, size_t max_bytes, struct kv_buffer *scratch,
                    struct kv_line *line, struct kv_error *reterr)
{
    if (key.bytes == NULL)
        return kv_error_set(reterr, "\"key\" is missing");
    if (kv_json_type_of(key) != KV_JSON_STRING)
        return kv_error_set(reterr, "\"key\" is not a string");
    line->key = kv_json_inside(key);
    if (kv_json_has_escapes(key) && decode_key(key, scratch, line, reterr) != 0)
        return -1;
    if (line->key.len > max_bytes)
        return kv_error_set(reterr, "the key has %zu bytes, the limit is %zu", line->key.len,
                            max_bytes);
    return 0;
}

static int read_value(struct kv_slice value, size_t max_bytes, struct kv_line *line,
                      struct kv_error *reterr)
{
    if (value.bytes == NULL)
        return kv_error_set(reterr, "\"value\" is missing");
    if (value.len > max_bytes)
        return kv_error_set(reterr, "the value has %zu bytes, the limit is %zu", value.len,
                            max_bytes);
    line->value = value;
    return 0;
}

static int tell(const struct kv_json_error *error, struct kv_error *reterr)
{
    if (error->what == KV_JSON_NOT_OBJECT)
        return kv_error_set(reterr, "the line is not an object");
    return kv_json_error_tell(error, reterr);
}

static const struct kv_json_field fields[N_MEMBERS] = {
    [KEY] = {.name = {"key", 3}},         [VALUE] = {.name = {"value", 5}},
    [TTL] = {.name = {"ttl", 3}},         [DEADLINE] = {.name = {"deadline", 8}},
    [DELETED] = {.name = {"deleted", 7}}, [TOUCHED] = {.name = {"touched", 7}},
    [BACKUP] = {.name = {"backup", 6}},
};

static bool is_of_backup(const struct kv_slice *members)
{
    for (int i = DEADLINE; i <= BACKUP; i++)
        if (members[i].bytes != NULL)
            return true;
    return false;
}

int kv_line_parse(struct kv_slice text, const struct kv_line_limits *limits,
                  struct kv_buffer *scratch, struct kv_line *ret, struct kv_error *reterr)
{
    struct kv_slice members[N_MEMBERS] = {0};
    struct kv_json_error error;
    struct kv_line line = {0};
    scratch->len = 0;
    if (kv_json_read_object(text, limits->max_depth + 1, fields, N_MEMBERS, members, &error) != 0)
        return tell(&error, reterr);
    if (is_of_backup(members)) {
        kv_error_set(reterr, "this is a backup, which is restored, not imported");
        return KV_LINE_OF_BACKUP;
    }
    if (read_key(members[KEY], limits->max_key_bytes, scratch, &line, reterr) != 0 ||
        read_value(members[VALUE], limits->max_value_bytes, &line, reterr) != 0)
        return -1;
    if (members[TTL].bytes != NULL && kv_ttl_parse(members[TTL], &line.ttl_ms, reterr) != 0)
        return -1;
    *ret = line;
    return 0;
}

bool kv_line_is_blank(struct kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.bytes[i] != ' ' && text.bytes[i] != '\t' && text.bytes[i] != '\r')
            return false;
    return true;
}

size_t kv_line_max_bytes(const struct kv_line_limits *limits)
{
    return limits->max_key_bytes * LONGEST_ESCAPE + limits->max_value_bytes + OTHER_BYTES;
}

void kv_line_append_front(struct kv_buffer *out, struct kv_slice key)
{
    kv_buffer_append(out, KV_SLICE("{\"key\":"));
    kv_json_append_string(out, key);
    kv_buffer_append(out, KV_SLICE(",\"value\":"));
}

void kv_line_append_back(struct kv_buffer *out, int64_t ttl_ms, uint64_t revision)
{
    if (ttl_ms != 0) {
        kv_buffer_append(out, KV_SLICE(",\"ttl\":"));
        kv_buffer_append_u64(out, (uint64_t)ttl_ms);
    }
    kv_buffer_append(out, KV_SLICE(",\"revision\":"));
    kv_buffer_append_u64(out, revision);
    kv_buffer_append(out, KV_SLICE("}\n"));
}

size_t kv_line_value_run(struct kv_slice value)
{
    size_t n = 0;
    while (n < value.len && value.bytes[n] != '\n' && value.bytes[n] != '\r')
        n++;
    return n;
}
