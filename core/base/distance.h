/*
 * How alike two names are, for "did you mean".
 */
#ifndef KV_BASE_DISTANCE_H
#define KV_BASE_DISTANCE_H

#include <limits.h>

enum {
    KV_DISTANCE_FAR = INT_MAX
};

/* How many letters were left out, added, mistaken or swapped with their neighbour; capital and
 * small ones are the same. Returns: KV_DISTANCE_FAR where nobody would take one for the other. */
int kv_name_distance(const char *a, const char *b);

/* Notes `known` in *nearest (NULL at first) where it comes nearer to the name than that does. */
void kv_name_offer(const char *name, const char *known, const char **nearest);

#endif
