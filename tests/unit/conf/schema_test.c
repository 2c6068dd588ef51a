/* Mistakes in a module's schema, each with its message. */
#include "conf_support.h"

static void assert_sound(const struct kv_option *options, size_t n)
{
    struct kv_error error = {{0}};
    if (kv_schema_check(options, n, sizeof(*options), &error) != 0)
        fail_msg("%s", error.text);
}

static void assert_unsound(const struct kv_option *options, size_t n, const char *message)
{
    struct kv_error error = {{0}};
    assert_int_equal(kv_schema_check(options, n, sizeof(*options), &error), -1);
    assert_string_equal(error.text, message);
}

static void assert_option_unsound(struct kv_option option, const char *message)
{
    assert_unsound(&option, 1, message);
}

static const struct kv_option int_element = {.type = KV_OPTION_INT, .min = 1, .max = 9};

static void module_without_options_is_sound(void **state)
{
    (void)state;
    assert_sound(NULL, 0);
}

static void every_type_can_be_sound(void **state)
{
    (void)state;
    static const char *const words[] = {"a", NULL};
    static const struct kv_option inner[] = {
        {.name = "n2", .type = KV_OPTION_INT, .min = 1, .flags = KV_OPTION_REQUIRED, .max = 2}};
    static const struct kv_option options[] = {
        {.name = "bool", .type = KV_OPTION_BOOL, .fallback = "true", .doc = "One line, Zoë."},
        {.name = "int", .type = KV_OPTION_INT, .keyword = "auto", .fallback = "auto"},
        {.name = "real", .type = KV_OPTION_REAL},
        {.name = "duration", .type = KV_OPTION_DURATION, .fallback = "1h 5m"},
        {.name = "size", .type = KV_OPTION_SIZE, .flags = KV_OPTION_SECRET},
        {.name = "string", .type = KV_OPTION_STRING, .fallback = ""},
        {.name = "choice", .type = KV_OPTION_CHOICE, .choices = words},
        {.name = "list", .type = KV_OPTION_LIST, .fields = &int_element, .n_fields = 1},
        {.name = "block", .type = KV_OPTION_BLOCK, .fields = inner, .n_fields = 1},
        {.name = "nothing", .type = KV_OPTION_BLOCK},
        {.name = "map", .type = KV_OPTION_MAP},
        {.name = "tree", .type = KV_OPTION_TREE, .flags = KV_OPTION_REQUIRED},
    };
    assert_sound(options, N_OF(options));
}

static void names_are_required_unique_and_snake_case(void **state)
{
    (void)state;
    assert_option_unsound((struct kv_option){.type = KV_OPTION_INT},
                          "the options: the name of member 1 is missing");
    assert_option_unsound((struct kv_option){.name = "maxSize", .type = KV_OPTION_INT},
                          "the options: the name \"maxSize\" is not snake_case");
    assert_option_unsound((struct kv_option){.name = "", .type = KV_OPTION_INT},
                          "the options: the name \"\" is not snake_case");
    const struct kv_option twice[] = {{.name = "a", .type = KV_OPTION_INT},
                                      {.name = "b", .type = KV_OPTION_INT},
                                      {.name = "a", .type = KV_OPTION_INT}};
    assert_unsound(twice, 3, "the options: the name \"a\" is there twice");
    const struct kv_option block = {
        .name = "block", .type = KV_OPTION_BLOCK, .fields = twice, .n_fields = 3};
    assert_unsound(&block, 1, "option \"block\": the name \"a\" is there twice");
}

static void unknown_types_and_flags_are_refused(void **state)
{
    (void)state;
    assert_option_unsound((struct kv_option){.name = "a"}, "option \"a\": its type 0 is unknown");
    assert_option_unsound((struct kv_option){.name = "a", .type = 13},
                          "option \"a\": its type 13 is unknown");
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_INT, .flags = 66},
                          "option \"a\": its flags 0x40 are unknown");
}

static void only_paths_have_a_use_and_at_most_one(void **state)
{
    (void)state;
    assert_option_unsound(
        (struct kv_option){.name = "a", .type = KV_OPTION_STRING, .flags = KV_OPTION_READS},
        "option \"a\": only paths are read or written");
    assert_option_unsound((struct kv_option){.name = "a",
                                             .type = KV_OPTION_PATH,
                                             .flags = KV_OPTION_READS | KV_OPTION_WRITES},
                          "option \"a\": a path has one use");
}

