/* The timers' heap, compared with a linear search for the minimum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/heap.h"

enum {
    N = 64
};

static struct kv_heap_node *plain_minimum(struct kv_heap_node nodes[N])
{
    struct kv_heap_node *least = NULL;
    for (size_t i = 0; i < N; i++)
        if (kv_heap_node_is_in(&nodes[i]) && (least == NULL || nodes[i].at < least->at))
            least = &nodes[i];
    return least;
}

static void first_is_always_the_earliest_under_random_moves(void **state)
{
    (void)state;
    struct kv_heap heap = {0};
    struct kv_heap_node nodes[N] = {0};
    srand(7);
    for (int step = 0; step < 20000; step++) {
        struct kv_heap_node *node = &nodes[rand() % N];
        if (rand() % 3 == 0)
            kv_heap_remove(&heap, node);
        else
            kv_heap_put(&heap, node, rand() % 1000);
        struct kv_heap_node *first = kv_heap_first(&heap);
        struct kv_heap_node *least = plain_minimum(nodes);
        assert_int_equal(first == NULL, least == NULL);
        if (first != NULL)
            assert_int_equal(first->at, least->at);
    }
    kv_heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_is_always_the_earliest_under_random_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
