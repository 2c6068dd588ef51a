/* The printed configuration: its text, and that loading it yields the same configuration. */
#include "conf_support.h"

static const char *const words[] = {"plain", "needs quotes", NULL};
static const struct kv_option text_element = {.type = KV_OPTION_STRING};
static const struct kv_option row_element = {
    .type = KV_OPTION_LIST, .fields = &text_element, .n_fields = 1};
static const struct kv_option map_element = {.type = KV_OPTION_MAP};
static const struct kv_option tree_element = {.type = KV_OPTION_TREE};

static const struct kv_option login[] = {
    {.name = "user", .type = KV_OPTION_STRING, .flags = KV_OPTION_REQUIRED},
    {.name = "secret", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET},
};
static const struct kv_option login_element = {
    .type = KV_OPTION_BLOCK, .fields = login, .n_fields = 2};
static const struct kv_option only_a_tree[] = {{.name = "tree", .type = KV_OPTION_TREE}};

static const struct kv_option options[] = {
    {.name = "bool", .type = KV_OPTION_BOOL, .doc = "Yes or no."},
    {.name = "int", .type = KV_OPTION_INT, .min = -5, .max = 5, .keyword = "not set"},
    {.name = "real", .type = KV_OPTION_REAL},
    {.name = "duration", .type = KV_OPTION_DURATION, .fallback = "30s"},
    {.name = "size", .type = KV_OPTION_SIZE, .fallback = "65536"},
    {.name = "string", .type = KV_OPTION_STRING},
    {.name = "choice", .type = KV_OPTION_CHOICE, .choices = words},
    {.name = "list", .type = KV_OPTION_LIST, .fields = &text_element, .n_fields = 1},
    {.name = "rows", .type = KV_OPTION_LIST, .fields = &row_element, .n_fields = 1},
    {.name = "maps", .type = KV_OPTION_LIST, .fields = &map_element, .n_fields = 1},
    {.name = "logins", .type = KV_OPTION_LIST, .fields = &login_element, .n_fields = 1},
    {.name = "login", .type = KV_OPTION_BLOCK, .fields = login, .n_fields = 2, .doc = "Who may."},
    {.name = "map", .type = KV_OPTION_MAP},
    {.name = "tree", .type = KV_OPTION_TREE},
    {.name = "trees", .type = KV_OPTION_LIST, .fields = &tree_element, .n_fields = 1},
    {.name = "hollow", .type = KV_OPTION_BLOCK, .fields = only_a_tree, .n_fields = 1},
};

static void assert_prints(const char *text, const char *expected)
{
    struct kv_conf *conf = parse(text);
    char *printed = print_from(kv_conf_root(conf), options, N_OF(options),
                               check(conf, options, N_OF(options)), 0);
    assert_string_equal(printed, expected);
    free(printed);
    kv_conf_destroy(conf);
}

/* Prints and parses one option of type STRING. */
static void assert_string_survives(struct kv_slice text)
{
    static const struct kv_option one[] = {{.name = "s", .type = KV_OPTION_STRING}};
    const struct kv_option_value before = {.string = text};
    char *printed = print(one, 1, &before, 0);
    struct kv_conf *conf = parse(printed);
    struct kv_slice after = check(conf, one, 1)[0].string;
    assert_int_equal(after.len, text.len);
    assert_memory_equal(after.bytes, text.bytes, text.len + 1);
    kv_conf_destroy(conf);
    free(printed);
}

static void defaults_are_written_out(void **state)
{
    (void)state;
    assert_prints("", "bool: false  # Yes or no.\n"
                      "int: 0\n"
                      "real: 0\n"
                      "duration: 30s\n"
                      "size: 64KiB\n"
                      "string: \"\"\n"
                      "choice: plain\n"
                      "list: []\n"
                      "rows: []\n"
                      "maps: []\n"
                      "logins: []\n"
                      "login: ~  # Who may.\n"
                      "map: {}\n"
                      "hollow: {}\n");
}

