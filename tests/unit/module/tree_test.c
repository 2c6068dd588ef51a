/*
 * The ordered index of the store memory, compared with a simple model: all possible keys, sorted,
 * and which of them are present. A reference is a key's position among them, or that position plus
 * ANOTHER.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocation.h"
#include "inner.h"
#include "leaf.h"
#include "tree.h"
#include "words.h"

enum {
    KEYS = 6000,
    ANOTHER = 10000,
    LONGEST = 160
};

struct model {
    struct tree tree;
    struct kv_slice keys[KEYS]; /* sorted */
    char bytes[KEYS][LONGEST];
    bool is_in[KEYS];
    size_t n;    /* of all keys */
    size_t n_in; /* of the keys present */
    unsigned seed;
};

static struct kv_slice key_of(const void *context, uint64_t ref)
{
    const struct model *model = context;
    size_t i = ref % ANOTHER;
    assert_true(i < model->n && model->is_in[i]);
    return model->keys[i];
}

static size_t draw(struct model *model, size_t n)
{
    return (size_t)rand_r(&model->seed) % n;
}

/* ---- kinds of keys ---- */

/* Writes the i-th key. Returns: its length. */
typedef size_t (*make_key_fn)(struct model *model, size_t i, char key[LONGEST]);

static size_t make_number(struct model *model, size_t i, char key[LONGEST])
{
    (void)model;
    return (size_t)snprintf(key, LONGEST, "key:%012zu", i);
}

static size_t make_path(struct model *model, size_t i, char key[LONGEST])
{
    static const char *const names[] = {"name", "address/street", "address/city", "", "a"};
    return (size_t)snprintf(key, LONGEST, "a name space that many keys are in/users/%zu/%s",
                            draw(model, i + 1), names[i % 5]);
}

/* A small alphabet that includes the smallest and the largest byte, so that many keys share a
 * prefix. */
static size_t make_noise(struct model *model, size_t i, char key[LONGEST])
{
    static const char alphabet[] = {'\0', 'a', '\x7f', '\x80', '\xff'};
    size_t len = draw(model, 24);
    for (size_t j = 0; j < len; j++)
        key[j] = alphabet[draw(model, sizeof(alphabet))];
    (void)i;
    return len;
}

/* One byte repeated: each key is a prefix of the next. */
static size_t make_run(struct model *model, size_t i, char key[LONGEST])
{
    (void)model;
    memset(key, '\0', LONGEST);
    return i % LONGEST;
}

static int by_key(const void *a, const void *b)
{
    return kv_slice_compare(*(const struct kv_slice *)a, *(const struct kv_slice *)b);
}

static void sort_keys(struct model *model, size_t n)
{
    qsort(model->keys, n, sizeof(model->keys[0]), by_key);
    model->n = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !kv_slice_equals(model->keys[i], model->keys[model->n - 1]))
            model->keys[model->n++] = model->keys[i];
}

static struct model *model_create(make_key_fn make)
{
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    model->seed = 1;
    for (size_t i = 0; i < KEYS; i++)
        model->keys[i] = (struct kv_slice){model->bytes[i], make(model, i, model->bytes[i])};
    sort_keys(model, KEYS);
    tree_init(&model->tree, (struct tree_keys){.of = key_of, .context = model});
    return model;
}

static void model_destroy(struct model *model)
{
    tree_fini(&model->tree);
    free(model);
}

/* ---- invariants of every node ---- */

static void assert_words(const struct model *model, struct leaf *leaf)
{
    assert_true(leaf->node.n <= leaf->node.capacity && leaf->node.capacity <= LEAF_MOST);
    for (size_t i = 0; i < leaf->node.n; i++) {
        struct kv_slice key = key_of(model, leaf_refs(leaf)[i]);
        assert_true(key.len >= leaf->node.skip);
        assert_int_equal(leaf_words(leaf)[i], word_of(key, leaf->node.skip));
    }
}

/* Returns: the number of levels below and including the node; each key is at or after `low`, and
 * before `high`. */
static size_t assert_sound(const struct model *model, struct node *node, const struct text *low,
                           const struct text *high)
{
    assert_true(node->n <= (node->is_leaf ? LEAF_MOST : INNER_MOST));
    if (node->is_leaf) {
        struct leaf *leaf = leaf_of(node);
        assert_words(model, leaf);
        for (size_t i = 0; i < node->n; i++) {
            struct kv_slice key = key_of(model, leaf_refs(leaf)[i]);
            assert_true(low == NULL || kv_slice_compare(text_slice(low), key) <= 0);
            assert_true(high == NULL || kv_slice_compare(key, text_slice(high)) < 0);
        }
        return 1;
    }
    struct inner *inner = inner_of(node);
    size_t levels = 0;
    for (size_t i = 0; i <= node->n; i++) {
        const struct text *from = i == 0 ? low : inner->separators[i - 1];
        const struct text *to = i == node->n ? high : inner->separators[i];
        size_t n = assert_sound(model, inner->children[i], from, to);
        assert_true(i == 0 || n == levels);
        levels = n;
    }
    return levels + 1;
}

