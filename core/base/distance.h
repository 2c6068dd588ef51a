/*
 * The similarity of names, for "did you mean".
 */
#ifndef KV_BASE_DISTANCE_H
#define KV_BASE_DISTANCE_H

#include <limits.h>

enum {
    KV_DISTANCE_FAR = INT_MAX
};

/* The number of letters that were left out, added, mistaken or swapped with their neighbour,
 * ignoring case. Returns: KV_DISTANCE_FAR if the names are not similar. */
int kv_name_distance(const char *a, const char *b);

/* Sets *nearest (NULL at first) to `known` if that is more similar to the name. */
void kv_name_offer(const char *name, const char *known, const char **nearest);

#endif