static void nested_values_are_block_style(void **state)
{
    (void)state;
    assert_prints("{bool: true, int: not set, real: 0.1, duration: 1.5s, size: 10kB, "
                  "string: /srv/kv, choice: needs quotes, list: [a, b c], "
                  "rows: [[x, y], [], [z]], maps: [{k: v, 'a b': ''}, {}], "
                  "logins: [{user: a}, ~, {user: b, secret: s}], login: {user: c}, "
                  "map: {'null': x, Host: 'a:80'}, tree: [1], trees: [2], hollow: {tree: 3}}",
                  "bool: true  # Yes or no.\n"
                  "int: \"not set\"\n"
                  "real: 0.1\n"
                  "duration: 1500ms\n"
                  "size: 10kB\n"
                  "string: /srv/kv\n"
                  "choice: \"needs quotes\"\n"
                  "list:\n"
                  "  - a\n"
                  "  - \"b c\"\n"
                  "rows:\n"
                  "  - - x\n"
                  "    - y\n"
                  "  - []\n"
                  "  - - z\n"
                  "maps:\n"
                  "  - k: v\n"
                  "    \"a b\": \"\"\n"
                  "  - {}\n"
                  "logins:\n"
                  "  - user: a\n"
                  "    secret: \"\"\n"
                  "  - ~\n"
                  "  - user: b\n"
                  "    secret: \"<hidden>\"\n"
                  "login:  # Who may.\n"
                  "  user: c\n"
                  "  secret: \"\"\n"
                  "map:\n"
                  "  \"null\": x\n"
                  "  Host: a:80\n"
                  "hollow: {}\n");
}

static void printed_configuration_prints_the_same_again(void **state)
{
    (void)state;
    struct kv_conf *conf =
        parse("{real: 1e100, size: 1234567, list: ['', ~x, 'null', '- a', \"\\n\", 'a: b', '#'], "
              "rows: [[' '], ['- x']], maps: [{a: '$${x', '$': $$, '$${y}': '$${z}'}]}");
    char *once = print(options, N_OF(options), check(conf, options, N_OF(options)), 0);
    struct kv_conf *again = parse(once);
    char *twice = print(options, N_OF(options), check(again, options, N_OF(options)), 0);
    assert_string_equal(once, twice);
    free(twice);
    kv_conf_destroy(again);
    free(once);
    kv_conf_destroy(conf);
}

static const struct kv_option secret_element = {.type = KV_OPTION_SIZE};
static const struct kv_option secrets[] = {
    {.name = "text", .type = KV_OPTION_STRING, .flags = KV_OPTION_SECRET, .fallback = "public"},
    {.name = "list",
     .type = KV_OPTION_LIST,
     .flags = KV_OPTION_SECRET,
     .fields = &secret_element,
     .n_fields = 1},
    {.name = "map", .type = KV_OPTION_MAP, .flags = KV_OPTION_SECRET},
};

static void assert_secrets_print(const char *text, bool shows_secrets, size_t n_literal,
                                 const char *expected)
{
    struct kv_conf *conf = parse(text);
    struct kv_buffer out = {0};
    struct kv_conf_printer printer = {.out = &out, .shows_secrets = shows_secrets};
    const struct kv_conf_block block = block_of(kv_conf_root(conf), secrets, N_OF(secrets));
    kv_conf_print(&printer, &block, check(conf, secrets, N_OF(secrets)), 0);
    kv_buffer_append_char(&out, '\0');
    assert_string_equal(out.bytes, expected);
    assert_int_equal(printer.n_literal, n_literal);
    kv_conf_destroy(conf);
    kv_buffer_fini(&out);
}

static void default_of_a_secret_option_is_shown(void **state)
{
    (void)state;
    assert_secrets_print("", false, 0, "text: public\nlist: []\nmap: {}\n");
}

static void secret_from_the_environment_is_printed_as_its_variable(void **state)
{
    (void)state;
    static const char text[] = "text: \"a$${b}${KV_TEST_SECRET}\"\n"
                               "list:\n  - \"${KV_TEST_NONE:-4711}\"\n"
                               "map:\n  a: \"${KV_TEST_SECRET:-b}\"\n";
    setenv("KV_TEST_SECRET", "hunter2", 1);
    assert_secrets_print(text, false, 0, text);
    assert_secrets_print(text, true, 0, text);
}