/* ---- comparing ---- */

/* Reads `max` entries from the position, and expects those of the model. */
static void assert_read(struct model *model, const struct tree_position *from, size_t max)
{
    static uint64_t refs[KEYS + 1];
    size_t n = tree_read(&model->tree, from, refs, max);
    size_t n_expected = 0;
    for (size_t i = 0; i < model->n && n_expected < max; i++) {
        int order = kv_slice_compare(model->keys[i], from->key);
        if (!model->is_in[i] || order < 0 || (order == 0 && from->is_behind))
            continue;
        assert_true(n_expected < n);
        assert_int_equal(refs[n_expected++], i);
    }
    assert_int_equal(n, n_expected);
}

static void assert_all(struct model *model)
{
    assert_read(model, &(struct tree_position){.is_behind = false}, KEYS + 1);
    if (model->tree.root != NULL)
        assert_sound(model, model->tree.root, NULL, NULL);
    assert_int_equal(model->tree.root == NULL, model->n_in == 0);
}

/* From a key, or from a part of a key with an extension. */
static void assert_some_read(struct model *model)
{
    struct kv_slice key = model->keys[draw(model, model->n)];
    char bytes[LONGEST + 1];
    struct tree_position from = {.key = key, .is_behind = draw(model, 2) == 0};
    if (draw(model, 2) == 0 && key.len > 0) {
        size_t len = draw(model, key.len);
        memcpy(bytes, key.bytes, len);
        bytes[len] = (char)draw(model, 256);
        from.key = (struct kv_slice){bytes, len + draw(model, 2)};
    }
    assert_read(model, &from, draw(model, 200));
}

/* ---- changing ---- */

/* With each allocation failing in turn, until none fails. place: the position of the key, as found
 * earlier. */
static size_t put_at(struct model *model, size_t i, const struct tree_place *place)
{
    for (size_t n = 1;; n++) {
        failing_allocation = n;
        bool is_done = tree_insert(&model->tree, model->keys[i], i, place);
        failing_allocation = 0;
        if (is_done) {
            model->is_in[i] = true;
            model->n_in++;
            return n - 1;
        }
    }
}

static size_t put(struct model *model, size_t i)
{
    return put_at(model, i, &(struct tree_place){0});
}

static void take(struct model *model, size_t i)
{
    model->is_in[i] = false; /* its key may not be compared */
    model->n_in--;
    tree_remove(&model->tree, model->keys[i], i);
}

static void toggle(struct model *model, size_t i)
{
    if (model->is_in[i])
        take(model, i);
    else
        put(model, i);
}

/* Grows to about `most` keys and shrinks to none, twice, in random order. */
static void change_at_random(make_key_fn make)
{
    struct model *model = model_create(make);
    for (size_t turn = 0; turn < 4; turn++)
        for (size_t i = 0; i < 4 * model->n; i++) {
            size_t at = draw(model, model->n);
            bool is_growing = turn % 2 == 0;
            if (model->is_in[at] != is_growing || draw(model, 4) == 0)
                toggle(model, at);
            if (i % 64 == 0)
                assert_some_read(model);
            if (i % 1024 == 0)
                assert_all(model);
        }
    for (size_t i = 0; i < model->n; i++)
        if (model->is_in[i])
            take(model, i);
    assert_all(model);
    model_destroy(model);
}

static void tree_matches_the_model_with_numbers(void **state)
{
    (void)state;
    change_at_random(make_number);
}

static void tree_matches_the_model_with_paths(void **state)
{
    (void)state;
    change_at_random(make_path);
}

static void tree_matches_the_model_with_random_keys(void **state)
{
    (void)state;
    change_at_random(make_noise);
}

static void tree_matches_the_model_with_prefixes_of_each_other(void **state)
{
    (void)state;
    change_at_random(make_run);
}

enum {
    AHEAD = 8 /* keys looked up together */
};

/* Looks up some missing keys, each only partly. Returns: their number. */
static size_t fetch_some(struct model *model, size_t *keys, struct tree_place *places)
{
    size_t n = 0;
    for (size_t i = 0; i < AHEAD; i++) {
        size_t at = draw(model, model->n);
        if (model->is_in[at])
            continue;
        places[n] = (struct tree_place){0};
        for (size_t levels = draw(model, 6);
             levels > 0 && tree_fetch(&model->tree, model->keys[at], &places[n]); levels--)
            ;
        keys[n++] = at;
    }
    return n;
}

/* Earlier insertions and removals of other keys split and merge nodes in between, and remove the
 * last leaf. */
