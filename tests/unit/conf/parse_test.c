/* Parses YAML into the tree: accepted and refused input, and the place of each fault. */
#include "conf_support.h"

#include <fcntl.h>
#include <unistd.h>

static void empty_file_is_an_empty_mapping(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "---\n", "~\n", "null", "{}"};
    for (size_t i = 0; i < N_OF(texts); i++) {
        struct kv_conf *conf = parse(texts[i]);
        assert_true(kv_conf_node_is_mapping(kv_conf_root(conf)));
        assert_int_equal(kv_conf_node_size(kv_conf_root(conf)), 0);
        kv_conf_destroy(conf);
    }
}

static void text_without_bytes_is_an_empty_mapping(void **state)
{
    (void)state;
    struct kv_conf *conf = parse_slice((struct kv_slice){.bytes = NULL, .len = 0});
    assert_true(kv_conf_node_is_mapping(kv_conf_root(conf)));
    kv_conf_destroy(conf);
}

static void tree_keeps_the_order_of_the_file(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("b: [1, two, [3]]\na: {x: y}\n");
    const struct kv_conf_node *root = kv_conf_root(conf);
    assert_int_equal(kv_conf_node_size(root), 2);
    assert_string_equal(kv_conf_node_name(root, 0), "b");
    assert_string_equal(kv_conf_node_name(root, 1), "a");
    const struct kv_conf_node *b = kv_conf_node_child(root, 0);
    assert_true(kv_conf_node_is_sequence(b));
    assert_string_equal(kv_conf_node_text(kv_conf_node_child(b, 1)), "two");
    assert_true(kv_conf_node_is_sequence(kv_conf_node_child(b, 2)));
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(kv_conf_node_find(root, "a"), "x")),
                        "y");
    kv_conf_destroy(conf);
}

static void lookups_accept_missing_nodes(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("a: [1]\n");
    assert_null(kv_conf_node_find(kv_conf_root(conf), "b"));
    assert_null(kv_conf_node_find(kv_conf_node_find(kv_conf_root(conf), "a"), "b"));
    assert_null(kv_conf_node_find(NULL, "a"));
    assert_null(kv_conf_node_text(NULL));
    assert_null(kv_conf_node_text(kv_conf_root(conf)));
    assert_int_equal(kv_conf_node_size(NULL), 0);
    assert_true(kv_conf_node_is_empty(NULL));
    assert_false(kv_conf_node_is_mapping(NULL));
    assert_false(kv_conf_node_is_sequence(NULL));
    kv_conf_destroy(conf);
    kv_conf_destroy(NULL);
}

static void unquoted_nothing_tilde_and_null_are_empty(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("a:\nb: ~\nc: null\nd: ''\ne: \"~\"\nf: 'null'\ng: Null\n");
    const struct kv_conf_node *root = kv_conf_root(conf);
    for (size_t i = 0; i < kv_conf_node_size(root); i++)
        assert_int_equal(kv_conf_node_is_empty(kv_conf_node_child(root, i)), i < 3);
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(root, "d")), "");
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(root, "e")), "~");
    assert_null(kv_conf_node_text(kv_conf_node_find(root, "a")));
    kv_conf_destroy(conf);
}

static void callers_can_report_a_fault_at_a_node(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("a: 1\nbé: {x: 7}\n");
    const struct kv_conf_node *x =
        kv_conf_node_find(kv_conf_node_find(kv_conf_root(conf), "bé"), "x");
    assert_int_equal(kv_conf_fault(conf, x, "no %s here", "seven"), -1);
    assert_int_equal(kv_conf_fault_key(conf, x, "strange"), -1);
    assert_int_equal(kv_conf_fault(conf, NULL, "nothing"), -1);
    kv_conf_fault(conf, x, "no %s here", "seven");
    assert_int_equal(kv_conf_n_faults(conf), 3);
    assert_faults(conf, "conf.yaml: nothing\nconf.yaml:2:6: strange\nconf.yaml:2:9: no seven here");
    kv_conf_destroy(conf);
}

static void root_has_to_be_a_mapping(void **state)
{
    (void)state;
    assert_parse_fails(
        "\n- 1\n",
        "conf.yaml:2:1: the file has to be a mapping (name: value, with a space between)");
    assert_parse_fails(
        "hello", "conf.yaml:1:1: the file has to be a mapping (name: value, with a space between)");
}