static void literal_secret_is_shown_only_on_request(void **state)
{
    (void)state;
    static const char text[] =
        "text: \"a$${b}\"\nlist:\n  - 4711\nmap:\n  a: b\n  c: \"${KV_TEST_NONE:-d}\"\n";
    assert_secrets_print(text, true, 3, text);
    assert_secrets_print(text, false, 3,
                         "text: \"<hidden>\"\nlist:\n  - \"<hidden>\"\n"
                         "map:\n  a: \"<hidden>\"\n  c: \"${KV_TEST_NONE:-d}\"\n");
}

static void placeholder_of_a_hidden_secret_is_refused(void **state)
{
    (void)state;
    assert_check_fails("text: <hidden>\nmap: {a: <hidden>}\n", secrets, N_OF(secrets),
                       "conf.yaml:1:7: text: was hidden when this was printed: write the secret "
                       "here, or the ${VAR} that has it\n"
                       "conf.yaml:2:10: map.a: was hidden when this was printed: write the secret "
                       "here, or the ${VAR} that has it");
}

static const struct kv_option url_element = {.type = KV_OPTION_STRING, .flags = KV_OPTION_URL};
static const char *const secret_keys[] = {"pass.word", NULL};
static const struct kv_option part_secrets[] = {
    {.name = "url", .type = KV_OPTION_STRING, .flags = KV_OPTION_URL},
    {.name = "urls", .type = KV_OPTION_LIST, .fields = &url_element, .n_fields = 1},
    {.name = "map", .type = KV_OPTION_MAP, .flags = KV_OPTION_SECRET, .secret_keys = secret_keys},
};

/* Prints the text without its secrets. */
static void assert_parts_print(const char *text, size_t n_literal, const char *expected)
{
    struct kv_conf *conf = parse(text);
    struct kv_buffer out = {0};
    struct kv_conf_printer printer = {.out = &out};
    const struct kv_conf_block block =
        block_of(kv_conf_root(conf), part_secrets, N_OF(part_secrets));
    kv_conf_print(&printer, &block, check(conf, part_secrets, N_OF(part_secrets)), 0);
    kv_buffer_append_char(&out, '\0');
    assert_string_equal(out.bytes, expected);
    assert_int_equal(printer.n_literal, n_literal);
    kv_conf_destroy(conf);
    kv_buffer_fini(&out);
}

static void only_the_login_of_a_url_is_hidden(void **state)
{
    (void)state;
    assert_parts_print(
        "url: https://u:p@ss@h:1/a@b\nurls: [nats://n:1, tok@n, 'nats://u@n/${X:-y}']\n", 2,
        "url: \"https://<hidden>@h:1/a@b\"\n"
        "urls:\n  - nats://n:1\n  - \"<hidden>@n\"\n"
        "  - \"nats://u@n/${X:-y}\"\nmap: {}\n");
    setenv("KV_TEST_SECRET", "u:p", 1);
    assert_parts_print("url: \"https://${KV_TEST_SECRET}@h/\"\n", 0,
                       "url: \"https://${KV_TEST_SECRET}@h/\"\nurls: []\nmap: {}\n");
    assert_check_fails(
        "url: https://<hidden>@h/\n", part_secrets, N_OF(part_secrets),
        "conf.yaml:1:6: url: was hidden when this was printed: write the secret here, "
        "or the ${VAR} that has it");
}

static void only_secret_keys_of_a_map_are_hidden(void **state)
{
    (void)state;
    assert_parts_print("map: {pass.word: x, user: y}\n", 1,
                       "url: \"\"\nurls: []\nmap:\n  pass.word: \"<hidden>\"\n  user: y\n");
}

static void indent_moves_every_line(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("list: [a]");
    const struct kv_option_value *values = check(conf, options, N_OF(options));
    char *printed = print(&options[7], 1, &values[7], 4);
    assert_string_equal(printed, "    list:\n      - a\n");
    free(printed);
    kv_conf_destroy(conf);
}

