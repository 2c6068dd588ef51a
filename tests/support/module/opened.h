/*
 * A module of any kind that a test loads and configures by itself, as the server would; the test is
 * its host.
 */
#ifndef KV_TEST_OPENED_H
#define KV_TEST_OPENED_H

#include "conf/conf.h"
#include "module/module.h"

struct kv_test_module {
    struct kv_loaded_module *module;
    struct kv_conf *conf;
    const struct kv_option_value *options;
    struct kv_host host;
    _Atomic int64_t now_ms; /* of the host's clock; 0: the real one */
    char log[4096];         /* the latest message of the module */
};

/* Loads the file, and checks `options`, a YAML mapping without braces (`a: 1, b: [x]`), against its
 * schema and by its check(). Returns: 0, or -1 and *reterr. */
int kv_test_module_load(struct kv_test_module *module, const char *path, enum kv_module_kind kind,
                        const char *options, struct kv_error *reterr);
void kv_test_module_unload(struct kv_test_module *module);

#endif
