/* Faults added by a module's check(), and the places they are reported at. */
#include "conf_support.h"

static const struct kv_option element = {.type = KV_OPTION_STRING};
static const struct kv_option options[] = {
    {.name = "int", .type = KV_OPTION_INT},
    {.name = "list", .type = KV_OPTION_LIST, .fields = &element, .n_fields = 1},
    {.name = "map", .type = KV_OPTION_MAP},
};

/* The faults of the block at `block`, including those added by the check. */
static void assert_found(const char *text, kv_check_fn add, const char *expected)
{
    struct kv_conf *conf = parse(text);
    const struct kv_option_value *values = NULL;
    const struct kv_conf_node *root = kv_conf_root(conf);
    struct kv_conf_block block = block_of(kv_conf_node_find(root, "block"), options, N_OF(options));
    block.path = "block";
    block.at = kv_conf_node_find(root, "at");
    bool is_faulty = kv_conf_check(conf, &block, &values) != 0;
    kv_conf_take_findings(conf, &block, is_faulty, add, values);
    assert_faults(conf, expected);
    kv_conf_destroy(conf);
}

static void find_everything(const struct kv_option_value *values, const struct kv_faults *faults)
{
    (void)values;
    faults->add(faults, "int", "a %d", 1);
    faults->add(faults, "list[1]", "b");
    faults->add(faults, "map.x.y", "c");
    faults->add(faults, "map", "d");
    faults->add(faults, "", "e");
    faults->add(faults, "int", "f");
}

static void findings_are_reported_at_their_options(void **state)
{
    (void)state;
    assert_found("block:\n  int: 1\n  list: [p, q]\n  map: {x: 1, x.y: 2}\n", find_everything,
                 "conf.yaml:2:3: block: e\n"
                 "conf.yaml:2:8: block.int: a 1\n"
                 "conf.yaml:2:8: block.int: f\n"
                 "conf.yaml:3:13: block.list[1]: b\n"
                 "conf.yaml:4:8: block.map: d\n"
                 "conf.yaml:4:20: block.map.x.y: c");
}

static void findings_for_missing_options_are_reported_at_the_block(void **state)
{
    (void)state;
    assert_found("block:\n  list: [p]\n", find_everything,
                 "conf.yaml:2:3: block.int: a 1\n"
                 "conf.yaml:2:3: block.list[1]: b\n"
                 "conf.yaml:2:3: block.map.x.y: c\n"
                 "conf.yaml:2:3: block.map: d\n"
                 "conf.yaml:2:3: block: e\n"
                 "conf.yaml:2:3: block.int: f");
    assert_found("at: here\n", find_everything,
                 "conf.yaml:1:5: block.int: a 1\n"
                 "conf.yaml:1:5: block.list[1]: b\n"
                 "conf.yaml:1:5: block.map.x.y: c\n"
                 "conf.yaml:1:5: block.map: d\n"
                 "conf.yaml:1:5: block: e\n"
                 "conf.yaml:1:5: block.int: f");
}

/* Their values are defaults that replaced invalid values. */
static void findings_for_invalid_values_are_omitted(void **state)
{
    (void)state;
    assert_found("block:\n  int: many\n  list: [p, q]\n", find_everything,
                 "conf.yaml:2:8: block.int: \"many\" is not a whole number\n"
                 "conf.yaml:3:13: block.list[1]: b");
}

static void find_nothing(const struct kv_option_value *values, const struct kv_faults *faults)
{
    (void)faults;
    assert_int_equal(values[0].integer, 7);
}

static void module_without_a_check_or_findings_is_accepted(void **state)
{
    (void)state;
    assert_found("block: {int: 7}\n", find_nothing, "");
    assert_found("block: {int: 7}\n", NULL, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_are_reported_at_their_options),
        cmocka_unit_test(findings_for_missing_options_are_reported_at_the_block),
        cmocka_unit_test(findings_for_invalid_values_are_omitted),
        cmocka_unit_test(module_without_a_check_or_findings_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
