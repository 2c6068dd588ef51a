/* Checks a tree against a schema: values, defaults, and every fault with its place. */
#include "conf_support.h"

static const char *const colours[] = {"red", "green", NULL};

static const struct kv_option point[] = {
    {.name = "x", .type = KV_OPTION_INT, .flags = KV_OPTION_REQUIRED},
    {.name = "y", .type = KV_OPTION_INT, .fallback = "4"},
};

static const struct kv_option point_element = {
    .type = KV_OPTION_BLOCK, .fields = point, .n_fields = N_OF(point)};
static const struct kv_option int_element = {.type = KV_OPTION_INT, .min = 1, .max = 9};

enum {
    FLAG,
    COUNT,
    RATIO,
    DELAY,
    ROOM,
    NAME,
    COLOUR,
    NUMBERS,
    POINTS,
    ORIGIN,
    HEADERS,
    TREE,
    TOKEN,
};

static const struct kv_option options[] = {
    [FLAG] = {.name = "flag", .type = KV_OPTION_BOOL, .fallback = "true"},
    [COUNT] = {.name = "count",
               .type = KV_OPTION_INT,
               .min = -3,
               .max = 1000,
               .fallback = "auto",
               .keyword = "auto"},
    [RATIO] = {.name = "ratio", .type = KV_OPTION_REAL, .fallback = "0.5"},
    [DELAY] = {.name = "delay",
               .type = KV_OPTION_DURATION,
               .min = 1000,
               .max = 60000,
               .fallback = "30s",
               .keyword = "off"},
    [ROOM] = {.name = "room",
              .type = KV_OPTION_SIZE,
              .min = 1024,
              .max = INT64_MAX,
              .fallback = "64MiB"},
    [NAME] = {.name = "name", .type = KV_OPTION_STRING, .fallback = "nobody"},
    [COLOUR] = {.name = "colour",
                .type = KV_OPTION_CHOICE,
                .choices = colours,
                .fallback = "green"},
    [NUMBERS] = {.name = "numbers", .type = KV_OPTION_LIST, .fields = &int_element, .n_fields = 1},
    [POINTS] = {.name = "points", .type = KV_OPTION_LIST, .fields = &point_element, .n_fields = 1},
    [ORIGIN] = {.name = "origin", .type = KV_OPTION_BLOCK, .fields = point, .n_fields = 2},
    [HEADERS] = {.name = "headers", .type = KV_OPTION_MAP},
    [TREE] = {.name = "tree", .type = KV_OPTION_TREE},
    [TOKEN] = {.name = "token", .type = KV_OPTION_SIZE, .flags = KV_OPTION_SECRET},
};

static void assert_fails(const char *text, const char *message)
{
    assert_check_fails(text, options, N_OF(options), message);
}

static void empty_file_yields_the_defaults(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("");
    const struct kv_option_value *values = check(conf, options, N_OF(options));
    for (size_t i = 0; i < N_OF(options); i++)
        assert_false(values[i].is_given);
    assert_true(values[FLAG].boolean);
    assert_true(values[COUNT].integer == KV_OPTION_KEYWORD);
    assert_true(values[RATIO].real == 0.5);
    assert_int_equal(values[DELAY].integer, 30000);
    assert_int_equal(values[ROOM].integer, 64 << 20);
    assert_string_equal(values[NAME].string.bytes, "nobody");
    assert_int_equal(values[COLOUR].integer, 1);
    assert_int_equal(values[NUMBERS].list.n, 0);
    assert_int_equal(values[POINTS].list.n, 0);
    assert_int_equal(values[HEADERS].list.n, 0);
    assert_null(values[TREE].tree);
    kv_conf_destroy(conf);
}

static void missing_block_has_the_defaults(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("origin: ~");
    const struct kv_option_value *origin = &check(conf, options, N_OF(options))[ORIGIN];
    assert_false(origin->is_given);
    assert_int_equal(origin->list.n, 2);
    assert_int_equal(origin->list.items[0].integer, 0);
    assert_int_equal(origin->list.items[1].integer, 4);
    kv_conf_destroy(conf);
}

