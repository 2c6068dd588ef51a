#include "rows.h"

#include <endian.h>
#include <stdlib.h>

enum {
    ERASED = 0x80,
    REFERS = 0x40,
    ROW_HEAD = 9,
    REMOVAL_BYTES = 9,
    FIRST_CAPACITY = 4096,
    MOST_KEPT = 1 << 20 /* of memory kept once they are cleared */
};

void rows_clear(struct rows *rows)
{
    if (rows->capacity > MOST_KEPT)
        rows_fini(rows);
    rows->len = 0;
    rows->is_short = false;
}

void rows_fini(struct rows *rows)
{
    free(rows->bytes);
    *rows = (struct rows){0};
}

/* Returns: where to write `len` bytes; NULL if memory runs out. */
static char *reserve(struct rows *rows, size_t len)
{
    size_t needed = (rows->len == 0 ? ROWS_ROOM : rows->len) + len;
    if (needed > rows->capacity) {
        size_t capacity = rows->capacity == 0 ? FIRST_CAPACITY : 2 * rows->capacity;
        if (capacity < needed)
            capacity = needed;
        char *more = realloc(rows->bytes, capacity);
        rows->is_short |= more == NULL;
        if (more == NULL)
            return NULL;
        rows->bytes = more;
        rows->capacity = capacity;
    }
    char *at = rows->bytes + needed - len;
    rows->len = needed;
    return at;
}

static char *append(char *at, const void *bytes, size_t len)
{
    if (len != 0)
        memcpy(at, bytes, len);
    return at + len;
}

/* Returns: where the value is to be written; NULL if memory runs out. */
static char *begin_row(struct rows *rows, int table, struct kv_slice key, size_t value_len)
{
    uint32_t lens[2] = {htole32((uint32_t)key.len), htole32((uint32_t)value_len)};
    char *at = reserve(rows, ROW_HEAD + key.len + value_len);
    if (at == NULL)
        return NULL;
    *at = (char)table;
    return append(append(at + 1, lens, sizeof(lens)), key.bytes, key.len);
}

void rows_put(struct rows *rows, enum kv_engine_table table, struct kv_slice key,
              struct kv_slice value)
{
    char *at = begin_row(rows, (int)table, key, value.len);
    if (at != NULL)
        append(at, value.bytes, value.len);
}

static void erase(struct rows *rows, enum kv_engine_table table, struct kv_slice key)
{
    begin_row(rows, (int)table | ERASED, key, 0);
}

static void erase_record(struct rows *rows, struct kv_slice key, const struct removal *removal)
{
    if (removal == NULL) {
        erase(rows, KV_ENGINE_RECORDS, key);
        return;
    }
    uint64_t revision = htole64(removal->revision);
    char reason = (char)removal->reason;
    char *at = begin_row(rows, KV_ENGINE_RECORDS | ERASED, key, REMOVAL_BYTES);
    if (at != NULL)
        append(append(at, &revision, sizeof(revision)), &reason, 1);
}

bool row_read_removal(const struct row *row, struct removal *ret)
{
    uint64_t revision;
    if (row->table != KV_ENGINE_RECORDS || !row->is_erased || row->value.len != REMOVAL_BYTES)
        return false;
    memcpy(&revision, row->value.bytes, sizeof(revision));
    *ret = (struct removal){.revision = le64toh(revision),
                            .reason = (enum kv_reason)row->value.bytes[sizeof(revision)]};
    return true;
}

static void put_reference(struct rows *rows, const struct entry *entry, struct kv_slice head)
{
    size_t len = head.len + VALUE_REFERENCE_BYTES;
    char *at = begin_row(rows, KV_ENGINE_RECORDS | REFERS, entry_key(entry), len);
    if (at != NULL)
        value_reference_write(entry->file, append(at, head.bytes, head.len));
}

static void put_record(struct rows *rows, const struct entry *entry, struct record_clock clock)
{
    char head[RECORD_HEAD_MAX];
    size_t len = record_head(entry, clock, head);
    if (entry->file != NULL) {
        put_reference(rows, entry, (struct kv_slice){.bytes = head, .len = len});
        return;
    }
    char *at = begin_row(rows, KV_ENGINE_RECORDS, entry_key(entry), len + entry->value_len);
    if (at != NULL)
        append(append(at, head, len), entry_value(entry).bytes, entry->value_len);
}

