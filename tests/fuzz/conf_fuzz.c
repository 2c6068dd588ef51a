/*
 * The configuration file. Whatever is accepted is walked, checked, printed, and has to load and
 * print to the same again; and the kinds of nodes agree with themselves.
 */
#include <stdlib.h>

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
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void walk(const struct kv_conf_node *node)
{
    bool is_collection = kv_conf_node_is_mapping(node) || kv_conf_node_is_sequence(node);
    require(is_collection || kv_conf_node_size(node) == 0);
    require(is_collection + kv_conf_node_is_empty(node) + (kv_conf_node_text(node) != NULL) == 1);
    for (size_t i = 0; i < kv_conf_node_size(node); i++) {
        const struct kv_conf_node *child = kv_conf_node_child(node, i);
        if (kv_conf_node_is_mapping(node) && i < 64)
            require(kv_conf_node_find(node, kv_conf_node_name(node, i)) == child);
        walk(child);
    }
}

/* Returns: whether the configuration fits the schema; then it is printed. */
static bool print(struct kv_conf *conf, struct kv_buffer *out)
{
    const struct kv_option_value *values;
    struct kv_error error = {{0}};
    if (kv_conf_check(conf, kv_conf_root(conf), "", options, N_OF(options), sizeof(*options),
                      &values, &error) != 0) {
        require(error.text[0] != '\0');
        return false;
    }
    kv_conf_print(options, N_OF(options), sizeof(*options), values, 0, out);
    return true;
}

static void require_same_again(struct kv_slice printed)
{
    struct kv_conf *again = NULL;
    struct kv_buffer out = {0};
    struct kv_error error;
    require(kv_conf_parse_env("again", printed, &fixed_env, &again, &error) == 0);
    require(print(again, &out));
    require(kv_slice_equals(kv_buffer_slice(&out), printed));
    kv_buffer_fini(&out);
    kv_conf_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = {.bytes = (const char *)bytes, .len = len};
    struct kv_conf *conf = NULL;
    struct kv_error error = {{0}};
    if (kv_conf_parse_env("fuzz", text, &fixed_env, &conf, &error) != 0) {
        require(error.text[0] != '\0' && conf == NULL);
        return 0;
    }
    walk(kv_conf_root(conf));
    struct kv_buffer out = {0};
    /* A value grows when it is escaped; what is printed may be too large to be a file again. */
    if (print(conf, &out) && out.len <= KV_CONF_MAX_BYTES)
        require_same_again(kv_buffer_slice(&out));
    kv_buffer_fini(&out);
    kv_conf_destroy(conf);
    return 0;
}