static void given_values_are_typed(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("flag: false\ncount: -3\nratio: -1.5e3\ndelay: 1s 500ms\n"
                                 "room: 1.5 kib\nname: Zoë\ncolour: red\nnumbers: [1, '2']\n"
                                 "points:\n  - x: 7\n  - {x: 8, y: +9}\norigin: {x: 1}\n"
                                 "headers: {Host: a, X-Empty: ''}\ntree: {a: [b]}\ntoken: 5\n");
    const struct kv_option_value *values = check(conf, options, N_OF(options));
    for (size_t i = 0; i < N_OF(options); i++)
        assert_true(values[i].is_given);
    assert_false(values[FLAG].boolean);
    assert_int_equal(values[COUNT].integer, -3);
    assert_true(values[RATIO].real == -1500);
    assert_int_equal(values[DELAY].integer, 1500);
    assert_int_equal(values[ROOM].integer, 1536);
    assert_string_equal(values[NAME].string.bytes, "Zoë");
    assert_int_equal(values[NAME].string.len, 4);
    assert_int_equal(values[COLOUR].integer, 0);
    assert_int_equal(values[NUMBERS].list.n, 2);
    assert_int_equal(values[NUMBERS].list.items[1].integer, 2);
    assert_int_equal(values[POINTS].list.n, 2);
    assert_int_equal(values[POINTS].list.items[0].list.items[1].integer, 4);
    assert_int_equal(values[POINTS].list.items[1].list.items[1].integer, 9);
    assert_int_equal(values[HEADERS].list.n, 4);
    assert_string_equal(values[HEADERS].list.items[2].string.bytes, "X-Empty");
    assert_string_equal(values[HEADERS].list.items[3].string.bytes, "");
    assert_true(kv_conf_node_is_mapping(values[TREE].tree));
    kv_conf_destroy(conf);
}

static void tilde_selects_the_default(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("flag: ~\ncount:\nname: null\nnumbers: ~\nheaders: ~\ntree: ~\n");
    const struct kv_option_value *values = check(conf, options, N_OF(options));
    assert_true(values[FLAG].boolean);
    assert_true(values[COUNT].integer == KV_OPTION_KEYWORD);
    assert_string_equal(values[NAME].string.bytes, "nobody");
    assert_null(values[TREE].tree);
    for (size_t i = 0; i < N_OF(options); i++)
        assert_false(values[i].is_given);
    kv_conf_destroy(conf);
}

static void keyword_is_recognized(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("delay: off");
    const struct kv_option_value *values = check(conf, options, N_OF(options));
    assert_true(values[DELAY].is_given);
    assert_true(values[DELAY].integer == KV_OPTION_KEYWORD);
    kv_conf_destroy(conf);
}

static void unknown_key_names_the_nearest(void **state)
{
    (void)state;
    assert_fails("name: a\ncolor: red\n",
                 "conf.yaml:2:1: unknown key \"color\" (did you mean \"colour\"?)");
    assert_fails("origin:\n  x: 1\n  Y: 1\n",
                 "conf.yaml:3:3: origin: unknown key \"Y\" (did you mean \"y\"?)");
    assert_fails("points: [{x: 1}, {x: 1, z: 1}]",
                 "conf.yaml:1:25: points[1]: unknown key \"z\" (there are: x, y)");
    assert_fails("origin: {x: 1, x:1}",
                 "conf.yaml:1:16: origin: unknown key \"x:1\" (a space has to follow the colon)");
    assert_fails("wholly_different: 1", "conf.yaml:1:1: unknown key \"wholly_different\"");
    assert_fails("\"a\\nb\": 1", "conf.yaml:1:1: unknown key \"a?b\"");
}

static void misspelt_key_is_not_also_reported_as_missing(void **state)
{
    (void)state;
    static const struct kv_option module[] = {
        {.name = "module", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED}};
    assert_check_fails("modul: a", module, 1,
                       "conf.yaml:1:1: unknown key \"modul\" (did you mean \"module\"?)");
}

