/* One pass of the scanner picks the members; the kind of line follows from the members that it
 * has. */
#include "wire/backup_line.h"

#include "wire/integer.h"
#include "wire/json.h"
#include "wire/json_string.h"

enum {
    KEY,
    VALUE,
    DEADLINE,
    REVISION,
    DELETED,
    TOUCHED,
    BACKUP,
    N_MEMBERS,
    END_REVISION = N_MEMBERS, /* within `backup` */
    END_EPOCH,
    END_LINES,
    END_SUM,
    N_FIELDS
};

static const struct kv_json_field fields[N_FIELDS] = {
    [KEY] = {.name = {"key", 3}},
    [VALUE] = {.name = {"value", 5}},
    [DEADLINE] = {.name = {"deadline", 8}},
    [REVISION] = {.name = {"revision", 8}},
    [DELETED] = {.name = {"deleted", 7}},
    [TOUCHED] = {.name = {"touched", 7}},
    [BACKUP] = {.name = {"backup", 6}, .members_ahead = END_REVISION - BACKUP, .n_members = 4},
    [END_REVISION] = {.name = {"revision", 8}},
    [END_EPOCH] = {.name = {"epoch", 5}},
    [END_LINES] = {.name = {"lines", 5}},
    [END_SUM] = {.name = {"sum", 3}},
};

/* ---- reading ---- */

static int read_number(const struct kv_slice *members, int field, uint64_t *ret,
                       struct kv_error *reterr)
{
    int64_t number;
    if (members[field].bytes == NULL || !kv_integer_read(members[field], &number) || number < 0)
        return kv_error_set(reterr, "\"%s\" is not a whole number", fields[field].name.bytes);
    *ret = (uint64_t)number;
    return 0;
}

static int read_string(const struct kv_slice *members, int field, struct kv_slice *ret,
                       struct kv_error *reterr)
{
    if (kv_json_type_of(members[field]) != KV_JSON_STRING || kv_json_has_escapes(members[field]))
        return kv_error_set(reterr, "\"%s\" is not a plain string", fields[field].name.bytes);
    *ret = kv_json_inside(members[field]);
    return 0;
}

static int read_end(const struct kv_slice *members, struct kv_backup_line *line,
                    struct kv_error *reterr)
{
    struct kv_backup_end *end = &line->end;
    line->kind = KV_BACKUP_END;
    if (kv_json_type_of(members[BACKUP]) != KV_JSON_OBJECT)
        return kv_error_set(reterr, "\"backup\" is not an object");
    if (read_number(members, END_REVISION, &end->revision, reterr) != 0 ||
        read_string(members, END_EPOCH, &end->epoch, reterr) != 0 ||
        read_number(members, END_LINES, &end->n_lines, reterr) != 0 ||
        read_string(members, END_SUM, &end->sum, reterr) != 0)
        return -1;
    if (end->sum.len != KV_BACKUP_SUM)
        return kv_error_set(reterr, "\"sum\" has not %d characters", KV_BACKUP_SUM);
    return 0;
}

static int read_key(struct kv_slice key, size_t max_bytes, struct kv_buffer *scratch,
                    struct kv_slice *ret, struct kv_error *reterr)
{
    if (kv_json_type_of(key) != KV_JSON_STRING)
        return kv_error_set(reterr, "\"key\" is not a string");
    *ret = kv_json_inside(key);
    if (kv_json_has_escapes(key)) {
        if (kv_json_unescape(key, scratch) != 0)
            return kv_error_set(reterr, "\"key\" cannot be read");
        *ret = kv_buffer_slice(scratch);
    }
    if (ret->len > max_bytes)
        return kv_error_set(reterr, "the key has %zu bytes, the limit is %zu", ret->len, max_bytes);
    return 0;
}

static int read_kind(const struct kv_slice *members, enum kv_backup_line_kind *ret,
                     struct kv_error *reterr)
{
    bool is_state = members[VALUE].bytes != NULL;
    bool is_gone = kv_json_type_of(members[DELETED]) == KV_JSON_TRUE;
    bool is_touch = kv_json_type_of(members[TOUCHED]) == KV_JSON_TRUE;
    if (is_state + is_gone + is_touch != 1)
        return kv_error_set(reterr, "it has not one of \"value\", \"deleted\" and \"touched\"");
    *ret = is_state ? KV_BACKUP_STATE : is_gone ? KV_BACKUP_GONE : KV_BACKUP_TOUCH;
    return 0;
}

