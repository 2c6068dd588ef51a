#include "record.h"

#include <endian.h>

enum {
    HEAD_BYTES_1 = 25 /* of the head in format 1 */
};

#define HAS_DEADLINE (UINT64_C(1) << 63)

static char *put_u64(char *at, uint64_t number)
{
    number = htole64(number);
    memcpy(at, &number, sizeof(number));
    return at + sizeof(number);
}

static uint64_t get_u64(const char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof(number));
    return le64toh(number);
}

/* ---- records ---- */

size_t record_head(const struct entry *entry, struct record_clock clock, char head[RECORD_HEAD_MAX])
{
    if (entry->deadline_ms == KV_NEVER) {
        put_u64(head, entry->revision);
        return 8;
    }
    put_u64(put_u64(head, entry->revision | HAS_DEADLINE),
            (uint64_t)(entry->deadline_ms + clock.offset_ms));
    return 16;
}

uint64_t record_revision(struct kv_slice row)
{
    return row.len < 8 ? 0 : get_u64(row.bytes) & ~HAS_DEADLINE;
}

struct kv_slice record_without_value(struct kv_slice row)
{
    if (row.len >= 8) {
        size_t head = (get_u64(row.bytes) & HAS_DEADLINE) != 0 ? 16 : 8;
        row.len = row.len < head ? row.len : head;
    }
    return row;
}

struct entry *record_read_unfilled(struct kv_slice key, uint64_t hash, struct kv_slice row,
                                   size_t n_unfilled, struct record_clock clock,
                                   bool *ret_is_damaged)
{
    *ret_is_damaged = true;
    if (row.len < 8)
        return NULL;
    uint64_t revision = get_u64(row.bytes);
    size_t head = (revision & HAS_DEADLINE) != 0 ? 16 : 8;
    int64_t deadline_ms = KV_NEVER;
    if (row.len < head)
        return NULL;
    if (head == 16)
        deadline_ms = (int64_t)get_u64(row.bytes + 8) - clock.offset_ms;
    revision &= ~HAS_DEADLINE;
    if (revision == 0 || revision > KV_REVISION_MAX)
        return NULL;
    *ret_is_damaged = false;
    struct kv_slice value = {.bytes = row.bytes + head, .len = row.len - head};
    return entry_create_unfilled(key, hash, value, n_unfilled, revision, deadline_ms);
}

struct entry *record_read(struct kv_slice key, uint64_t hash, struct kv_slice row,
                          struct record_clock clock, bool *ret_is_damaged)
{
    return record_read_unfilled(key, hash, row, 0, clock, ret_is_damaged);
}

/* ---- deadlines ---- */

/* Times before 1970 are due anyway, and have no order in bytes. */
struct deadline_row deadline_row(int64_t deadline_ms, uint64_t revision, struct record_clock clock)
{
    int64_t at_ms = deadline_ms + clock.offset_ms;
    uint64_t numbers[2] = {htobe64(at_ms < 0 ? 0 : (uint64_t)at_ms), htobe64(revision)};
    struct deadline_row row;
    memcpy(row.bytes, numbers, sizeof(row.bytes));
    return row;
}

static uint64_t number_at(const struct deadline_row *row, size_t at)
{
    uint64_t number;
    memcpy(&number, row->bytes + at, sizeof(number));
    return be64toh(number);
}

int64_t deadline_row_ms(const struct deadline_row *row, struct record_clock clock)
{
    return (int64_t)number_at(row, 0) - clock.offset_ms;
}

uint64_t deadline_row_revision(const struct deadline_row *row)
{
    return number_at(row, 8);
}

/* ---- the head ---- */

void record_store_head_write(const struct record_store_head *head,
                             char bytes[RECORD_STORE_HEAD_BYTES])
{
    char *at = put_u64(bytes, head->revision);
    at = put_u64(at, head->reserved);
    at = put_u64(at, (uint64_t)head->seen_ms);
    *at = head->is_clean ? 1 : 0;
    put_u64(at + 1, head->sequence);
}

bool record_store_head_read(struct kv_slice bytes, struct record_store_head *ret)
{
    if (bytes.len != RECORD_STORE_HEAD_BYTES && bytes.len != HEAD_BYTES_1)
        return false;
    ret->revision = get_u64(bytes.bytes);
    ret->reserved = get_u64(bytes.bytes + 8);
    ret->seen_ms = (int64_t)get_u64(bytes.bytes + 16);
    ret->is_clean = bytes.bytes[24] == 1;
    ret->sequence = bytes.len == HEAD_BYTES_1 ? 0 : get_u64(bytes.bytes + HEAD_BYTES_1);
    return ret->revision <= KV_REVISION_MAX;
}