static void all_faults_are_reported_in_file_order(void **state)
{
    (void)state;
    assert_fails("origin: {y: a, z: 1}\nflag: 1\ncount: b\ndelay: 1\nnumbers: [0, 1, x]\n"
                 "points: 7\nname: [a]\ntoken: ~\n",
                 "conf.yaml:1:9: origin.x: required, but not given\n"
                 "conf.yaml:1:13: origin.y: \"a\" is not a whole number\n"
                 "conf.yaml:1:16: origin: unknown key \"z\" (there are: x, y)\n"
                 "conf.yaml:2:7: flag: \"1\" is not true or false\n"
                 "conf.yaml:3:8: count: \"b\" is not a whole number (or \"auto\")\n"
                 "conf.yaml:4:8: delay: 1 has no unit; write 1ms, 1s or 1m\n"
                 "conf.yaml:5:11: numbers[0]: \"0\" is out of range (1 to 9)\n"
                 "conf.yaml:5:17: numbers[2]: \"x\" is not a whole number\n"
                 "conf.yaml:6:9: points: a sequence (- item) is expected, not text\n"
                 "conf.yaml:7:7: name: text is expected, not a sequence");
}

static void faults_beyond_fifty_are_counted(void **state)
{
    (void)state;
    struct kv_buffer text = {0};
    for (int i = 0; i < 60; i++)
        kv_buffer_printf(&text, "wholly_different_%d: 1\n", i);
    char *faults = check_faults(text.bytes, options, N_OF(options));
    assert_non_null(strstr(faults, "conf.yaml:50:1: unknown key \"wholly_different_49\"\n"));
    assert_non_null(strstr(faults, "\nconf.yaml: and 10 more"));
    assert_null(strstr(faults, "conf.yaml:51:"));
    free(faults);
    kv_buffer_fini(&text);
}

static void invalid_value_is_replaced_by_the_default(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("count: 5000\nratio: x\norigin: 7\nnumbers: a\nname: [b]\n");
    const struct kv_option_value *values;
    const struct kv_conf_block block = block_of(kv_conf_root(conf), options, N_OF(options));
    assert_int_equal(kv_conf_check(conf, &block, &values), -1);
    assert_true(values[COUNT].integer == KV_OPTION_KEYWORD);
    assert_true(values[RATIO].real == 0.5);
    assert_int_equal(values[ORIGIN].list.items[1].integer, 4);
    assert_int_equal(values[NUMBERS].list.n, 0);
    assert_string_equal(values[NAME].string.bytes, "nobody");
    kv_conf_destroy(conf);
}

static void bool_is_true_or_false_only(void **state)
{
    (void)state;
    assert_fails("flag: yes", "conf.yaml:1:7: flag: \"yes\" is not true or false");
    assert_fails("flag: True", "conf.yaml:1:7: flag: \"True\" is not true or false");
    assert_fails("flag: ''", "conf.yaml:1:7: flag: \"\" is not true or false");
}

static void int_is_whole_and_in_its_range(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.5", "0x10", "1_000", "ten", " 1", "+", "-", "1e3"};
    for (size_t i = 0; i < N_OF(bad); i++) {
        char text[64], message[128];
        snprintf(text, sizeof(text), "count: '%s'", bad[i]);
        snprintf(message, sizeof(message),
                 "conf.yaml:1:8: count: \"%s\" is not a whole number (or \"auto\")", bad[i]);
        assert_fails(text, message);
    }
    assert_fails("count: -4", "conf.yaml:1:8: count: \"-4\" is out of range (-3 to 1000)");
    assert_fails("count: 1001", "conf.yaml:1:8: count: \"1001\" is out of range (-3 to 1000)");
    assert_fails("count: 9223372036854775808",
                 "conf.yaml:1:8: count: \"9223372036854775808\" has too many digits (or \"auto\")");
    assert_fails("origin: {x: -1}", "conf.yaml:1:13: origin.x: \"-1\" is out of range (0 or more)");
}

static void least_integer_is_not_mistaken_for_the_keyword(void **state)
{
    (void)state;
    static const struct kv_option wide[] = {
        {.name = "n", .type = KV_OPTION_INT, .min = INT64_MIN, .max = INT64_MAX, .keyword = "k"}};
    struct kv_conf *conf = parse("n: -9223372036854775807");
    assert_true(check(conf, wide, 1)[0].integer == -INT64_MAX);
    kv_conf_destroy(conf);
    assert_check_fails("n: -9223372036854775808", wide, 1,
                       "conf.yaml:1:4: n: \"-9223372036854775808\" has too many digits "
                       "(or \"k\")");
}

