/*
 * Finds the differences between two configurations, by comparing the output of kv_config_print().
 */
#ifndef KV_DAEMON_DIFFERENCE_H
#define KV_DAEMON_DIFFERENCE_H

#include <kvserver/types.h>

/* A printed configuration, in two forms: with the secrets, for comparing, and without them, for
 * showing. */
struct kv_printed_config {
    struct kv_slice whole, shown; /* with the same lines */
};

/* path: such as `sinks[0].options.url`. before, after: as YAML; NULL if absent; equal if a secret
 * differs. If an entry of a list, or a section, was added or removed, the path is the entry's or
 * the section's, and the value is its first one. */
typedef void (*kv_difference_fn)(void *context, const char *path, const char *before,
                                 const char *after);

/* Calls back for each value that differs, once for an added or removed entry of a list, and
 * for a section. */
void kv_difference_find(const struct kv_printed_config *before,
                        const struct kv_printed_config *after, kv_difference_fn tell,
                        void *context);

#endif
