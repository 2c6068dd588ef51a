#include "rows.h"

#include <endian.h>
#include <stdlib.h>

enum {
    ERASED = 0x80,
    ROW_HEAD = 9,
    FIRST_CAPACITY = 4096,
    MOST_KEPT = 1 << 20 /* of memory, once they are cleared */
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

/* Returns: where to write `len` bytes; NULL where there is no memory. */
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

/* Returns: where the value is to be written; NULL where there is no memory. */
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

static void put_record(struct rows *rows, const struct entry *entry, struct record_clock clock)
{
    char head[RECORD_HEAD_MAX];
    size_t len = record_head(entry, clock, head);
    char *at = begin_row(rows, KV_ENGINE_RECORDS, entry_key(entry), len + entry->value_len);
    if (at != NULL)
        append(append(at, head, len), entry_value(entry).bytes, entry->value_len);
}

void rows_change(struct rows *rows, struct former old, const struct entry *new,
                 struct record_clock clock)
{
    bool was_there = old.revision != 0;
    if (was_there && old.deadline_ms != KV_NEVER) {
        struct deadline_row row = deadline_row(old.deadline_ms, old.revision, clock);
        erase(rows, KV_ENGINE_DEADLINES, deadline_row_slice(&row));
    }
    if (!entry_is_there(new)) {
        if (was_there)
            erase(rows, KV_ENGINE_RECORDS, entry_key(new));
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

bool rows_give_one(struct kv_slice *rows, const struct kv_engine_ops *ops, struct kv_engine *engine)
{
    const char *at = rows->bytes;
    if (rows->len < ROW_HEAD)
        return false;
    int table = *at & ~ERASED & 0xff;
    struct kv_slice key = {.bytes = at + ROW_HEAD, .len = get_u32(at + 1)};
    struct kv_slice value = {.bytes = key.bytes + key.len, .len = get_u32(at + 5)};
    size_t len = ROW_HEAD + key.len + value.len;
    if (table >= KV_ENGINE_N_TABLES || len > rows->len)
        return false;
    if ((*at & ERASED) != 0)
        ops->erase(engine, (enum kv_engine_table)table, key);
    else
        ops->put(engine, (enum kv_engine_table)table, key, value);
    *rows = (struct kv_slice){.bytes = at + len, .len = rows->len - len};
    return true;
}

bool rows_give(struct kv_slice rows, const struct kv_engine_ops *ops, struct kv_engine *engine)
{
    while (rows.len != 0)
        if (!rows_give_one(&rows, ops, engine))
            return false;
    return true;
}
