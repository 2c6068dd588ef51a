/* The deadlines of the durable stores: whatever their number, and whenever the store was opened,
 * each is due on time, in order within its part, and only a bounded number is kept in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "deadlines.h"

enum {
    MANY = 100000,
    MOST_IN_MEMORY = 50000
};

#define START_MS INT64_C(5000000)

static const struct record_clock a_clock = {.offset_ms = 1000};

/* ---- a table of rows, sorted when it is walked ---- */

struct row {
    struct deadline_row key;
    char value[16];
};

struct kv_engine {
    struct row *rows;
    size_t first, n; /* rows[first] … rows[n-1] exist */
    bool is_sorted;
    bool is_broken;
};

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct deadline_row));
}

static void sort(struct kv_engine *engine)
{
    if (!engine->is_sorted)
        qsort(engine->rows + engine->first, engine->n - engine->first, sizeof(struct row), by_key);
    engine->is_sorted = true;
}

static void add_row(struct kv_engine *engine, struct deadline_row key, size_t number)
{
    struct row *row = &engine->rows[engine->n++];
    row->key = key;
    snprintf(row->value, sizeof(row->value), "%zu", number);
    engine->is_sorted = false;
}

static void remove_rows_until(struct kv_engine *engine, int64_t now_ms)
{
    sort(engine);
    while (engine->first < engine->n &&
           deadline_row_ms(&engine->rows[engine->first].key, a_clock) <= now_ms)
        engine->first++;
}

static enum kv_engine_status walk(struct kv_engine *engine, enum kv_engine_table table,
                                  struct kv_slice from, kv_engine_visit_fn visit, void *context)
{
    assert_int_equal(table, KV_ENGINE_DEADLINES);
    if (engine->is_broken)
        return KV_ENGINE_FAILED;
    sort(engine);
    for (size_t i = engine->first; i < engine->n; i++) {
        struct row *row = &engine->rows[i];
        if (memcmp(row->key.bytes, from.bytes, from.len) >= 0 &&
            !visit(context, deadline_row_slice(&row->key), kv_slice_of(row->value)))
            break;
    }
    return KV_ENGINE_OK;
}

static const struct kv_engine_ops ops = {.walk = walk};

static uint64_t hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    return strtoul(key.bytes, NULL, 10) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
}

static const struct kv_store_host host = {.hash = hash};

struct bench {
    struct kv_engine engine;
    struct deadlines deadlines;
};

/* Deadlines in shuffled order, up to seven in the same millisecond. */
static int64_t deadline_of(size_t i)
{
    return START_MS + (int64_t)(i * UINT64_C(7919) % MANY / 7);
}

static struct entry *entry_of(size_t i)
{
    char key[16];
    snprintf(key, sizeof(key), "%zu", i);
    struct kv_slice slice = kv_slice_of(key);
    return entry_create(slice, hash(&host, slice), KV_SLICE("v"), i + 1, deadline_of(i));
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->engine.rows = calloc(MANY, sizeof(struct row));
    deadlines_init(&bench->deadlines, &host, &ops, &bench->engine, a_clock);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    deadlines_fini(&bench->deadlines);
    free(bench->engine.rows);
    free(bench);
    return 0;
}

static void fill_table(struct bench *bench, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_row(&bench->engine, deadline_row(deadline_of(i), i + 1, a_clock), i);
}

/* Takes all deadlines that are due, millisecond by millisecond. Each is returned once, on time. */
static void drain(struct bench *bench, size_t n)
{
    size_t n_taken = 0;
    for (int64_t now_ms = START_MS; n_taken < n && now_ms < START_MS + MANY; now_ms++) {
        deadlines_load(&bench->deadlines, now_ms);
        assert_true(bench->deadlines.n <= MOST_IN_MEMORY);
        for (uint32_t part = 0; part < DEADLINES_PARTS; part++) {
            struct deadline *one;
            while ((one = deadlines_take(&bench->deadlines, part, now_ms)) != NULL) {
                assert_int_equal(one->deadline_ms, now_ms);
                assert_int_equal(one->deadline_ms, deadline_of(one->revision - 1));
                assert_int_equal(deadlines_part(one->hash), part);
                free(one);
                n_taken++;
            }
            assert_true(deadlines_next(&bench->deadlines, part) > now_ms);
        }
        remove_rows_until(&bench->engine, now_ms);
    }
    assert_int_equal(n_taken, n);
}

static void empty_store_has_no_next_deadline(void **state)
{
    struct bench *bench = *state;
    deadlines_load(&bench->deadlines, START_MS);
    for (uint32_t part = 0; part < DEADLINES_PARTS; part++)
        assert_int_equal(deadlines_next(&bench->deadlines, part), KV_NEVER);
}

static void deadlines_from_before_a_restart_are_due_on_time(void **state)
{
    struct bench *bench = *state;
    fill_table(bench, MANY);
    drain(bench, MANY);
}

static void added_deadlines_are_due_on_time(void **state)
{
    struct bench *bench = *state;
    deadlines_load(&bench->deadlines, 0);
    for (size_t i = 0; i < MANY; i++) {
        struct entry *entry = entry_of(i);
        add_row(&bench->engine, deadline_row(deadline_of(i), i + 1, a_clock), i);
        deadlines_add(&bench->deadlines, entry);
        entry_unref(entry);
        deadlines_load(&bench->deadlines, 0);
        assert_true(bench->deadlines.n <= MOST_IN_MEMORY);
    }
    drain(bench, MANY);
}

static void failed_read_of_the_table_is_retried(void **state)
{
    struct bench *bench = *state;
    fill_table(bench, 1000);
    bench->engine.is_broken = true;
    deadlines_load(&bench->deadlines, START_MS - 2000);
    for (uint32_t part = 0; part < DEADLINES_PARTS; part++) {
        assert_true(deadlines_next(&bench->deadlines, part) > START_MS - 2000); /* not at once */
        assert_true(deadlines_next(&bench->deadlines, part) < START_MS);
    }
    bench->engine.is_broken = false;
    drain(bench, 1000);
}

static void deadline_given_back_is_due_again(void **state)
{
    struct bench *bench = *state;
    fill_table(bench, 1);
    deadlines_load(&bench->deadlines, START_MS);
    uint32_t part = deadlines_part(hash(&host, KV_SLICE("0")));
    struct deadline *one = deadlines_take(&bench->deadlines, part, START_MS);
    assert_non_null(one);
    assert_null(deadlines_take(&bench->deadlines, part, START_MS));
    deadlines_give_back(&bench->deadlines, one);
    assert_ptr_equal(deadlines_take(&bench->deadlines, part, START_MS), one);
    free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_store_has_no_next_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadlines_from_before_a_restart_are_due_on_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(added_deadlines_are_due_on_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_read_of_the_table_is_retried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadline_given_back_is_due_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