static void every_string_survives(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "a",
        "~",
        "null",
        "true",
        "12",
        "-",
        "- a",
        "---",
        "...",
        "a:",
        "a: b",
        "a #b",
        "#",
        "\"",
        "\\",
        "'",
        "{",
        "[a]",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "?",
        "? a",
        ":",
        ",",
        "${VAR}",
        "$${VAR}",
        "$$${",
        "${",
        "$",
        "\n",
        "\t",
        "\r\n",
        "a\nb\n",
        "\x01\x1f\x7f",
        "Zoë",
        "\xc2\x80",
        "\xc2\x85",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xef\xbb\xbf",
        "\xef\xbf\xbe",
        "\xef\xbf\xbf",
        "\xf0\x9f\x98\x80",
        "\xf4\x8f\xbf\xbf",
        "trailing ",
        " leading",
        "http://127.0.0.1:80/?a=b&c=d",
        "C:\\x",
    };
    for (size_t i = 0; i < N_OF(texts); i++)
        assert_string_survives(kv_slice_of(texts[i]));
}

static void every_character_survives(void **state)
{
    (void)state;
    for (char c = 1; c > 0 && c < 127; c++) {
        const char texts[][4] = {{c}, {c, 'a'}, {'a', c}, {'a', c, 'b'}, {c, c, c}};
        for (size_t i = 0; i < N_OF(texts); i++)
            assert_string_survives(kv_slice_of(texts[i]));
    }
}

static void long_lines_survive(void **state)
{
    (void)state;
    char text[5001] = {0};
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = "abc \n#:"[i % 7];
    assert_string_survives(kv_slice_of(text));
}

static void longest_key_survives_however_it_is_escaped(void **state)
{
    (void)state;
    static const struct kv_option one[] = {{.name = "map", .type = KV_OPTION_MAP}};
    char key[201] = {0};
    memset(key, 1, 200);
    const struct kv_option_value pair[] = {{.string = kv_slice_of(key)}, {.string = KV_SLICE("v")}};
    const struct kv_option_value before = {.list = {.items = pair, .n = 2}};
    char *printed = print(one, 1, &before, 0);
    struct kv_conf *conf = parse(printed);
    const struct kv_option_value *after = check(conf, one, 1);
    assert_int_equal(after->list.n, 2);
    assert_string_equal(after->list.items[0].string.bytes, key);
    kv_conf_destroy(conf);
    free(printed);
}

static void reals_have_as_few_digits_as_necessary(void **state)
{
    (void)state;
    static const struct kv_option one[] = {{.name = "r", .type = KV_OPTION_REAL}};
    static const struct {
        double real;
        const char *text;
    } cases[] = {
        {0.1, "r: 0.1\n"},       {1.0 / 3, "r: 0.3333333333333333\n"},
        {5e-324, "r: 5e-324\n"}, {1e100, "r: 1e+100\n"},
        {-2.5, "r: -2.5\n"},     {0.1 + 0.2, "r: 0.30000000000000004\n"},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        const struct kv_option_value value = {.real = cases[i].real};
        char *printed = print(one, 1, &value, 0);
        assert_string_equal(printed, cases[i].text);
        struct kv_conf *conf = parse(printed);
        assert_true(check(conf, one, 1)[0].real == cases[i].real);
        kv_conf_destroy(conf);
        free(printed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_written_out),
        cmocka_unit_test(nested_values_are_block_style),
        cmocka_unit_test(printed_configuration_prints_the_same_again),
        cmocka_unit_test(default_of_a_secret_option_is_shown),
        cmocka_unit_test(secret_from_the_environment_is_printed_as_its_variable),
        cmocka_unit_test(literal_secret_is_shown_only_on_request),
        cmocka_unit_test(placeholder_of_a_hidden_secret_is_refused),
        cmocka_unit_test(only_the_login_of_a_url_is_hidden),
        cmocka_unit_test(only_secret_keys_of_a_map_are_hidden),
        cmocka_unit_test(indent_moves_every_line),
        cmocka_unit_test(every_string_survives),
        cmocka_unit_test(every_character_survives),
        cmocka_unit_test(long_lines_survive),
        cmocka_unit_test(longest_key_survives_however_it_is_escaped),
        cmocka_unit_test(reals_have_as_few_digits_as_necessary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
