#include "segment_identify.h"

#include <stdlib.h>

#include "journal_record.h"

static bool is_of(struct segment *segment, struct kv_slice bytes, uint64_t generation)
{
    struct journal_record record;
    if (generation == 0 || journal_record_read(bytes, SEGMENT_HEAD, generation, &record) == 0)
        return false;
    segment->generation = generation;
    segment->first = record.sequence;
    segment->base = 0;
    return true;
}

static bool is_next_to(struct segment *segment, struct kv_slice bytes, const struct segment *others)
{
    for (; others != NULL; others = others->next)
        if (others->generation != 0 && (is_of(segment, bytes, others->generation + 1) ||
                                        is_of(segment, bytes, others->generation - 1)))
            return true;
    return false;
}

/* The copy of the head identifies the segment, with or without its first record. */
static bool is_as_copied(struct segment *segment, struct kv_slice bytes)
{
    struct segment copied = *segment;
    if (!segment_read_copy(&copied))
        return false;
    copied.base = 0;
    copied.lacks_start = !is_of(&copied, bytes, copied.generation);
    *segment = copied;
    return true;
}

bool segment_identify(struct segment *segment, const struct segment *others)
{
    char *read = segment->size < SEGMENT_HEAD ? NULL : segment_read(segment);
    struct kv_slice bytes = {.bytes = read, .len = segment->size};
    if (read == NULL)
        return false;
    bool is_known = is_of(segment, bytes, segment_head_generation(read)) ||
                    is_as_copied(segment, bytes) || is_next_to(segment, bytes, others);
    free(read);
    return is_known;
}
