/*
 * Access to a schema that was built against any minor of the ABI.
 */
#ifndef KV_CONF_OPTION_H
#define KV_CONF_OPTION_H

#include <kvserver/option.h>

/* An additional flag, never in a schema: the option belongs to a block that is not given, so it is
 * not required. */
#define KV_OPTION_ABSENT (1u << 31)

/* A copy of the i-th option; members beyond the option_size are zero. */
struct kv_option kv_option_at(const struct kv_option *options, size_t option_size, size_t i);

/* A copy of the i-th of the `fields`, with inherited flags: SECRET and ABSENT are inherited, and a
 * list's element is REQUIRED unless it is a block or has a default. */
struct kv_option kv_option_field(const struct kv_option *parent, size_t option_size, size_t i);

/* The option for the text of a MAP with this key. */
struct kv_option kv_option_of_key(const struct kv_option *map, const char *key);

/* Whether it is written as one scalar in the file. */
bool kv_option_is_scalar(const struct kv_option *option);

/* Whether it is a STRING or PATH. */
bool kv_option_is_text(const struct kv_option *option);

/* Whether it is an INT, DURATION or SIZE. */
bool kv_option_is_number(const struct kv_option *option);

/* The greatest number allowed; `min` is the least. */
int64_t kv_option_max(const struct kv_option *option);

#endif
