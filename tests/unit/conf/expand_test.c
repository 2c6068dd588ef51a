/* Variables in values, taken from the test's own environment. */
#include "conf_support.h"

#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/parse.h"

static const char *own_get(const struct kv_conf_env *env, const char *name)
{
    static const char *const variables[][2] = {
        {"HOME_DIR", "/srv/kv"}, {"EMPTY", ""}, {"_x1", "underscore"}, {"YAML", "[1, {a: b}]"},
        {"DOLLAR", "${YAML}"},   {"NIL", "~"},  {"LATIN", "caf\351"},  {"PATH", "é\n"},
    };
    (void)env;
    for (size_t i = 0; i < N_OF(variables); i++)
        if (strcmp(variables[i][0], name) == 0)
            return variables[i][1];
    return NULL;
}

static const struct kv_conf_env own_env = {.get = own_get};

static void assert_expands(const char *text, const char *expected)
{
    struct kv_buffer out = {0};
    struct kv_error error = {{0}};
    if (kv_conf_expand(kv_slice_of(text), &own_env, &out, &error) != 0)
        fail_msg("%s: %s", text, error.text);
    kv_buffer_append_char(&out, '\0');
    assert_string_equal(out.bytes, expected);
    kv_buffer_fini(&out);
}

static void assert_expansion_fails(const char *text, const char *message)
{
    struct kv_conf *conf = NULL;
    kv_conf_parse_env("conf.yaml", kv_slice_of(text), &own_env, &conf);
    assert_faults(conf, message);
    kv_conf_destroy(conf);
}

static void variable_is_replaced_anywhere_in_a_value(void **state)
{
    (void)state;
    assert_expands("${HOME_DIR}", "/srv/kv");
    assert_expands("a${HOME_DIR}b${_x1}", "a/srv/kvbunderscore");
    assert_expands("${PATH}", "é\n");
    assert_expands("", "");
    assert_expands("no $variable {here} $", "no $variable {here} $");
}

static void default_replaces_unset_and_empty_variables(void **state)
{
    (void)state;
    assert_expands("${NO_SUCH:-data}", "data");
    assert_expands("${EMPTY:-data}", "data");
    assert_expands("${HOME_DIR:-data}", "/srv/kv");
    assert_expands("${NO_SUCH:-}", "");
    assert_expands("${NO_SUCH:-a:-b $x}", "a:-b $x");
    assert_expands("${EMPTY}", "");
}

static void doubled_dollar_is_an_escaped_dollar(void **state)
{
    (void)state;
    assert_expands("$${HOME_DIR}", "${HOME_DIR}");
    assert_expands("$$${", "$${");
    assert_expands("$$", "$$");
    assert_expands("$${${_x1}}", "${underscore}");
}

static void replacement_text_is_not_parsed(void **state)
{
    (void)state;
    assert_expands("${DOLLAR}", "${YAML}");
    struct kv_conf *conf = NULL;
    assert_int_equal(
        kv_conf_parse_env("conf.yaml", KV_SLICE("a: ${YAML}\nb: ${NIL}\n"), &own_env, &conf), 0);
    const struct kv_conf_node *root = kv_conf_root(conf);
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(root, "a")), "[1, {a: b}]");
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(root, "b")), "~");
    kv_conf_destroy(conf);
}

static void unset_variable_is_reported_with_a_remedy(void **state)
{
    (void)state;
    assert_expansion_fails("a:\n  - x\n  - ${DATA_DIR}\n",
                           "conf.yaml:3:5: the environment has no DATA_DIR (a default is given as "
                           "${DATA_DIR:-text})");
}

static void unterminated_variable_is_refused(void **state)
{
    (void)state;
    assert_expansion_fails("a: x${HOME_DIR\n",
                           "conf.yaml:1:4: ${ has no } (write $${ for the text ${)");
    assert_expansion_fails("a: x${", "conf.yaml:1:4: ${ has no } (write $${ for the text ${)");
}

static void variable_within_a_variable_is_refused(void **state)
{
    (void)state;
    assert_expansion_fails("a: ${A:-${HOME_DIR}}", "conf.yaml:1:4: a variable within a variable");
}

static void bad_name_is_refused(void **state)
{
    (void)state;
    assert_expansion_fails(
        "a: ${}", "conf.yaml:1:4: \"\" is not the name of a variable (write $${ for the text ${)");
    assert_expansion_fails(
        "a: ${1x}",
        "conf.yaml:1:4: \"1x\" is not the name of a variable (write $${ for the text ${)");
    assert_expansion_fails(
        "a: \"${a\\nb:-c}\"",
        "conf.yaml:1:4: \"a?b\" is not the name of a variable (write $${ for the text ${)");
}

static void long_name_is_truncated_in_the_message(void **state)
{
    (void)state;
    char text[600] = "a: ${";
    memset(text + 5, 'x', 300);
    text[305] = '}';
    struct kv_conf *conf = NULL;
    kv_conf_parse_env("c", kv_slice_of(text), &own_env, &conf);
    char *faults = faults_of(conf);
    assert_non_null(strstr(faults, "xxx…\" is not the name"));
    assert_true(strlen(faults) < 200);
    free(faults);
    kv_conf_destroy(conf);
}

static void variable_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    assert_expansion_fails("a: ${LATIN}", "conf.yaml:1:4: the environment's LATIN is not UTF-8");
}

static void process_environment_is_used_by_default(void **state)
{
    (void)state;
    setenv("KV_CONF_TEST", "here", 1);
    struct kv_conf *conf = parse("a: ${KV_CONF_TEST}\n");
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(kv_conf_root(conf), "a")), "here");
    kv_conf_destroy(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variable_is_replaced_anywhere_in_a_value),
        cmocka_unit_test(default_replaces_unset_and_empty_variables),
        cmocka_unit_test(doubled_dollar_is_an_escaped_dollar),
        cmocka_unit_test(replacement_text_is_not_parsed),
        cmocka_unit_test(unset_variable_is_reported_with_a_remedy),
        cmocka_unit_test(unterminated_variable_is_refused),
        cmocka_unit_test(variable_within_a_variable_is_refused),
        cmocka_unit_test(bad_name_is_refused),
        cmocka_unit_test(long_name_is_truncated_in_the_message),
        cmocka_unit_test(variable_that_is_not_utf8_is_refused),
        cmocka_unit_test(process_environment_is_used_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