static void key_given_twice_names_both_lines(void **state)
{
    (void)state;
    assert_parse_fails("a: 1\nb: 2\n\n  \na: 3\n",
                       "conf.yaml:5:1: \"a\" is given twice, first in line 1");
    assert_parse_fails("x: {a: 1, 'a': 2}\n",
                       "conf.yaml:1:11: \"a\" is given twice, first in line 1");
}

static void anchors_aliases_and_tags_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a: &x 1\n", "1:4",
         "anchors (&name) are not supported: a text that begins with & needs "
         "quotes"},
        {"a: &x [1]\n", "1:4", NULL},
        {"a: &x {b: 1}\n", "1:4", NULL},
        {"&x a: 1\n", "1:1", NULL},
        {"a: *x\n", "1:4",
         "aliases (*name) are not supported: a text that begins with * needs "
         "quotes"},
        {"a: !!str 1\n", "1:4",
         "tags (!name) are not supported: a text that begins with ! needs "
         "quotes"},
        {"a: ! 1\n", "1:4", NULL},
        {"a: !x [1]\n", "1:4", NULL},
        {"!x a: 1\n", "1:1", NULL},
    };
    const char *what = NULL;
    for (size_t i = 0; i < N_OF(cases); i++) {
        char expected[200];
        what = cases[i][2] == NULL ? what : cases[i][2];
        snprintf(expected, sizeof(expected), "conf.yaml:%s: %s", cases[i][1], what);
        assert_parse_fails(cases[i][0], expected);
    }
    assert_parse_fails("*x : 1\n", "conf.yaml:1:1: a key has to be plain text");
}

/* Parsing stops only at text that is not YAML. */
static void every_fault_of_the_text_is_reported(void **state)
{
    (void)state;
    assert_parse_fails("a: &x 1\nb: ${NO_SUCH}\nb: 2\nc: \"\\0\"\nb: 3\nd: {e\n",
                       "conf.yaml:1:4: anchors (&name) are not supported: a text that begins with "
                       "& needs quotes\n"
                       "conf.yaml:2:4: the environment has no NO_SUCH (a default is given as "
                       "${NO_SUCH:-text})\n"
                       "conf.yaml:4:4: a NUL character\n"
                       "conf.yaml:7:1: \",\" or \"}\" is expected (while parsing a flow mapping "
                       "that begins in line 6)");
    assert_parse_fails("a: 1\na: 2\nb: ${NO_SUCH:-1}\na: 3\n",
                       "conf.yaml:2:1: \"a\" is given twice, first in line 1\n"
                       "conf.yaml:4:1: \"a\" is given twice, first in line 1");
}

static void second_document_is_refused(void **state)
{
    (void)state;
    assert_parse_fails("a: 1\n---\nb: 2\n",
                       "conf.yaml:2:1: a second document (---): a configuration is one");
}

static void keys_are_plain_text(void **state)
{
    (void)state;
    assert_parse_fails("[a]: 1\n", "conf.yaml:1:1: a key has to be plain text");
    assert_parse_fails("? {a: b}\n: 1\n", "conf.yaml:1:3: a key has to be plain text");
}

static void keys_are_not_expanded(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("${NO_SUCH}: 1\n");
    assert_string_equal(kv_conf_node_name(kv_conf_root(conf), 0), "${NO_SUCH}");
    kv_conf_destroy(conf);
}

static void long_key_is_refused(void **state)
{
    (void)state;
    char text[256];
    snprintf(text, sizeof(text), "%0200d: 1", 7);
    kv_conf_destroy(parse(text));
    snprintf(text, sizeof(text), "%0201d: 1", 7);
    assert_parse_fails(text, "conf.yaml:1:1: a key of more than 200 bytes");
}

static void nul_character_is_refused(void **state)
{
    (void)state;
    assert_parse_fails("a: \"x\\0y\"\n", "conf.yaml:1:4: a NUL character");
    assert_parse_fails("\"x\\0y\": 1\n", "conf.yaml:1:1: a NUL character");
}

static void nesting_is_limited_to_32_levels(void **state)
{
    (void)state;
    char text[80] = "a: ";
    memset(text + 3, '[', 31);
    memset(text + 34, ']', 31);
    kv_conf_destroy(parse(text)); /* including the root: 32 */
    memset(text + 3, '[', 32);
    memset(text + 35, ']', 32);
    assert_parse_fails(text, "conf.yaml:1:35: nested more than 32 levels deep");
}