static int read_members(const struct kv_slice *members, const struct kv_line_limits *limits,
                        struct kv_buffer *scratch, struct kv_backup_line *line,
                        struct kv_error *reterr)
{
    uint64_t deadline_ms = 0;
    if (read_key(members[KEY], limits->max_key_bytes, scratch, &line->key, reterr) != 0 ||
        read_kind(members, &line->kind, reterr) != 0 ||
        read_number(members, REVISION, &line->revision, reterr) != 0)
        return -1;
    if (members[DEADLINE].bytes != NULL &&
        read_number(members, DEADLINE, &deadline_ms, reterr) != 0)
        return -1;
    if (members[VALUE].len > limits->max_value_bytes)
        return kv_error_set(reterr, "the value has %zu bytes, the limit is %zu", members[VALUE].len,
                            limits->max_value_bytes);
    line->value = members[VALUE];
    line->deadline_unix_ms = (int64_t)deadline_ms;
    return 0;
}

int kv_backup_line_parse(struct kv_slice text, const struct kv_line_limits *limits,
                         struct kv_buffer *scratch, struct kv_backup_line *ret,
                         struct kv_error *reterr)
{
    struct kv_slice members[N_FIELDS] = {0};
    struct kv_json_error error;
    struct kv_backup_line line = {0};
    scratch->len = 0;
    if (kv_json_read_object(text, limits->max_depth + 2, fields, N_MEMBERS, members, &error) != 0)
        return error.what == KV_JSON_NOT_OBJECT ? kv_error_set(reterr, "the line is not an object")
                                                : kv_json_error_tell(&error, reterr);
    int result = members[BACKUP].bytes != NULL
                     ? read_end(members, &line, reterr)
                     : read_members(members, limits, scratch, &line, reterr);
    if (result == 0)
        *ret = line;
    return result;
}

bool kv_backup_line_is_sure(struct kv_slice text)
{
    struct kv_slice members[N_FIELDS] = {0};
    struct kv_json_error error;
    return kv_json_read_object(text, KV_JSON_MAX_DEPTH, fields, N_MEMBERS, members, &error) == 0 &&
           (members[DEADLINE].bytes != NULL || members[DELETED].bytes != NULL ||
            members[TOUCHED].bytes != NULL || members[BACKUP].bytes != NULL);
}

bool kv_backup_line_is_last(struct kv_slice text)
{
    static const struct kv_json_field lasts[] = {
        {.name = {"key", 3}}, {.name = {"backup", 6}}, {.name = {"error", 5}}};
    struct kv_slice members[3] = {0};
    struct kv_json_error error;
    return kv_json_read_object(text, KV_JSON_MAX_DEPTH, lasts, 3, members, &error) == 0 &&
           members[0].bytes == NULL && (members[1].bytes != NULL || members[2].bytes != NULL);
}

/* ---- writing ---- */

static void append_number(struct kv_buffer *out, struct kv_slice name, uint64_t number)
{
    kv_buffer_append(out, name);
    kv_buffer_append_u64(out, number);
}

void kv_backup_line_append_back(struct kv_buffer *out, int64_t deadline_unix_ms, uint64_t revision)
{
    if (deadline_unix_ms != 0)
        append_number(out, KV_SLICE(",\"deadline\":"), (uint64_t)deadline_unix_ms);
    append_number(out, KV_SLICE(",\"revision\":"), revision);
    kv_buffer_append(out, KV_SLICE("}\n"));
}

static void append_key(struct kv_buffer *out, struct kv_slice key)
{
    kv_buffer_append(out, KV_SLICE("{\"key\":"));
    kv_json_append_string(out, key);
}

void kv_backup_line_append_gone(struct kv_buffer *out, struct kv_slice key, uint64_t revision)
{
    append_key(out, key);
    kv_buffer_append(out, KV_SLICE(",\"deleted\":true"));
    kv_backup_line_append_back(out, 0, revision);
}

void kv_backup_line_append_touch(struct kv_buffer *out, struct kv_slice key,
                                 int64_t deadline_unix_ms, uint64_t revision)
{
    append_key(out, key);
    kv_buffer_append(out, KV_SLICE(",\"touched\":true"));
    kv_backup_line_append_back(out, deadline_unix_ms, revision);
}

void kv_backup_line_append_end(struct kv_buffer *out, const struct kv_backup_end *end)
{
    append_number(out, KV_SLICE("{\"backup\":{\"revision\":"), end->revision);
    kv_buffer_append(out, KV_SLICE(",\"epoch\":\""));
    kv_buffer_append(out, end->epoch);
    append_number(out, KV_SLICE("\",\"lines\":"), end->n_lines);
    kv_buffer_append(out, KV_SLICE(",\"sum\":\""));
    kv_buffer_append(out, end->sum);
    kv_buffer_append(out, KV_SLICE("\"}}\n"));
}