static void key_looked_up_in_advance_is_inserted_at_its_place(void **state)
{
    struct model *model = model_create(make_path);
    size_t keys[AHEAD];
    struct tree_place places[AHEAD];
    (void)state;
    for (size_t round = 0; round < 4 * model->n; round++) {
        bool is_growing = round / model->n % 2 == 0;
        size_t n = fetch_some(model, keys, places);
        for (size_t i = 0; i < model->n / 128 && !is_growing; i++) {
            size_t at = draw(model, model->n);
            if (model->is_in[at])
                take(model, at);
        }
        for (size_t i = 0; i < n; i++)
            if (!model->is_in[keys[i]] && (is_growing || i == 0))
                put_at(model, keys[i], &places[i]);
        if (round % 256 == 0)
            assert_all(model);
    }
    assert_all(model);
    model_destroy(model);
}

/* Ascending and descending, inserting and removing. */
static void tree_accepts_keys_in_sorted_order(void **state)
{
    struct model *model = model_create(make_number);
    (void)state;
    for (size_t i = 0; i < model->n; i++)
        put(model, i);
    assert_all(model);
    for (size_t i = model->n; i-- > 0;)
        take(model, i);
    assert_all(model);
    for (size_t i = model->n; i-- > 0;)
        put(model, i);
    assert_all(model);
    for (size_t i = 0; i < model->n; i++)
        take(model, i);
    assert_all(model);
    model_destroy(model);
}

static void insertion_without_memory_changes_nothing(void **state)
{
    struct model *model = model_create(make_path);
    size_t n_failed = 0;
    (void)state;
    for (size_t i = 0; i < model->n; i++) {
        failing_allocation = 1;
        bool is_done = tree_insert(&model->tree, model->keys[i], i, &(struct tree_place){0});
        bool has_failed = failing_allocation == 0;
        failing_allocation = 0;
        assert_true(is_done != has_failed);
        if (has_failed && i % 16 == 0)
            assert_all(model);
        n_failed += has_failed;
        if (is_done) {
            model->is_in[i] = true;
            model->n_in++;
        } else {
            put(model, i);
        }
    }
    assert_true(n_failed > model->n / 16);
    assert_all(model);
    model_destroy(model);
}

/* Nodes that cannot be merged stay as they are, and are merged or removed later. */
static void keys_can_be_removed_without_memory(void **state)
{
    struct model *model = model_create(make_path);
    (void)state;
    for (size_t i = 0; i < model->n; i++)
        put(model, i);
    while (model->n_in > 0) {
        size_t at = draw(model, model->n);
        while (!model->is_in[at])
            at = (at + 1) % model->n;
        failing_allocation = 1 + draw(model, 2);
        take(model, at);
        failing_allocation = 0;
        if (model->n_in % 512 == 0)
            assert_all(model);
    }
    assert_all(model);
    model_destroy(model);
}

static void replaced_reference_is_found(void **state)
{
    struct model *model = model_create(make_noise);
    uint64_t ref;
    (void)state;
    for (size_t i = 0; i < model->n; i++)
        put(model, i);
    for (size_t i = 0; i < model->n; i++) {
        struct tree_position from = {.key = model->keys[i]};
        tree_replace(&model->tree, from.key, i, ANOTHER + i);
        assert_int_equal(tree_read(&model->tree, &from, &ref, 1), 1);
        assert_int_equal(ref, ANOTHER + i);
        tree_replace(&model->tree, from.key, ANOTHER + i, i);
    }
    assert_all(model);
    model_destroy(model);
}

/* ---- memory ---- */

static size_t n_bytes(struct node *node)
{
    if (node->is_leaf)
        return sizeof(struct leaf) + 16 * (size_t)node->capacity +
               8 * (size_t)leaf_of(node)->n_head;
    struct inner *inner = inner_of(node);
    size_t n = sizeof(*inner);
    for (size_t i = 0; i < node->n; i++)
        n += sizeof(struct text) + inner->separators[i]->len;
    for (size_t i = 0; i <= node->n; i++)
        n += n_bytes(inner->children[i]);
    return n;
}

static void assert_small(struct model *model)
{
    size_t n = n_bytes(model->tree.root);
    assert_true(n <= 24 * model->n_in);
}

/* In any order of insertion. */
static void key_takes_at_most_24_bytes(void **state)
{
    struct model *model = model_create(make_number);
    (void)state;
    for (size_t i = 0; i < model->n; i++)
        put(model, i);
    assert_small(model);
    for (size_t i = 0; i < model->n; i++)
        take(model, i);
    while (model->n_in < model->n * 3 / 4) {
        size_t at = draw(model, model->n);
        if (!model->is_in[at])
            put(model, at);
    }
    assert_small(model);
    model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_matches_the_model_with_numbers),
        cmocka_unit_test(tree_matches_the_model_with_paths),
        cmocka_unit_test(tree_matches_the_model_with_random_keys),
        cmocka_unit_test(tree_matches_the_model_with_prefixes_of_each_other),
        cmocka_unit_test(key_looked_up_in_advance_is_inserted_at_its_place),
        cmocka_unit_test(tree_accepts_keys_in_sorted_order),
        cmocka_unit_test(insertion_without_memory_changes_nothing),
        cmocka_unit_test(keys_can_be_removed_without_memory),
        cmocka_unit_test(replaced_reference_is_found),
        cmocka_unit_test(key_takes_at_most_24_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