static void real_is_decimal_and_finite(void **state)
{
    (void)state;
    static const char *const bad[] = {"nan", "inf", "0x1p3", "1.", "e5", "1e",
                                      "1e+", "",    "1,5",   ".",  "-",  "1 "};
    for (size_t i = 0; i < N_OF(bad); i++) {
        char text[64], message[128];
        snprintf(text, sizeof(text), "ratio: '%s'", bad[i]);
        snprintf(message, sizeof(message), "conf.yaml:1:8: ratio: \"%s\" is not a decimal number",
                 bad[i]);
        assert_fails(text, message);
    }
    assert_fails("ratio: 1e999", "conf.yaml:1:8: ratio: \"1e999\" is too large");
}

static void duration_has_units_and_a_range(void **state)
{
    (void)state;
    assert_fails("delay: 61s", "conf.yaml:1:8: delay: \"61s\" is out of range (1s to 1m)");
    assert_fails("delay: 999ms", "conf.yaml:1:8: delay: \"999ms\" is out of range (1s to 1m)");
    assert_fails("delay: 5 sek", "conf.yaml:1:8: delay: \"5 sek\" is not a duration: the units are "
                                 "ms, s, m, h, d, w, mo, y (or \"off\")");
    assert_fails("delay: -5s", "conf.yaml:1:8: delay: \"-5s\" is negative (or \"off\")");
    char *faults = check_faults("delay: soon", options, N_OF(options));
    static const char start[] = "conf.yaml:1:8: delay: \"soon\" is not a duration";
    assert_memory_equal(faults, start, sizeof(start) - 1);
    assert_non_null(strstr(faults, "(or \"off\")"));
    free(faults);
}

static void duration_without_a_unit_is_refused_with_the_likely_readings(void **state)
{
    (void)state;
    static const struct kv_option durations[] = {
        {.name = "idle", .type = KV_OPTION_DURATION, .fallback = "1500"},
        {.name = "most", .type = KV_OPTION_DURATION},
    };
    assert_check_fails("idle: 75\nmost: 1.5\n", durations, 2,
                       "conf.yaml:1:7: idle: 75 has no unit; write 75ms, 75s or 75m\n"
                       "conf.yaml:2:7: most: 1.5 has no unit; write 1.5ms, 1.5s or 1.5m");
    assert_check_fails("most: 1h 30", durations, 2,
                       "conf.yaml:1:7: most: \"1h 30\" is not a duration: a unit is expected");
    struct kv_conf *conf = parse("most: 0");
    const struct kv_option_value *values = check(conf, durations, 2);
    assert_int_equal(values[0].integer, 1500); /* the default of a module may lack a unit */
    assert_int_equal(values[1].integer, 0);
    kv_conf_destroy(conf);
}

static void size_has_units_and_a_range(void **state)
{
    (void)state;
    assert_fails("room: 64MX",
                 "conf.yaml:1:7: room: \"64MX\" is not a size (like 64MiB): the units are B, kB, "
                 "KiB, MB, MiB, GB, GiB, TB, TiB");
    assert_fails("room: 1000", "conf.yaml:1:7: room: \"1000\" is out of range (1KiB or more)");
}

static void choice_lists_its_words(void **state)
{
    (void)state;
    assert_fails("colour: Red", "conf.yaml:1:9: colour: \"Red\" is not one of red, green");
}

static void wrong_kind_reports_the_expected_one(void **state)
{
    (void)state;
    assert_fails("count: [1]",
                 "conf.yaml:1:8: count: a whole number (or \"auto\") is expected, not a sequence");
    assert_fails("name: {a: b}", "conf.yaml:1:7: name: text is expected, not a mapping");
    assert_fails("numbers: 1", "conf.yaml:1:10: numbers: a sequence (- item) is expected, not "
                               "text");
    assert_fails("numbers: {a: 1}", "conf.yaml:1:10: numbers: a sequence (- item) is expected, "
                                    "not a mapping");
    assert_fails("origin: 7",
                 "conf.yaml:1:9: origin: a mapping (name: value) is expected, not text");
    assert_fails("headers: [a]",
                 "conf.yaml:1:10: headers: a mapping (name: text) is expected, not a sequence");
    assert_fails("headers: {a: [b]}",
                 "conf.yaml:1:14: headers.a: text is expected, not a sequence");
    assert_fails("points:\n  - x: 1\n  - [2]\n",
                 "conf.yaml:3:5: points[1]: a mapping (name: value) is expected, not a sequence");
}

