/* Which partition of a Redis Cluster a key belongs to, and what is stored about that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "placement.h"

enum {
    N_PARTS = 8,
    N_KEYS = 8000,
};

static struct kv_slice name_key(int i, char text[16])
{
    return (struct kv_slice){text, (size_t)snprintf(text, 16, "key/%d", i)};
}

/* The example of the paper: the key 00 … 0f and the text 00 … 0e have the hash a129ca6149be45e5. */
static void keys_are_placed_by_siphash(void **state)
{
    (void)state;
    struct placement placement = {.has_seed = true};
    char text[15];
    for (size_t i = 0; i < SEED_BYTES; i++)
        placement.seed[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    struct kv_slice key = {text, sizeof(text)};
    assert_int_equal(placement_part_of(&placement, key, UINT32_C(1) << 31), 0xa129ca61 >> 1);
}

static void partitions_get_about_as_many_keys(void **state)
{
    (void)state;
    struct placement placement;
    int n_keys[N_PARTS] = {0};
    char text[16];
    assert_true(placement_make(&placement));
    for (int i = 0; i < N_KEYS; i++)
        n_keys[placement_part_of(&placement, name_key(i, text), N_PARTS)]++;
    for (int i = 0; i < N_PARTS; i++)
        assert_in_range(n_keys[i], N_KEYS / N_PARTS / 2, N_KEYS / N_PARTS * 2);
}

static void seeds_place_keys_differently(void **state)
{
    (void)state;
    struct placement one, other;
    char text[16];
    int n_same = 0;
    assert_true(placement_make(&one) && placement_make(&other));
    assert_false(placement_equals(&one, &other));
    for (int i = 0; i < N_KEYS; i++)
        n_same += placement_part_of(&one, name_key(i, text), N_PARTS) ==
                  placement_part_of(&other, name_key(i, text), N_PARTS);
    assert_true(n_same < N_KEYS / 2);
}

static void a_seed_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct placement written, read;
    struct placement_text text;
    assert_true(placement_make(&written));
    placement_write(&written, &text);
    assert_string_equal(text.field, "seed");
    assert_true(placement_read(kv_slice_of(text.value), KV_SLICE(""), KV_SLICE("epoch"), &read));
    assert_true(placement_equals(&written, &read));
    assert_false(placement_read(KV_SLICE("0123"), KV_SLICE(""), KV_SLICE("epoch"), &read));
    assert_false(placement_read(KV_SLICE("0123456789abcdef0123456789abcdeg"), KV_SLICE(""),
                                KV_SLICE("epoch"), &read));
}

/* The keys' partitions must not change with the epoch. */
static void a_store_without_a_seed_keeps_its_first_epoch(void **state)
{
    (void)state;
    struct placement first, later;
    struct placement_text text;
    assert_true(placement_read(KV_SLICE(""), KV_SLICE(""), KV_SLICE("first"), &first));
    placement_write(&first, &text);
    assert_string_equal(text.field, "salt");
    assert_true(placement_read(KV_SLICE(""), kv_slice_of(text.value), KV_SLICE("second"), &later));
    assert_true(placement_equals(&first, &later));
    assert_int_equal(placement_part_of(&first, KV_SLICE("key"), 1000), 518);
}

static void epochs_behind_one_another_differ(void **state)
{
    (void)state;
    char next[KV_EPOCH_MAX], again[KV_EPOCH_MAX], third[KV_EPOCH_MAX];
    placement_next_epoch("0123456789abcdef0123456789abcdef", next);
    placement_next_epoch("0123456789abcdef0123456789abcdef", again);
    placement_next_epoch(next, third);
    assert_string_equal(next, again);
    assert_int_equal(strlen(next), KV_EPOCH_MAX - 1);
    assert_string_not_equal(next, third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_placed_by_siphash),
        cmocka_unit_test(partitions_get_about_as_many_keys),
        cmocka_unit_test(seeds_place_keys_differently),
        cmocka_unit_test(a_seed_is_read_as_it_was_written),
        cmocka_unit_test(a_store_without_a_seed_keeps_its_first_epoch),
        cmocka_unit_test(epochs_behind_one_another_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
