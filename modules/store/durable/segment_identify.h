/*
 * Identifies a segment whose head is damaged. The sum of its first record matches one generation
 * only, so a matching generation is the segment's, and the record contains its own number. The
 * generations tried are the one in the damaged head and the neighbours of the other segments'
 * generations, as these are consecutive.
 */
#ifndef KV_DURABLE_SEGMENT_IDENTIFY_H
#define KV_DURABLE_SEGMENT_IDENTIFY_H

#include "segment.h"

/* others: intact segments, chained. Returns: true if the segment's generation and first record were
 * determined; the last revision before it remains unknown. */
bool segment_identify(struct segment *segment, const struct segment *others);

#endif
