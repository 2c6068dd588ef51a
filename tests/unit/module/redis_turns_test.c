/* The order of the commands of a loop in a Redis Cluster with `order: all`, without one, and when
 * there is no memory to keep it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "turns.h"
#include "worker.h"

enum {
    N_PARTS = 2,
    MOST_SUBMITTED = 16,
};

/* ---- the rest of the store ---- */

static bool has_no_memory;
static bool takes_no_job; /* no partition has memory for one */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    return has_no_memory ? NULL : __real_calloc(n, size);
}

static const struct kv_cmd *submitted[MOST_SUBMITTED];
static uint64_t after[MOST_SUBMITTED];
static size_t n_submitted;

bool worker_submit(struct kv_store *store, const struct job *jobs, size_t n)
{
    (void)store;
    assert_int_equal(n, 1);
    if (takes_no_job)
        return false;
    assert_in_range(n_submitted, 0, MOST_SUBMITTED - 1);
    after[n_submitted] = jobs[0].after;
    submitted[n_submitted++] = jobs[0].cmd;
    return true;
}

/* Keys begin with their partition. */
uint32_t placement_part_of(const struct placement *placement, struct kv_slice key, uint32_t n_parts)
{
    (void)placement;
    (void)n_parts;
    return (uint32_t)(key.bytes[0] - '0');
}

static const struct kv_cmd *given_back;

static void done(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                 size_t n)
{
    (void)host;
    assert_int_equal(loop, 0);
    assert_int_equal(n, 1);
    assert_null(given_back);
    given_back = cmds[0];
}

/* ---- tests ---- */

static const struct kv_store_host host = {.done = done};
static struct kv_store parts[N_PARTS];
static struct cluster cluster;

static int set_up(void **state)
{
    (void)state;
    has_no_memory = takes_no_job = false;
    n_submitted = 0;
    given_back = NULL;
    cluster =
        (struct cluster){.host = &host, .orders_all = true, .n_loops = 1, .n_shards = N_PARTS};
    for (size_t i = 0; i < N_PARTS; i++)
        cluster.shards[i].store = &parts[i];
    cluster.turns = turns_create(1);
    return cluster.turns == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    turns_destroy(cluster.turns, 1);
    return 0;
}

static struct kv_cmd submit(enum kv_op op, const char *key, struct kv_cmd *cmd)
{
    *cmd = (struct kv_cmd){.op = op, .key = kv_slice_of(key), .is_deferred = true};
    turns_submit(&cluster, &(struct job){.kind = JOB_COMMAND, .cmd = cmd});
    return *cmd;
}

static void expect_submitted(size_t n, const struct kv_cmd *last)
{
    assert_int_equal(n_submitted, n);
    assert_ptr_equal(submitted[n - 1], last);
}

static void expect_refused(const struct kv_cmd *cmd)
{
    assert_false(cmd->is_deferred);
    assert_int_equal(cmd->status, KV_FULL);
}

static void a_write_waits_for_those_to_other_partitions(void **state)
{
    (void)state;
    struct kv_cmd first, other, read;
    submit(KV_OP_SET, "0", &first);
    submit(KV_OP_SET, "1", &other);
    submit(KV_OP_GET, "1", &read);
    expect_submitted(1, &first);
    turns_go_on(&cluster, 0, 500);
    expect_submitted(3, &read);
    assert_ptr_equal(submitted[1], &other);
    assert_int_equal(after[1], 500);
}

static void a_write_that_cannot_wait_fails(void **state)
{
    (void)state;
    struct kv_cmd first, other, next;
    submit(KV_OP_SET, "0", &first);
    has_no_memory = true;
    submit(KV_OP_SET, "1", &other);
    expect_submitted(1, &first);
    expect_refused(&other);
    turns_go_on(&cluster, 0, 500);
    submit(KV_OP_SET, "1", &next);
    expect_submitted(2, &next);
}

/* As many writes wait as there is room for. */
static void a_read_that_cannot_wait_fails(void **state)
{
    (void)state;
    static struct kv_cmd waiting[1000];
    struct kv_cmd first, read;
    size_t n = 0;
    submit(KV_OP_SET, "0", &first);
    submit(KV_OP_SET, "1", &waiting[n++]);
    has_no_memory = true;
    while (n < 1000 && submit(KV_OP_SET, "1", &waiting[n]).is_deferred)
        n++;
    expect_refused(&waiting[n]);
    submit(KV_OP_GET, "1", &read);
    expect_refused(&read);
    expect_submitted(1, &first);
}

static void a_write_that_its_partition_does_not_take_fails_at_once(void **state)
{
    (void)state;
    struct kv_cmd refused, next;
    takes_no_job = true;
    submit(KV_OP_SET, "0", &refused);
    expect_refused(&refused);
    takes_no_job = false;
    submit(KV_OP_SET, "1", &next);
    expect_submitted(1, &next);
}

static void a_waiting_write_that_its_partition_does_not_take_is_given_back(void **state)
{
    (void)state;
    struct kv_cmd first, refused, next;
    submit(KV_OP_SET, "0", &first);
    submit(KV_OP_SET, "1", &refused);
    takes_no_job = true;
    turns_go_on(&cluster, 0, 500);
    assert_ptr_equal(given_back, &refused);
    assert_int_equal(refused.status, KV_FULL);
    takes_no_job = false;
    submit(KV_OP_SET, "0", &next);
    expect_submitted(2, &next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_waits_for_those_to_other_partitions),
        TEST(a_write_that_cannot_wait_fails),
        TEST(a_read_that_cannot_wait_fails),
        TEST(a_write_that_its_partition_does_not_take_fails_at_once),
        TEST(a_waiting_write_that_its_partition_does_not_take_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
