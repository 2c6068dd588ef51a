/*
 * Option values for a store under test, made from its schema and `key=value` settings: bools, whole
 * numbers, strings, and the words of choices. There are no units: a duration is in milliseconds, a
 * size in bytes. Nested options are zero.
 */
#ifndef KV_CONTRACT_OPTIONS_H
#define KV_CONTRACT_OPTIONS_H

#include <kvserver/module.h>

/* Stands for the test's own folder in the value of a setting. */
#define FOLDER_MARK "@folder"

/* Returns: an array aligned with the module's schema, or NULL and *reterr. */
struct kv_option_value *options_create(const struct kv_module *module, int n_settings,
                                       char **settings, const char *folder,
                                       struct kv_error *reterr);

/* Accepts NULL. */
void options_destroy(const struct kv_module *module, struct kv_option_value *values);

#endif
