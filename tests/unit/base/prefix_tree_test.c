/* The tree of prefixes, compared with a scan of all texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/prefix_tree.h"

enum {
    LONGEST = 7,
    TEXTS = 3000,
    STEPS = 30000,
    LOOKS = 3
};

struct text {
    struct kv_prefix_leaf leaf;
    char bytes[LONGEST];
    bool is_in;
};

static struct text texts[TEXTS];
static struct kv_prefix_tree tree;

/* A small alphabet that includes 0 and 255, so that many texts are prefixes of others. */
static struct kv_slice random_text(char bytes[LONGEST])
{
    static const char letters[] = {0, 'a', 'b', (char)255};
    size_t len = (size_t)rand() % (LONGEST + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = letters[(size_t)rand() % sizeof(letters)];
    return (struct kv_slice){bytes, len};
}

static struct text *find_in_array(struct kv_slice text)
{
    for (size_t i = 0; i < TEXTS; i++)
        if (texts[i].is_in && kv_slice_equals(texts[i].leaf.text, text))
            return &texts[i];
    return NULL;
}

static void insert_or_remove_one(void)
{
    struct text *text = &texts[(size_t)rand() % TEXTS];
    if (text->is_in) {
        kv_prefix_tree_remove(&tree, &text->leaf);
        text->is_in = false;
        return;
    }
    text->leaf.text = random_text(text->bytes);
    struct text *twin = find_in_array(text->leaf.text);
    assert_ptr_equal(kv_prefix_tree_find(&tree, text->leaf.text),
                     twin == NULL ? NULL : &twin->leaf);
    if (twin != NULL)
        return;
    kv_prefix_tree_insert(&tree, &text->leaf);
    text->is_in = true;
}

static size_t count_in_array(struct kv_slice key)
{
    size_t n = 0;
    for (size_t i = 0; i < TEXTS; i++)
        n += texts[i].is_in && kv_slice_has_prefix(key, texts[i].leaf.text);
    return n;
}

static void expect_all_prefixes_of(struct kv_slice key)
{
    struct kv_prefix_walk walk = kv_prefix_tree_walk(&tree, key);
    struct kv_prefix_leaf *leaf, *before = NULL;
    size_t n = 0;
    for (; (leaf = kv_prefix_walk_next(&walk)) != NULL; n++) {
        assert_true(kv_slice_has_prefix(key, leaf->text));
        assert_true(before == NULL || before->text.len < leaf->text.len);
        before = leaf;
    }
    assert_int_equal(n, count_in_array(key));
    assert_null(kv_prefix_walk_next(&walk));
}

static void every_prefix_of_a_key_is_found_under_random_changes(void **state)
{
    char bytes[LONGEST];
    (void)state;
    srand(15);
    for (int step = 0; step < STEPS; step++) {
        insert_or_remove_one();
        for (int i = 0; step % 10 == 0 && i < LOOKS; i++)
            expect_all_prefixes_of(random_text(bytes));
    }
    for (size_t i = 0; i < TEXTS; i++)
        if (texts[i].is_in)
            kv_prefix_tree_remove(&tree, &texts[i].leaf);
    assert_null(tree.root);
}

static void an_empty_tree_finds_nothing(void **state)
{
    struct kv_prefix_tree empty = {0};
    (void)state;
    assert_null(kv_prefix_tree_find(&empty, KV_SLICE("")));
    struct kv_prefix_walk walk = kv_prefix_tree_walk(&empty, KV_SLICE("key"));
    assert_null(kv_prefix_walk_next(&walk));
}

static void the_empty_text_is_a_prefix_of_every_key(void **state)
{
    struct kv_prefix_tree one = {0};
    struct kv_prefix_leaf leaf = {.text = KV_SLICE("")};
    (void)state;
    kv_prefix_tree_insert(&one, &leaf);
    struct kv_prefix_walk of_empty = kv_prefix_tree_walk(&one, KV_SLICE(""));
    struct kv_prefix_walk of_key = kv_prefix_tree_walk(&one, KV_SLICE("key"));
    assert_ptr_equal(kv_prefix_walk_next(&of_empty), &leaf);
    assert_ptr_equal(kv_prefix_walk_next(&of_key), &leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_of_a_key_is_found_under_random_changes),
        cmocka_unit_test(an_empty_tree_finds_nothing),
        cmocka_unit_test(the_empty_text_is_a_prefix_of_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
