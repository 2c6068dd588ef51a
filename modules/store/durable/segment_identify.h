/*
 * What a segment is whose head is damaged. The sum of its first record holds for one generation
 * only, so a generation for which it holds is the segment's, and the record says which one it is.
 * The generations that are tried are the one that the damaged head names, and those next to the
 * other segments', as segments are numbered one after the other.
 */
#ifndef KV_DURABLE_SEGMENT_IDENTIFY_H
#define KV_DURABLE_SEGMENT_IDENTIFY_H

#include "segment.h"

/* others: whole segments, chained. Returns: true if the segment's generation and first record have
 * been found out; the last revision before it stays unknown. */
bool segment_identify(struct segment *segment, const struct segment *others);

#endif
