/* The hash table, compared with an array of its expected content, with colliding hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/table.h"

enum {
    N = 500,
    HASHES = 97
};

struct item {
    struct kv_table_node node;
    bool is_in;
};

static bool is_found(const struct kv_table *table, const struct item *item, uint64_t hash)
{
    bool found = false;
    KV_TABLE_EACH(table, hash, node)
    found = found || node == &item->node;
    return found;
}

static void a_node_is_found_while_present_under_random_changes(void **state)
{
    static struct item items[N];
    struct kv_table table = {0};
    size_t n = 0;
    (void)state;
    srand(7);
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)rand() % N;
        if (items[i].is_in)
            kv_table_remove(&table, &items[i].node);
        else
            kv_table_insert(&table, &items[i].node, i % HASHES);
        items[i].is_in = !items[i].is_in;
        n += items[i].is_in ? 1 : (size_t)-1;
        assert_int_equal(table.n, n);
        assert_int_equal(is_found(&table, &items[i], i % HASHES), items[i].is_in);
    }
    for (size_t i = 0; i < N; i++)
        assert_int_equal(is_found(&table, &items[i], i % HASHES), items[i].is_in);
    kv_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_found_while_present_under_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