static void endless_nesting_is_refused_at_once(void **state)
{
    (void)state;
    enum {
        LEN = 1000000
    };
    char *text = malloc(LEN);
    memset(text, '[', LEN);
    const struct kv_slice whole = {.bytes = text, .len = LEN};
    struct kv_conf *conf = NULL;
    assert_int_equal(kv_conf_parse("x", whole, &conf), -1);
    kv_conf_destroy(conf);
    memset(text, '-', LEN);
    for (size_t i = 1; i < LEN; i += 2)
        text[i] = ' ';
    assert_int_equal(kv_conf_parse("x", whole, &conf), -1);
    kv_conf_destroy(conf);
    free(text);
}

static void hundred_thousand_keys_are_read(void **state)
{
    (void)state;
    enum {
        N = 100000
    };
    char *text = malloc(N * 10 + 1), *at = text;
    for (int i = 0; i < N; i++)
        at += sprintf(at, "k%d: 1\n", i);
    struct kv_conf *conf = parse(text);
    assert_int_equal(kv_conf_node_size(kv_conf_root(conf)), N);
    kv_conf_destroy(conf);
    free(text);
}

static void more_than_1_mib_is_refused(void **state)
{
    (void)state;
    size_t len = (1 << 20) + 1;
    char *text = malloc(len);
    memset(text, '\n', len);
    assert_slice_fails((struct kv_slice){.bytes = text, .len = len},
                       "conf.yaml: larger than 1 MiB");
    kv_conf_destroy(parse_slice((struct kv_slice){.bytes = text, .len = len - 1}));
    free(text);
}

static void binary_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_slice_fails(KV_SLICE("a: 1\nb\303\251: x\001\n"),
                       "conf.yaml:2:6: control characters are not allowed");
    assert_slice_fails(KV_SLICE("a: \0\n"), "conf.yaml:1:4: control characters are not allowed");
    assert_slice_fails(KV_SLICE("a: \377\n"),
                       "conf.yaml:1:4: the file is not UTF-8 (save it as UTF-8)");
    assert_slice_fails(KV_SLICE("a: \303(\n"),
                       "conf.yaml:1:5: the file is not UTF-8 (save it as UTF-8)");
    assert_slice_fails(KV_SLICE("a: \303"),
                       "conf.yaml:1:4: the file is not UTF-8 (save it as UTF-8)");
}

static void yaml_faults_are_reported_in_plain_words(void **state)
{
    (void)state;
    assert_parse_fails("a: \"x\n", "conf.yaml:1:4: the quotes that begin here are not closed");
    assert_parse_fails("a: [1\n", "conf.yaml:2:1: \",\" or \"]\" is expected (while parsing a flow "
                                  "sequence that begins in line 1)");
    assert_parse_fails("a: {b: 1\n", "conf.yaml:2:1: \",\" or \"}\" is expected (while parsing a "
                                     "flow mapping that begins in line 1)");
    assert_parse_fails("a: 1\n b: 2\n",
                       "conf.yaml:2:3: a colon is not expected here: is the line indented as its "
                       "neighbours are? (a value with \": \" in it needs quotes)");
    assert_parse_fails("a: x\nb\nc: 1\n",
                       "conf.yaml:2:1: this line is no \"name: value\": a colon is missing");
    assert_parse_fails("{a: 1}}\n",
                       "conf.yaml:1:7: nothing more is expected: the configuration has "
                       "ended before this");
    assert_parse_fails("a: @x\n", "conf.yaml:1:4: a value that begins so needs quotes");
    assert_parse_fails("a: \"C:\\dir\"\n",
                       "conf.yaml:1:7: within \"…\" a backslash begins an escape: write \\\\, or "
                       "take '…'");
}

static void tab_indentation_is_reported(void **state)
{
    (void)state;
    static const char what[] = "a tab indents this line; YAML takes spaces";
    static const char *const cases[][2] = {
        {"a:\n\tb: 1\n", "conf.yaml:2:1: "},
        {"a:\n  b: 1\n\tc: 2\n", "conf.yaml:3:1: "},
        {"\ta: 1\n", "conf.yaml:1:1: "},
        {"a:\n  - b\n \t- c\n", "conf.yaml:3:2: "},
        {"é: é\r\nb:\r\n\tc: 2\r\n", "conf.yaml:3:1: "},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        char expected[100];
        snprintf(expected, sizeof(expected), "%s%s", cases[i][1], what);
        assert_parse_fails(cases[i][0], expected);
    }
}

