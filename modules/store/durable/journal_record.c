#include "journal_record.h"

#include "segment.h"

enum {
    LENGTH = 8, /* where it stands; the sum is ahead of it */
    NUMBER = 16,
    SYNCED = 24
};

void journal_record_finish(struct rows *rows, const struct journal_record *record,
                           uint64_t generation)
{
    segment_put_u64(rows->bytes + LENGTH, rows->len);
    segment_put_u64(rows->bytes + NUMBER, record->sequence);
    segment_put_u64(rows->bytes + SYNCED, record->synced);
    segment_put_u64(rows->bytes, segment_sum(rows->bytes, rows->len, generation));
}

size_t journal_record_read(struct kv_slice bytes, size_t at, uint64_t generation,
                           struct journal_record *ret)
{
    const char *record = bytes.bytes + at;
    if (bytes.len < at + JOURNAL_RECORD_HEAD)
        return 0;
    uint64_t len = segment_get_u64(record + LENGTH);
    if (len < JOURNAL_RECORD_HEAD || len > bytes.len - at ||
        segment_get_u64(record) != segment_sum(record, len, generation))
        return 0;
    *ret = (struct journal_record){
        .sequence = segment_get_u64(record + NUMBER),
        .synced = segment_get_u64(record + SYNCED),
        .rows = {.bytes = record + JOURNAL_RECORD_HEAD, .len = len - JOURNAL_RECORD_HEAD}};
    return len;
}

size_t journal_record_len(struct kv_slice bytes)
{
    if (bytes.len < JOURNAL_RECORD_HEAD)
        return JOURNAL_RECORD_HEAD;
    return journal_record_align(segment_get_u64(bytes.bytes + LENGTH));
}
