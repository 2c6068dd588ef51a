/*
 * Option values for a store under test, made of its schema and of `key=value` settings: bools,
 * whole numbers and strings as they are; the words of choices. No units: a duration is
 * milliseconds, a size bytes. Nested options get their zero.
 */
#ifndef KV_CONTRACT_OPTIONS_H
#define KV_CONTRACT_OPTIONS_H

#include <kvserver/module.h>

/* In a setting's value this stands for the test's own folder. */
#define FOLDER_MARK "@folder"

/* Returns: an array aligned with the module's schema, or NULL and *reterr. */
struct kv_option_value *options_create(const struct kv_module *module, int n_settings,
                                       char **settings, const char *folder,
                                       struct kv_error *reterr);

/* Accepts NULL. */
void options_destroy(const struct kv_module *module, struct kv_option_value *values);

#endif