static void unquoted_variable_in_a_flow_mapping_is_reported(void **state)
{
    (void)state;
    assert_parse_fails("a: [{port: ${X:-1}}]\n",
                       "conf.yaml:1:12: within {…} and […] a variable needs quotes: \"${X:-1}\"");
    assert_parse_fails("é: [x${X}, 1]\n",
                       "conf.yaml:1:6: within {…} and […] a variable needs quotes: \"${X}\"");
    assert_parse_fails("\xef\xbb\xbf{a: ${X}}\n",
                       "conf.yaml:1:5: within {…} and […] a variable needs quotes: \"${X}\"");
    kv_conf_destroy(parse("a: ${NO_SUCH:-1}\nb: {c: \"${NO_SUCH:-2}\"}\n"));
}

static void byte_order_mark_and_carriage_returns_are_skipped(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("\xef\xbb\xbf"
                                 "a: b\r\nc:\r\n  - d\r\n");
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(kv_conf_root(conf), "a")), "b");
    kv_conf_destroy(conf);
}

static void assert_load_fails(const char *path, const char *fault)
{
    struct kv_conf *conf = NULL;
    assert_int_equal(kv_conf_load(path, &conf), -1);
    assert_faults(conf, fault);
    kv_conf_destroy(conf);
}

static void unreadable_files_are_reported(void **state)
{
    (void)state;
    assert_load_fails("/nonexistent/conf.yaml",
                      "/nonexistent/conf.yaml: cannot be opened: No such file or directory");
    assert_load_fails("/", "/: cannot be read: Is a directory");
    assert_load_fails("/dev/zero", "/dev/zero: larger than 1 MiB");
}

static void file_is_loaded_and_named_in_messages(void **state)
{
    (void)state;
    char path[] = "/tmp/kvserver-conf-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "a: 1\n", 5), 5);
    struct kv_conf *conf = NULL, *twice = NULL;
    assert_int_equal(kv_conf_load(path, &conf), 0);
    assert_int_equal(write(file, "a: 2\n", 5), 5);
    assert_int_equal(kv_conf_load(path, &twice), 0);
    close(file);
    unlink(path);
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(kv_conf_root(conf), "a")), "1");
    char *faults = faults_of(twice);
    assert_memory_equal(faults, path, strlen(path));
    assert_string_equal(faults + strlen(path), ":2:1: \"a\" is given twice, first in line 1");
    free(faults);
    kv_conf_destroy(conf);
    kv_conf_destroy(twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_is_an_empty_mapping),
        cmocka_unit_test(text_without_bytes_is_an_empty_mapping),
        cmocka_unit_test(tree_keeps_the_order_of_the_file),
        cmocka_unit_test(lookups_accept_missing_nodes),
        cmocka_unit_test(unquoted_nothing_tilde_and_null_are_empty),
        cmocka_unit_test(callers_can_report_a_fault_at_a_node),
        cmocka_unit_test(root_has_to_be_a_mapping),
        cmocka_unit_test(key_given_twice_names_both_lines),
        cmocka_unit_test(anchors_aliases_and_tags_are_refused),
        cmocka_unit_test(second_document_is_refused),
        cmocka_unit_test(keys_are_plain_text),
        cmocka_unit_test(keys_are_not_expanded),
        cmocka_unit_test(long_key_is_refused),
        cmocka_unit_test(nul_character_is_refused),
        cmocka_unit_test(nesting_is_limited_to_32_levels),
        cmocka_unit_test(endless_nesting_is_refused_at_once),
        cmocka_unit_test(hundred_thousand_keys_are_read),
        cmocka_unit_test(more_than_1_mib_is_refused),
        cmocka_unit_test(binary_is_refused_with_its_place),
        cmocka_unit_test(every_fault_of_the_text_is_reported),
        cmocka_unit_test(yaml_faults_are_reported_in_plain_words),
        cmocka_unit_test(tab_indentation_is_reported),
        cmocka_unit_test(unquoted_variable_in_a_flow_mapping_is_reported),
        cmocka_unit_test(byte_order_mark_and_carriage_returns_are_skipped),
        cmocka_unit_test(unreadable_files_are_reported),
        cmocka_unit_test(file_is_loaded_and_named_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
