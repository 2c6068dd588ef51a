/*
 * Servers that are killed at random moments under load. KV_TEST_CRASHES=<n>: how often for each
 * durability (a few unless given). KV_TEST_SEED=<n>: to do the same again, as far as times allow.
 * The journal is small, values are longer than its segments, and the numbers of its files pass a
 * million.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client/stream.h"
#include "support/durable/store.h"
#include "support/durable/witness.h"

enum {
    CRASHES = 4,
    FIRST_NUMBER = 999998,   /* of the journal's files */
    LONGEST_MS = 250,        /* under load */
    LONGEST_OPENING_MS = 30, /* until a server is killed while it opens the store */
};

/* Kills a server that is still recovering from the previous crash. */
static void crash_while_opening(struct kv_test_store *store, const char *options)
{
    char *yaml = kv_test_store_yaml(store, options);
    kv_test_server_start_alive(&store->server, yaml);
    kv_test_sleep_ms(random() % LONGEST_OPENING_MS);
    kv_test_server_kill(&store->server);
    free(yaml);
}

static void crash_again_and_again(const char *options)
{
    struct kv_test_store store;
    uint64_t seed = kv_test_setting("KV_TEST_SEED", (uint64_t)kv_test_now_us());
    uint64_t n_crashes = kv_test_setting("KV_TEST_CRASHES", CRASHES);
    struct kv_test_witness *witness = kv_test_witness_create(seed);
    print_message("KV_TEST_SEED=%ju\n", (uintmax_t)seed);
    srandom((unsigned)seed);
    kv_test_store_make(&store);
    kv_test_store_begin_at(&store, FIRST_NUMBER);
    for (uint64_t i = 0; i < n_crashes; i++) {
        kv_test_store_start(&store, options);
        if (i != 0)
            kv_test_witness_check(witness, store.server.port, KV_TEST_ALL, 0);
        kv_test_witness_load(witness, &store.server, 1 + random() % LONGEST_MS);
        if (i % 3 == 1)
            crash_while_opening(&store, options);
    }
    assert_true(kv_test_store_last_number(&store) >= 1000000);
    kv_test_store_start(&store, options);
    kv_test_witness_check(witness, store.server.port, KV_TEST_ALL, 0);
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_start(&store, options);
    kv_test_server_stop_cleanly(&store.server);
    struct kv_test_witness_counts counts = kv_test_witness_counts(witness);
    print_message("%ju crashes: %zu answered, %zu refused, %zu unanswered, %zu told\n",
                  (uintmax_t)n_crashes, counts.answered, counts.refused, counts.unanswered,
                  counts.told);
    kv_test_witness_destroy(witness);
    kv_test_store_remove(&store);
}

static void killed_server_keeps_everything_it_acknowledged(void **state)
{
    (void)state;
    crash_again_and_again(", durability: always");
}

/* Data passed to the system survives the process, synced or not. */
static void killed_server_with_durability_os_keeps_everything_too(void **state)
{
    (void)state;
    crash_again_and_again(", durability: os");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_server_keeps_everything_it_acknowledged),
        cmocka_unit_test(killed_server_with_durability_os_keeps_everything_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
