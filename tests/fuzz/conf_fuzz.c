/*
 * The configuration file. Accepted input is walked, checked and printed; the printed text must load
 * and print identically, and the kinds of nodes must be consistent.
 */
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/parse.h"
#include "conf/print.h"
#include "fuzz.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *fixed_get(const struct kv_conf_env *env, const char *name)
{
    (void)env;
    if (strcmp(name, "A") == 0)
        return "{a: [\"b\n";
    return strcmp(name, "B") == 0 ? "" : NULL;
}

static const struct kv_conf_env fixed_env = {.get = fixed_get};

static const char *const words[] = {"one", "two words", NULL};
static const struct kv_option string_element = {.type = KV_OPTION_STRING};
static const struct kv_option pair[] = {
    {.name = "x", .type = KV_OPTION_INT, .flags = KV_OPTION_REQUIRED},
    {.name = "y", .type = KV_OPTION_LIST, .fields = &string_element, .n_fields = 1},
};
static const struct kv_option pair_element = {
    .type = KV_OPTION_BLOCK, .fields = pair, .n_fields = N_OF(pair)};
static const struct kv_option pairs_element = {
    .type = KV_OPTION_LIST, .fields = &pair_element, .n_fields = 1};
static const struct kv_option options[] = {
    {.name = "b", .type = KV_OPTION_BOOL},
    {.name = "i", .type = KV_OPTION_INT, .min = -10, .max = 10, .keyword = "auto"},
    {.name = "r", .type = KV_OPTION_REAL, .fallback = "0.1"},
    {.name = "d", .type = KV_OPTION_DURATION, .fallback = "30s", .keyword = "a: b"},
    {.name = "z", .type = KV_OPTION_SIZE, .fallback = "64MiB"},
    {.name = "s", .type = KV_OPTION_STRING, .fallback = "${A}"},
    {.name = "c", .type = KV_OPTION_CHOICE, .choices = words, .fallback = "two words"},
    {.name = "l", .type = KV_OPTION_LIST, .fields = &pairs_element, .n_fields = 1},
    {.name = "k", .type = KV_OPTION_BLOCK, .fields = pair, .n_fields = N_OF(pair)},
    {.name = "m", .type = KV_OPTION_MAP},
    {.name = "t", .type = KV_OPTION_TREE},
    {.name = "p", .type = KV_OPTION_PATH, .flags = KV_OPTION_FOLDER},
    {.name = "x", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET},
    {.name = "y", .type = KV_OPTION_MAP, .flags = KV_OPTION_SECRET},
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* is_sound: no key is duplicated. */
static void walk(const struct kv_conf_node *node, bool is_sound)
{
    bool is_collection = kv_conf_node_is_mapping(node) || kv_conf_node_is_sequence(node);
    require(is_collection || kv_conf_node_size(node) == 0);
    require(is_collection + kv_conf_node_is_empty(node) + kv_conf_node_is_faulty(node) +
                (kv_conf_node_text(node) != NULL) ==
            1);
    for (size_t i = 0; i < kv_conf_node_size(node); i++) {
        const struct kv_conf_node *child = kv_conf_node_child(node, i);
        if (is_sound && kv_conf_node_is_mapping(node) && i < 64)
            require(kv_conf_node_find(node, kv_conf_node_name(node, i)) == child);
        walk(child, is_sound);
    }
}

/* Returns: whether the configuration fits the schema; then it is printed. */
static bool print(struct kv_conf *conf, struct kv_buffer *out)
{
    const struct kv_option_value *values;
    const struct kv_conf_block block = {.node = kv_conf_root(conf),
                                        .path = "",
                                        .options = options,
                                        .n_options = N_OF(options),
                                        .option_size = sizeof(*options)};
    struct kv_conf_printer printer = {.out = out, .shows_secrets = true};
    size_t n_faults = kv_conf_n_faults(conf);
    bool fits = kv_conf_check(conf, &block, &values) == 0;
    require(fits == (kv_conf_n_faults(conf) == n_faults));
    kv_conf_print(&printer, &block, values, 0); /* also for input full of faults */
    return fits;
}

static void require_same_again(struct kv_slice printed)
{
    struct kv_conf *again = NULL;
    struct kv_buffer out = {0};
    require(kv_conf_parse_env("again", printed, &fixed_env, &again) == 0);
    require(print(again, &out) && kv_conf_n_faults(again) == 0);
    require(kv_slice_equals(kv_buffer_slice(&out), printed));
    kv_buffer_fini(&out);
    kv_conf_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = {.bytes = (const char *)bytes, .len = len};
    struct kv_conf *conf = NULL;
    bool is_yaml = kv_conf_parse_env("fuzz", text, &fixed_env, &conf) == 0;
    require(is_yaml || kv_conf_n_faults(conf) != 0);
    require(is_yaml || kv_conf_node_size(kv_conf_root(conf)) == 0);
    walk(kv_conf_root(conf), kv_conf_n_faults(conf) == 0);
    struct kv_buffer out = {0}, faults = {0};
    /* A value grows when it is escaped, so the printed text may exceed the limit of a file. */
    if (print(conf, &out) && kv_conf_n_faults(conf) == 0 && out.len <= KV_CONF_MAX_BYTES)
        require_same_again(kv_buffer_slice(&out));
    kv_conf_append_faults(conf, "", &faults);
    require((faults.len == 0) == (kv_conf_n_faults(conf) == 0));
    kv_buffer_fini(&faults);
    kv_buffer_fini(&out);
    kv_conf_destroy(conf);
    return 0;
}
