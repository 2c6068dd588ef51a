#include "kvctl/objects.h"

#include "kvctl/ask.h"
#include "kvctl/output.h"
#include "kvctl/state.h"
#include "wire/json.h"
#include "wire/json_string.h"

struct walk {
    struct kv_ctl_call *call;
    const struct kv_ctl_objects *objects;
    struct kv_buffer path, cursor;
    struct kv_ctl_answer answer;
    struct kv_ctl_table table;
    struct kv_ctl_list list;
};

static int put_object(struct walk *walk, struct kv_slice object)
{
    if (kv_json_type_of(object) != KV_JSON_OBJECT)
        return -1;
    if (walk->call->format == KV_CTL_TEXT)
        return kv_ctl_table_add(&walk->table, object);
    kv_ctl_list_next(walk->call, &walk->list);
    kv_ctl_put_json_line(object);
    return 0;
}

/* Returns: 0, or -1 if it is not an array. */
static int put_objects(struct walk *walk, struct kv_slice array)
{
    struct kv_json_error error;
    struct kv_slice object;
    size_t at = 0;
    int result;
    while ((result = kv_json_read_array(array, KV_JSON_MAX_DEPTH, &at, &object, &error)) == 1)
        if (put_object(walk, object) != 0)
            return -1;
    return result;
}

/* Returns: 0, or -1 if the answer is not a page. */
static int put_page(struct walk *walk)
{
    const struct kv_json_field fields[] = {{.name = walk->objects->name}, {.name = {"cursor", 6}}};
    struct kv_slice body = kv_buffer_slice(&walk->answer.body), members[2] = {0};
    struct kv_json_error error;
    walk->cursor.len = 0;
    if (kv_json_read_object(body, KV_JSON_MAX_DEPTH, fields, 2, members, &error) != 0 ||
        kv_json_type_of(members[0]) != KV_JSON_ARRAY)
        return -1;
    if (members[1].bytes != NULL && (kv_json_type_of(members[1]) != KV_JSON_STRING ||
                                     kv_json_unescape(members[1], &walk->cursor) != 0))
        return -1;
    if (walk->call->format != KV_CTL_RAW)
        return put_objects(walk, members[0]);
    kv_ctl_put(body);
    kv_ctl_put(KV_SLICE("\n"));
    return 0;
}

static int take_page(struct walk *walk)
{
    walk->path.len = 0;
    kv_buffer_append(&walk->path, kv_slice_of(walk->objects->path));
    if (walk->cursor.len != 0) {
        kv_buffer_append(&walk->path, KV_SLICE("&cursor="));
        kv_ctl_append_escaped(&walk->path, kv_buffer_slice(&walk->cursor));
    }
    struct kv_ctl_request request = {.method = "GET", .path = kv_buffer_slice(&walk->path)};
    const char *subject = walk->call->verb->name;
    int code = kv_ctl_ask(walk->call, &request, subject, 0, &walk->answer);
    walk->cursor.len = code == KV_CTL_DONE ? walk->cursor.len : 0;
    if (code == KV_CTL_DONE && put_page(walk) != 0) {
        walk->cursor.len = 0;
        code = kv_ctl_tell_strange(walk->call, subject);
    }
    return code;
}

int kv_ctl_objects_run(struct kv_ctl_call *call, const struct kv_ctl_objects *objects)
{
    struct walk walk = {.call = call,
                        .objects = objects,
                        .table = {.columns = objects->columns, .n_columns = objects->n_columns}};
    bool is_json = call->format == KV_CTL_JSON || call->format == KV_CTL_JSONL;
    int code;
    if (is_json)
        kv_ctl_list_begin(call);
    do {
        code = take_page(&walk);
    } while (walk.cursor.len != 0);
    if (is_json)
        kv_ctl_list_end(call, &walk.list);
    if (call->format == KV_CTL_TEXT && (code == KV_CTL_DONE || walk.table.text.len != 0))
        kv_ctl_table_put(&walk.table);
    kv_ctl_table_fini(&walk.table);
    kv_ctl_answer_fini(&walk.answer);
    kv_buffer_fini(&walk.cursor);
    kv_buffer_fini(&walk.path);
    return code;
}