static void faults_in_lists_name_the_item(void **state)
{
    (void)state;
    assert_fails("numbers: [1, 2, 10]",
                 "conf.yaml:1:17: numbers[2]: \"10\" is out of range (1 to 9)");
    assert_fails("points:\n  - x: 1\n  - x: z\n",
                 "conf.yaml:3:8: points[1].x: \"z\" is not a whole number");
}

static void empty_item_has_no_default(void **state)
{
    (void)state;
    assert_fails("numbers: [1, ~]", "conf.yaml:1:14: numbers[1]: required, but not given");
}

static void missing_option_names_the_block(void **state)
{
    (void)state;
    assert_fails("flag: true\norigin:\n  y: 1\n",
                 "conf.yaml:3:3: origin.x: required, but not given");
    assert_fails("origin: {}", "conf.yaml:1:9: origin.x: required, but not given");
    assert_fails("origin: {x: }", "conf.yaml:1:13: origin.x: required, but not given");
}

static void missing_options_of_an_absent_block_are_reported(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("sinks: [{module: a}]");
    const struct kv_option_value *values;
    struct kv_conf_block block = block_of(NULL, point, 2);
    block.path = "sinks[0].options";
    block.at = kv_conf_node_child(kv_conf_node_find(kv_conf_root(conf), "sinks"), 0);
    assert_int_equal(kv_conf_check(conf, &block, &values), -1);
    assert_faults(conf, "conf.yaml:1:9: sinks[0].options.x: required, but not given");
    kv_conf_destroy(conf);
}

static void messages_start_with_the_path_of_the_block(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("a: {b: {x: no}}");
    const struct kv_conf_node *b =
        kv_conf_node_find(kv_conf_node_find(kv_conf_root(conf), "a"), "b");
    const struct kv_option_value *values;
    struct kv_conf_block block = block_of(b, point, 2);
    block.path = "a.b";
    assert_int_equal(kv_conf_check(conf, &block, &values), -1);
    assert_faults(conf, "conf.yaml:1:12: a.b.x: \"no\" is not a whole number");
    kv_conf_destroy(conf);
}

static void secrets_are_not_shown_in_messages(void **state)
{
    (void)state;
    assert_fails("token: hunter2",
                 "conf.yaml:1:8: token: the value is not a size (like 64MiB): it begins with no "
                 "number");
    static const struct kv_option element = {.type = KV_OPTION_INT, .max = 5};
    static const struct kv_option pins[] = {{.name = "pins",
                                             .type = KV_OPTION_LIST,
                                             .flags = KV_OPTION_SECRET,
                                             .fields = &element,
                                             .n_fields = 1}};
    assert_check_fails("pins: [4711]", pins, 1,
                       "conf.yaml:1:8: pins[0]: the value is out of range (0 to 5)");
}

static void long_and_strange_text_is_cut_in_messages(void **state)
{
    (void)state;
    char text[400] = "flag: \"\\e[2J";
    memset(text + strlen(text), 'x', 300);
    strcat(text, "\"");
    char *faults = check_faults(text, options, N_OF(options));
    assert_non_null(strstr(faults, "\"?[2Jxxx"));
    assert_non_null(strstr(faults, "xx…\" is not true or false"));
    assert_true(strlen(faults) < 160);
    free(faults);
}

static void unsound_schema_is_reported_with_the_option(void **state)
{
    (void)state;
    static const struct kv_option bad[] = {
        {.name = "count", .type = KV_OPTION_INT, .fallback = "many"}};
    assert_check_fails("count: 1", bad, 1,
                       "conf.yaml:1:1: option \"count\": the default: \"many\" is not a whole "
                       "number");
}

/* struct kv_option as in an older minor version of the ABI, without `doc`. */
struct old_option {
    const char *name;
    enum kv_option_type type;
    uint32_t flags;
    const char *fallback;
    int64_t min, max;
    const char *keyword;
    const char *const *choices;
    const struct old_option *fields;
    size_t n_fields;
};

