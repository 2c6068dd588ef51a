/*
 * Access to a schema that was built against any minor of the ABI.
 */
#ifndef KV_CONF_OPTION_H
#define KV_CONF_OPTION_H

#include <kvserver/option.h>

/* Beside enum kv_option_flag, never in a schema: within a block that is not given, where nothing
 * is required. */
#define KV_OPTION_ABSENT (1u << 31)

/* A copy of the i-th option; what its build did not know is zero. */
struct kv_option kv_option_at(const struct kv_option *options, size_t option_size, size_t i);

/* A copy of the i-th of the `fields`, as it stands there: SECRET and ABSENT are handed down, and
 * a list's element is REQUIRED where it has nothing else to be. */
struct kv_option kv_option_field(const struct kv_option *parent, size_t option_size, size_t i);

/* The option that a text of a MAP is, by its key. */
struct kv_option kv_option_of_key(const struct kv_option *map, const char *key);

/* Written as one scalar in the file. */
bool kv_option_is_scalar(const struct kv_option *option);

/* STRING, PATH. */
bool kv_option_is_text(const struct kv_option *option);

/* INT, DURATION, SIZE. */
bool kv_option_is_number(const struct kv_option *option);

/* The greatest number allowed; `min` is the least as it is. */
int64_t kv_option_max(const struct kv_option *option);

#endif
