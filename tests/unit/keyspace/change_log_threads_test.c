/*
 * The change log and the watermark with threads: writers take revisions like a sharded store, and a
 * reader gets each of them once and in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/mem.h"
#include "keyspace/change_log.h"

enum {
    WRITERS = 3,
    CHANGES = 20000, /* per writer */
    VECTOR = 16,     /* changes per call */
    PAGE = 64
};

static _Atomic uint64_t newest;
static _Atomic int64_t n_references;
static struct kv_change_log the_log;
static struct kv_watermark watermark;

static uint64_t revision(struct kv_store *store)
{
    (void)store;
    return atomic_load(&newest);
}

static void ref(struct kv_store *store, void *item)
{
    (void)store;
    (void)item;
    atomic_fetch_add(&n_references, 1);
}

static void unref(struct kv_store *store, void *item)
{
    (void)store;
    (void)item;
    atomic_fetch_sub(&n_references, 1);
}

static void change(void)
{
    static char state[] = "value";
    struct kv_item after = {
        .value = {state, 5}, .revision = 1, .deadline_ms = KV_NEVER, .ref = state};
    const struct kv_change one = {.reason = KV_REASON_SET,
                                  .revision = atomic_fetch_add(&newest, 1) + 1,
                                  .key = KV_SLICE("k"),
                                  .after = after};
    kv_change_log_append(&the_log, &one);
}

static void *write_all(void *argument)
{
    uint32_t loop = *(uint32_t *)argument;
    for (int i = 0; i < CHANGES / VECTOR; i++) {
        kv_watermark_enter(&watermark, loop);
        for (int k = 0; k < VECTOR; k++)
            change();
        kv_watermark_leave(&watermark, loop);
        kv_change_log_tidy(&the_log);
    }
    return NULL;
}

/* Reads on from `*after`, and asserts that no revision is missing. */
static void read_page(uint64_t *after)
{
    struct kv_log_entry entries[PAGE];
    struct kv_log_page page = {
        .after = *after, .entries = entries, .capacity = PAGE, .most_bytes = SIZE_MAX};
    kv_change_log_read(&the_log, &page);
    assert_int_equal(page.status, KV_OK);
    for (uint32_t i = 0; i < page.n; i++) {
        assert_int_equal(entries[i].revision, *after + 1 + i);
        kv_change_log_release(&the_log, &entries[i]);
    }
    assert_int_equal(page.upto, *after + page.n);
    *after = page.upto;
}

static void a_reader_gets_every_change_of_concurrent_writers(void **state)
{
    (void)state;
    uint32_t indices[WRITERS];
    pthread_t threads[WRITERS];
    struct kv_loop *loops[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        loops[i] = kv_loop_create(i, &kv_clock_boot);
    const struct kv_store_ops ops = {
        .size = sizeof(ops), .revision = revision, .ref = ref, .unref = unref};
    const struct kv_store_link store = {.ops = &ops, .is_sync = true};
    const struct kv_keyspace_parts parts = {.clock = &kv_clock_boot,
                                            .loops = loops,
                                            .n_loops = WRITERS,
                                            .store_ops = &ops,
                                            .store_capabilities = KV_STORE_SYNC,
                                            .log_bytes = 64 << 20,
                                            .log_ms = 3600000};
    kv_watermark_init(&watermark, &store, &parts);
    kv_change_log_init(&the_log, &store, &parts, &watermark);
    kv_change_log_join(&the_log);
    for (uint32_t i = 0; i < WRITERS; i++) {
        indices[i] = i;
        pthread_create(&threads[i], NULL, write_all, &indices[i]);
    }
    for (uint64_t after = 0; after < WRITERS * CHANGES;)
        read_page(&after);
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    kv_change_log_leave(&the_log);
    kv_change_log_end(&the_log);
    kv_change_log_fini(&the_log);
    assert_int_equal(atomic_load(&n_references), 0);
    for (uint32_t i = 0; i < WRITERS; i++)
        kv_loop_destroy(loops[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_gets_every_change_of_concurrent_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
