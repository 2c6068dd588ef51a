/* The checksum of a backup equals the output of sha256sum(1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/backup_sum.h"

static void the_sum_of_no_parts_is_that_of_an_empty_text(void **state)
{
    char text[KV_BACKUP_SUM + 1];
    struct kv_backup_sum *sum = kv_backup_sum_create();
    (void)state;
    kv_backup_sum_print(sum, text);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    kv_backup_sum_destroy(sum);
}

/* FIPS 180-2, B.1. */
static void parts_are_summed_as_one_text(void **state)
{
    char text[KV_BACKUP_SUM + 1];
    struct kv_backup_sum *sum = kv_backup_sum_create();
    (void)state;
    kv_backup_sum_add(sum, KV_SLICE("a"));
    kv_backup_sum_add(sum, KV_SLICE(""));
    kv_backup_sum_add(sum, KV_SLICE("bc"));
    kv_backup_sum_print(sum, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    kv_backup_sum_destroy(sum);
}

static void destroy_accepts_null(void **state)
{
    (void)state;
    kv_backup_sum_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_of_no_parts_is_that_of_an_empty_text),
        cmocka_unit_test(parts_are_summed_as_one_text),
        cmocka_unit_test(destroy_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
