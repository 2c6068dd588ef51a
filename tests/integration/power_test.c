/*
 * Power cuts under load (support/power says what they leave). KV_TEST_CUTS=<n>: how many for each
 * durability (a few unless given). KV_TEST_SEED=<n>, and the journal: as for the crash test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/client/stream.h"
#include "support/durable/store.h"
#include "support/durable/witness.h"
#include "support/power/disk.h"

enum {
    CUTS = 4,
    FIRST_NUMBER = 999998, /* of the journal's files */
    LONGEST_MS = 300,      /* under load */
    INTERVAL_MS = 50,
    SLACK_MS = 700, /* that the writer may be late on a busy machine */
    LONGEST_OPENING_MS = 30,
};

struct mode {
    const char *options;
    enum kv_test_promise promise;
    int64_t lost_ms;    /* at most, besides what the last syncs took */
    int64_t longest_ms; /* under load */
};

static void cut_while_opening(struct kv_test_store *store, struct kv_test_disk *disk,
                              const char *options)
{
    char *yaml = kv_test_store_yaml(store, options);
    kv_test_server_start_alive(&store->server, yaml);
    kv_test_sleep_ms(random() % LONGEST_OPENING_MS);
    kv_test_server_kill(&store->server);
    kv_test_disk_cut(disk, (uint64_t)random() * (random() % 2));
    free(yaml);
}

/* The duration of the last sync that ended, and of the one that did not. */
static void check(struct kv_test_witness *witness, const struct kv_test_store *store,
                  const struct mode *mode, struct kv_test_disk *disk)
{
    kv_test_witness_check(witness, store->server.port, mode->promise,
                          mode->lost_ms + 2 * disk->longest_sync_ms);
    disk->longest_sync_ms = 0;
}

static void cut_again_and_again(const struct mode *mode)
{
    struct kv_test_store store;
    struct kv_test_disk disk;
    uint64_t seed = kv_test_setting("KV_TEST_SEED", (uint64_t)kv_test_now_us());
    uint64_t n_cuts = kv_test_setting("KV_TEST_CUTS", CUTS);
    struct kv_test_witness *witness = kv_test_witness_create(seed);
    print_message("KV_TEST_SEED=%ju\n", (uintmax_t)seed);
    srandom((unsigned)seed);
    kv_test_store_make(&store);
    kv_test_store_begin_at(&store, FIRST_NUMBER);
    kv_test_disk_open(&disk, store.disk);
    for (uint64_t i = 0; i < n_cuts; i++) {
        kv_test_store_start(&store, mode->options);
        if (i != 0)
            check(witness, &store, mode, &disk);
        kv_test_witness_load(witness, &store.server, 1 + random() % mode->longest_ms);
        kv_test_disk_cut(&disk, i % 2 == 0 ? 0 : (uint64_t)random() + 1);
        if (i % 3 == 1)
            cut_while_opening(&store, &disk, mode->options);
    }
    assert_true(kv_test_store_last_number(&store) >= 1000000);
    kv_test_store_start(&store, mode->options);
    check(witness, &store, mode, &disk);
    kv_test_server_stop_cleanly(&store.server);
    struct kv_test_witness_counts counts = kv_test_witness_counts(witness);
    print_message("%ju cuts: %zu answered, of them %zu lost; %zu unanswered, %zu told\n",
                  (uintmax_t)n_cuts, counts.answered, counts.lost, counts.unanswered, counts.told);
    kv_test_disk_close(&disk);
    kv_test_witness_destroy(witness);
    kv_test_store_remove(&store);
}

static void no_acknowledged_write_is_lost_if_each_commit_is_synced(void **state)
{
    (void)state;
    cut_again_and_again(&(struct mode){", durability: always", KV_TEST_ALL, 0, LONGEST_MS});
}

static void at_most_the_last_interval_is_lost(void **state)
{
    (void)state;
    char options[64];
    snprintf(options, sizeof(options), ", durability: interval, interval: %dms", INTERVAL_MS);
    cut_again_and_again(&(struct mode){options, KV_TEST_PREFIX, INTERVAL_MS + SLACK_MS,
                                       2 * (INTERVAL_MS + SLACK_MS)});
}

static void only_the_latest_writes_are_lost_if_the_system_syncs(void **state)
{
    (void)state;
    cut_again_and_again(&(struct mode){", durability: os", KV_TEST_PREFIX, INT32_MAX, LONGEST_MS});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_write_is_lost_if_each_commit_is_synced),
        cmocka_unit_test(at_most_the_last_interval_is_lost),
        cmocka_unit_test(only_the_latest_writes_are_lost_if_the_system_syncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
