/* From YAML to the tree: what is read, what is refused, and where it says so. */
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

static void no_bytes_at_all_are_an_empty_mapping(void **state)
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

static void walking_accepts_what_is_not_there(void **state)
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

static void callers_can_complain_about_a_place(void **state)
{
    (void)state;
    struct kv_conf *conf = parse("a: 1\nbé: {x: 7}\n");
    struct kv_error error;
    const struct kv_conf_node *x =
        kv_conf_node_find(kv_conf_node_find(kv_conf_root(conf), "bé"), "x");
    assert_int_equal(kv_conf_error_at(conf, x, &error, "no %s here", "seven"), -1);
    assert_string_equal(error.text, "conf.yaml:2:9: no seven here");
    assert_int_equal(kv_conf_error_at(conf, NULL, &error, "nothing"), -1);
    assert_string_equal(error.text, "conf.yaml: nothing");
    kv_conf_destroy(conf);
}

static void root_has_to_be_a_mapping(void **state)
{
    (void)state;
    assert_parse_fails("\n- 1\n", "conf.yaml:2:1: the file has to be a mapping (name: value)");
    assert_parse_fails("hello", "conf.yaml:1:1: the file has to be a mapping (name: value)");
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
    assert_parse_fails("a: &x 1\n", "conf.yaml:1:4: anchors (&name) are not supported");
    assert_parse_fails("a: &x [1]\n", "conf.yaml:1:4: anchors (&name) are not supported");
    assert_parse_fails("a: &x {b: 1}\n", "conf.yaml:1:4: anchors (&name) are not supported");
    assert_parse_fails("&x a: 1\n", "conf.yaml:1:1: anchors (&name) are not supported");
    assert_parse_fails("a: *x\n", "conf.yaml:1:4: aliases (*name) are not supported");
    assert_parse_fails("*x : 1\n", "conf.yaml:1:1: aliases (*name) are not supported");
    assert_parse_fails("a: !!str 1\n", "conf.yaml:1:4: tags (!name) are not supported");
    assert_parse_fails("a: ! 1\n", "conf.yaml:1:4: tags (!name) are not supported");
    assert_parse_fails("a: !x [1]\n", "conf.yaml:1:4: tags (!name) are not supported");
    assert_parse_fails("!x a: 1\n", "conf.yaml:1:1: tags (!name) are not supported");
}

static void second_document_is_refused(void **state)
{
    (void)state;
    assert_parse_fails("a: 1\n---\nb: 2\n", "conf.yaml:2:1: a second document");
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

static void nesting_ends_at_32_levels(void **state)
{
    (void)state;
    char text[80] = "a: ";
    memset(text + 3, '[', 31);
    memset(text + 34, ']', 31);
    kv_conf_destroy(parse(text)); /* with the root: 32 */
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
    struct kv_conf *conf = NULL;
    struct kv_error error;
    assert_int_equal(
        kv_conf_parse("x", (struct kv_slice){.bytes = text, .len = LEN}, &conf, &error), -1);
    memset(text, '-', LEN);
    for (size_t i = 1; i < LEN; i += 2)
        text[i] = ' ';
    assert_int_equal(
        kv_conf_parse("x", (struct kv_slice){.bytes = text, .len = LEN}, &conf, &error), -1);
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
    assert_slice_fails(KV_SLICE("a: \377\n"), "conf.yaml:1:4: invalid leading UTF-8 octet");
    assert_slice_fails(KV_SLICE("a: \303(\n"), "conf.yaml:1:5: invalid trailing UTF-8 octet");
    assert_slice_fails(KV_SLICE("a: \303"), "conf.yaml:1:4: incomplete UTF-8 octet sequence");
}

static void unterminated_things_are_refused(void **state)
{
    (void)state;
    assert_parse_fails("a: \"x\n", "conf.yaml:2:1: found unexpected end of stream (while scanning "
                                   "a quoted scalar from line 1 on)");
    assert_parse_fails("a: [1\n", "conf.yaml:2:1: did not find expected ',' or ']' (while parsing "
                                  "a flow sequence from line 1 on)");
    assert_parse_fails("a: {b: 1\n", "conf.yaml:2:1: did not find expected ',' or '}' (while "
                                     "parsing a flow mapping from line 1 on)");
    assert_parse_fails("a: 1\n b: 2\n", "conf.yaml:2:3: mapping values are not allowed in this "
                                        "context");
    assert_parse_fails(
        "a:\n  b: 1\n\tc: 2\n",
        "conf.yaml:3:1: found a tab character that violates indentation (while scanning "
        "a plain scalar from line 2 on)");
}

static void missing_file_says_so(void **state)
{
    (void)state;
    struct kv_conf *conf = NULL;
    struct kv_error error;
    assert_int_equal(kv_conf_load("/nonexistent/conf.yaml", &conf, &error), -1);
    assert_string_equal(error.text,
                        "/nonexistent/conf.yaml: cannot be opened: No such file or directory");
    assert_int_equal(kv_conf_load("/", &conf, &error), -1);
    assert_string_equal(error.text, "/: cannot be read: Is a directory");
    assert_int_equal(kv_conf_load("/dev/zero", &conf, &error), -1);
    assert_string_equal(error.text, "/dev/zero: larger than 1 MiB");
    assert_null(conf);
}

static void file_is_loaded_and_named_in_messages(void **state)
{
    (void)state;
    char path[] = "/tmp/kvserver-conf-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "a: 1\n", 5), 5);
    struct kv_conf *conf = NULL;
    struct kv_error error = {{0}};
    int good = kv_conf_load(path, &conf, &error);
    assert_int_equal(write(file, "a: 2\n", 5), 5);
    struct kv_conf *none = NULL;
    int bad = kv_conf_load(path, &none, &error);
    close(file);
    unlink(path);
    assert_int_equal(good, 0);
    assert_string_equal(kv_conf_node_text(kv_conf_node_find(kv_conf_root(conf), "a")), "1");
    kv_conf_destroy(conf);
    assert_int_equal(bad, -1);
    assert_memory_equal(error.text, path, strlen(path));
    assert_string_equal(error.text + strlen(path), ":2:1: \"a\" is given twice, first in line 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_is_an_empty_mapping),
        cmocka_unit_test(no_bytes_at_all_are_an_empty_mapping),
        cmocka_unit_test(tree_keeps_the_order_of_the_file),
        cmocka_unit_test(walking_accepts_what_is_not_there),
        cmocka_unit_test(unquoted_nothing_tilde_and_null_are_empty),
        cmocka_unit_test(callers_can_complain_about_a_place),
        cmocka_unit_test(root_has_to_be_a_mapping),
        cmocka_unit_test(key_given_twice_names_both_lines),
        cmocka_unit_test(anchors_aliases_and_tags_are_refused),
        cmocka_unit_test(second_document_is_refused),
        cmocka_unit_test(keys_are_plain_text),
        cmocka_unit_test(keys_are_not_expanded),
        cmocka_unit_test(long_key_is_refused),
        cmocka_unit_test(nul_character_is_refused),
        cmocka_unit_test(nesting_ends_at_32_levels),
        cmocka_unit_test(endless_nesting_is_refused_at_once),
        cmocka_unit_test(hundred_thousand_keys_are_read),
        cmocka_unit_test(more_than_1_mib_is_refused),
        cmocka_unit_test(binary_is_refused_with_its_place),
        cmocka_unit_test(unterminated_things_are_refused),
        cmocka_unit_test(missing_file_says_so),
        cmocka_unit_test(file_is_loaded_and_named_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
