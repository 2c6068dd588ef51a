#include "journal_log.h"

#include "journal_record.h"
#include "segment.h"

/* Under the lock. younger: the segment after it in time; NULL: there is none. */
static bool pin(struct segment *segment, const struct segment *younger, struct journal_place *ret)
{
    segment->n_pins++;
    *ret = (struct journal_place){.segment = segment,
                                  .end = younger == NULL ? 0 : younger->first,
                                  .next_base = younger == NULL ? 0 : younger->base};
    return true;
}

bool journal_pin(struct journal *journal, uint64_t after, struct journal_place *ret)
{
    bool is_pinned = false;
    const struct segment *younger = NULL;
    pthread_mutex_lock(&journal->lock);
    for (struct segment *segment = journal->segments;
         segment != NULL && segment->generation != 0 && segment->base != 0 && !is_pinned;
         segment = segment->next) {
        if (segment->base <= after)
            is_pinned = pin(segment, younger, ret);
        younger = segment;
    }
    pthread_mutex_unlock(&journal->lock);
    return is_pinned;
}

bool journal_pin_next(struct journal *journal, const struct journal_place *place,
                      struct journal_place *ret)
{
    bool is_pinned = false;
    const struct segment *younger = NULL;
    pthread_mutex_lock(&journal->lock);
    for (struct segment *segment = journal->segments; segment != NULL && !is_pinned;
         segment = segment->next) {
        if (segment->next == place->segment)
            is_pinned = pin(segment, younger, ret);
        younger = segment;
    }
    pthread_mutex_unlock(&journal->lock);
    return is_pinned;
}

void journal_unpin(struct journal *journal, const struct journal_place *place)
{
    pthread_mutex_lock(&journal->lock);
    place->segment->n_pins--;
    pthread_mutex_unlock(&journal->lock);
}

size_t journal_parse(const struct segment *segment, struct kv_slice bytes, uint64_t sequence,
                     struct kv_slice *ret_rows)
{
    struct journal_record record;
    size_t len = journal_record_read(bytes, 0, segment->generation, &record);
    if (len == 0 || record.sequence != sequence)
        return 0;
    *ret_rows = record.rows;
    return journal_record_align(len);
}