static void empty_ranges_are_refused(void **state)
{
    (void)state;
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_INT, .min = 1},
                          "option \"a\": its min is above its max (both have to be given)");
    assert_option_unsound(
        (struct kv_option){.name = "a", .type = KV_OPTION_SIZE, .min = -1, .max = 5},
        "option \"a\": its min is below 0");
}

static void only_numbers_have_keywords(void **state)
{
    (void)state;
    assert_option_unsound(
        (struct kv_option){.name = "a", .type = KV_OPTION_STRING, .keyword = "auto"},
        "option \"a\": only numbers have a keyword");
}

static void defaults_parse_and_lie_in_the_range(void **state)
{
    (void)state;
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_BOOL, .fallback = "on"},
                          "option \"a\": the default: \"on\" is not true or false");
    assert_option_unsound(
        (struct kv_option){.name = "a", .type = KV_OPTION_SIZE, .fallback = "2MiB", .max = 1 << 20},
        "option \"a\": the default: \"2MiB\" is out of range (0 to 1MiB)");
    assert_option_unsound(
        (struct kv_option){.name = "a", .type = KV_OPTION_INT, .min = 1, .max = 9},
        "option \"a\": the default: 0 is out of range (1 to 9)");
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_MAP, .fallback = "x"},
                          "option \"a\": only scalars have a default");
    assert_option_unsound(
        (struct kv_option){
            .name = "a", .type = KV_OPTION_INT, .fallback = "1", .flags = KV_OPTION_REQUIRED},
        "option \"a\": required, and yet with a default");
}

static void choices_are_required(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_CHOICE},
                          "option \"a\": it has no choices");
    assert_option_unsound(
        (struct kv_option){.name = "a", .type = KV_OPTION_CHOICE, .choices = none},
        "option \"a\": it has no choices");
}

static void fields_are_required(void **state)
{
    (void)state;
    assert_unsound(NULL, 1, "the options: its fields are missing");
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_BLOCK, .n_fields = 2},
                          "option \"a\": its fields are missing");
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_LIST},
                          "option \"a\": a list has one element in its fields, not 0");
    const struct kv_option elements[] = {{.type = KV_OPTION_INT, .flags = 64}};
    assert_option_unsound(
        (struct kv_option){.name = "a", .type = KV_OPTION_LIST, .fields = elements, .n_fields = 1},
        "option \"a[0]\": its flags 0x40 are unknown");
}

static void schema_that_contains_itself_is_refused(void **state)
{
    (void)state;
    struct kv_option endless = {.name = "a", .type = KV_OPTION_BLOCK, .n_fields = 1};
    endless.fields = &endless;
    struct kv_error error = {{0}};
    assert_int_equal(kv_schema_check(&endless, 1, sizeof(endless), &error), -1);
    assert_non_null(strstr(error.text, "nested more than 16 levels deep"));
}

static void doc_is_one_line(void **state)
{
    (void)state;
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_INT, .doc = "x\ny: 1"},
                          "option \"a\": its doc is not one line of text");
    assert_option_unsound((struct kv_option){.name = "a", .type = KV_OPTION_INT, .doc = "caf\351"},
                          "option \"a\": its doc is not one line of text");
}

static void impossible_stride_is_refused(void **state)
{
    (void)state;
    static const struct kv_option option = {.name = "a", .type = KV_OPTION_INT};
    struct kv_error error = {{0}};
    assert_int_equal(kv_schema_check(&option, 1, 0, &error), -1);
    assert_string_equal(error.text, "0 is not the size of an option");
    assert_int_equal(kv_schema_check(&option, 1, sizeof(option) + 1, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_without_options_is_sound),
        cmocka_unit_test(every_type_can_be_sound),
        cmocka_unit_test(names_are_required_unique_and_snake_case),
        cmocka_unit_test(unknown_types_and_flags_are_refused),
        cmocka_unit_test(only_paths_have_a_use_and_at_most_one),
        cmocka_unit_test(empty_ranges_are_refused),
        cmocka_unit_test(only_numbers_have_keywords),
        cmocka_unit_test(defaults_parse_and_lie_in_the_range),
        cmocka_unit_test(choices_are_required),
        cmocka_unit_test(fields_are_required),
        cmocka_unit_test(schema_that_contains_itself_is_refused),
        cmocka_unit_test(doc_is_one_line),
        cmocka_unit_test(impossible_stride_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
