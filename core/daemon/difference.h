/*
 * What differs between two configurations, told from what kv_config_print() makes of them.
 */
#ifndef KV_DAEMON_DIFFERENCE_H
#define KV_DAEMON_DIFFERENCE_H

#include <kvserver/types.h>

/* A printed configuration, twice: with the secrets, to compare, and without them, to show. */
struct kv_printed_config {
    struct kv_slice whole, shown; /* line by line the same */
};

/* path: as `sinks[0].options.url`. before, after: as YAML; NULL where there is none; both the same
 * where it is a secret that differs. Of an entry of a list that comes or goes, the path is the
 * entry's, and the value the first in it. */
typedef void (*kv_difference_fn)(void *context, const char *path, const char *before,
                                 const char *after);

/* Calls back for each value that is not the same in both, once for an entry of a list. */
void kv_difference_find(const struct kv_printed_config *before,
                        const struct kv_printed_config *after, kv_difference_fn tell,
                        void *context);

#endif