static void older_schema_is_read_with_its_own_stride(void **state)
{
    (void)state;
    static const struct old_option fields[] = {
        {.name = "a", .type = KV_OPTION_STRING, .fallback = "left"},
        {.name = "b", .type = KV_OPTION_CHOICE, .choices = colours},
    };
    static const struct old_option old[] = {
        {.name = "n", .type = KV_OPTION_INT, .fallback = "1"},
        {.name = "block", .type = KV_OPTION_BLOCK, .fields = fields, .n_fields = 2},
    };
    assert_true(sizeof(struct old_option) < sizeof(struct kv_option));
    struct kv_conf *conf = parse("block: {b: green}");
    const struct kv_option_value *values;
    struct kv_conf_block block = block_of(kv_conf_root(conf), (const void *)old, 2);
    block.option_size = sizeof(struct old_option);
    assert_int_equal(kv_conf_check(conf, &block, &values), 0);
    assert_int_equal(values[0].integer, 1);
    assert_string_equal(values[1].list.items[0].string.bytes, "left");
    assert_int_equal(values[1].list.items[1].integer, 1);
    struct kv_buffer out = {0};
    struct kv_conf_printer printer = {.out = &out};
    kv_conf_print(&printer, &block, values, 0);
    kv_buffer_append_char(&out, '\0');
    assert_string_equal(out.bytes, "n: 1\nblock:\n  a: left\n  b: green\n");
    kv_buffer_fini(&out);
    kv_conf_destroy(conf);
}

static void unknown_members_of_a_newer_schema_are_ignored(void **state)
{
    (void)state;
    static const struct new_option {
        struct kv_option known;
        void *more;
    } newer[] = {
        {.known = {.name = "a", .type = KV_OPTION_INT, .fallback = "1"}},
        {.known = {.name = "b", .type = KV_OPTION_INT, .fallback = "2"}},
    };
    struct kv_conf *conf = parse("");
    const struct kv_option_value *values;
    struct kv_conf_block block = block_of(NULL, &newer[0].known, 2);
    block.option_size = sizeof(struct new_option);
    assert_int_equal(kv_conf_check(conf, &block, &values), 0);
    assert_int_equal(values[1].integer, 2);
    kv_conf_destroy(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_yields_the_defaults),
        cmocka_unit_test(missing_block_has_the_defaults),
        cmocka_unit_test(given_values_are_typed),
        cmocka_unit_test(tilde_selects_the_default),
        cmocka_unit_test(keyword_is_recognized),
        cmocka_unit_test(unknown_key_names_the_nearest),
        cmocka_unit_test(misspelt_key_is_not_also_reported_as_missing),
        cmocka_unit_test(all_faults_are_reported_in_file_order),
        cmocka_unit_test(faults_beyond_fifty_are_counted),
        cmocka_unit_test(invalid_value_is_replaced_by_the_default),
        cmocka_unit_test(bool_is_true_or_false_only),
        cmocka_unit_test(int_is_whole_and_in_its_range),
        cmocka_unit_test(least_integer_is_not_mistaken_for_the_keyword),
        cmocka_unit_test(real_is_decimal_and_finite),
        cmocka_unit_test(duration_has_units_and_a_range),
        cmocka_unit_test(duration_without_a_unit_is_refused_with_the_likely_readings),
        cmocka_unit_test(size_has_units_and_a_range),
        cmocka_unit_test(choice_lists_its_words),
        cmocka_unit_test(wrong_kind_reports_the_expected_one),
        cmocka_unit_test(faults_in_lists_name_the_item),
        cmocka_unit_test(empty_item_has_no_default),
        cmocka_unit_test(missing_option_names_the_block),
        cmocka_unit_test(missing_options_of_an_absent_block_are_reported),
        cmocka_unit_test(messages_start_with_the_path_of_the_block),
        cmocka_unit_test(secrets_are_not_shown_in_messages),
        cmocka_unit_test(long_and_strange_text_is_cut_in_messages),
        cmocka_unit_test(unsound_schema_is_reported_with_the_option),
        cmocka_unit_test(older_schema_is_read_with_its_own_stride),
        cmocka_unit_test(unknown_members_of_a_newer_schema_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