void rows_change(struct rows *rows, struct former old, const struct entry *new,
                 struct record_clock clock, const struct removal *removal)
{
    bool was_there = old.revision != 0;
    if (was_there && old.deadline_ms != KV_NEVER) {
        struct deadline_row row = deadline_row(old.deadline_ms, old.revision, clock);
        erase(rows, KV_ENGINE_DEADLINES, deadline_row_slice(&row));
    }
    if (!entry_is_there(new)) {
        if (was_there)
            erase_record(rows, entry_key(new), removal);
        return;
    }
    put_record(rows, new, clock);
    if (new->deadline_ms != KV_NEVER) {
        struct deadline_row row = deadline_row(new->deadline_ms, new->revision, clock);
        rows_put(rows, KV_ENGINE_DEADLINES, deadline_row_slice(&row), entry_key(new));
    }
}

void rows_put_head(struct rows *rows, const struct record_store_head *head)
{
    char bytes[RECORD_STORE_HEAD_BYTES];
    record_store_head_write(head, bytes);
    rows_put(rows, KV_ENGINE_META, RECORD_STORE_HEAD_KEY,
             (struct kv_slice){.bytes = bytes, .len = sizeof(bytes)});
}

/* ---- giving ---- */

static uint32_t get_u32(const char *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof(number));
    return le32toh(number);
}

/* Splits the reference off the rest of the value. */
static bool split_reference(struct row *row)
{
    if (row->value.len < VALUE_REFERENCE_BYTES)
        return false;
    row->value.len -= VALUE_REFERENCE_BYTES;
    row->reference =
        (struct kv_slice){.bytes = row->value.bytes + row->value.len, .len = VALUE_REFERENCE_BYTES};
    return true;
}

bool rows_take(struct kv_slice *rows, struct row *ret)
{
    const char *at = rows->bytes;
    if (rows->len < ROW_HEAD)
        return false;
    int table = *at & 0xff & ~(ERASED | REFERS);
    *ret = (struct row){.table = (enum kv_engine_table)table,
                        .is_erased = (*at & ERASED) != 0,
                        .key = {.bytes = at + ROW_HEAD, .len = get_u32(at + 1)}};
    ret->value = (struct kv_slice){.bytes = ret->key.bytes + ret->key.len, .len = get_u32(at + 5)};
    size_t len = ROW_HEAD + ret->key.len + ret->value.len;
    if (table >= KV_ENGINE_N_TABLES || len > rows->len)
        return false;
    *rows = (struct kv_slice){.bytes = at + len, .len = rows->len - len};
    return (*at & REFERS) == 0 || split_reference(ret);
}

static bool give_with_file(const struct row *row, struct value_files *values,
                           const struct kv_engine_ops *ops, struct kv_engine *engine)
{
    size_t len;
    if (!value_reference_len(row->reference, &len))
        return false;
    char *value = malloc(row->value.len + len);
    if (value == NULL)
        return false;
    append(value, row->value.bytes, row->value.len);
    bool is_read = value_files_read(values, row->reference, value + row->value.len);
    if (is_read)
        ops->put(engine, row->table, row->key,
                 (struct kv_slice){.bytes = value, .len = row->value.len + len});
    free(value);
    return is_read;
}

bool row_give(const struct row *row, struct value_files *values, const struct kv_engine_ops *ops,
              struct kv_engine *engine)
{
    if (row->reference.len != 0)
        return give_with_file(row, values, ops, engine);
    if (row->is_erased)
        ops->erase(engine, row->table, row->key);
    else
        ops->put(engine, row->table, row->key, row->value);
    return true;
}

bool rows_give(struct kv_slice rows, const struct kv_engine_ops *ops, struct kv_engine *engine)
{
    struct row row;
    while (rows.len != 0)
        if (!rows_take(&rows, &row) || !row_give(&row, NULL, ops, engine))
            return false;
    return true;
}
