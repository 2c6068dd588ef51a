/* The reading of answers to a look at a partition, by the store `redis`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fetch.h"
#include "library.h"
#include "replies.h"
#include "whole.h"

enum {
    NEWEST = 1000,
    N_PARTS = 4,
};

const int64_t library_version = 14;

int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record)
{
    (void)store;
    (void)key;
    (void)ret_record;
    return -1;
}

void fetch_release(struct kv_store *store)
{
    (void)store;
}

void whole_write_check(const struct kv_store *store, struct buffer *out)
{
    (void)store;
    (void)out;
}

bool whole_take_check(struct kv_store *store, const struct resp_value *answer,
                      struct kv_slice reply)
{
    (void)store;
    (void)answer;
    (void)reply;
    return true;
}

/* ---- the host, and the other partitions ---- */

static uint64_t newest_beside[N_PARTS];
static size_t n_logged;

static int64_t now_ms(const struct kv_host *host)
{
    (void)host;
    return 1;
}

KV_PRINTF(3, 4)
static void log_line(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    (void)host;
    (void)level;
    (void)format;
    n_logged++;
}

static void passed(void *context, uint64_t revision)
{
    (void)context;
    (void)revision;
}

static void passed_beside(void *context, uint32_t part, uint64_t newest, uint64_t revision)
{
    (void)context;
    (void)revision;
    if (part < N_PARTS)
        newest_beside[part] = newest;
}

static const struct kv_store_host host = {.base = {.now_ms = now_ms, .log = log_line}};
static const struct neighbours neighbours = {.passed = passed, .passed_beside = passed_beside};

/* ---- tests ---- */

static struct kv_store store;

static int set_up(void **state)
{
    (void)state;
    store = (struct kv_store){.host = &host, .neighbours = &neighbours, .position = NEWEST};
    memset(newest_beside, 0, sizeof(newest_beside));
    n_logged = 0;
    return 0;
}

static enum outcome take(const char *reply)
{
    struct job look = {.kind = JOB_LOOK};
    return reply_take(&store, &look, kv_slice_of(reply));
}

static void the_own_library_or_a_newer_one_is_left(void **state)
{
    (void)state;
    assert_int_equal(take("*4\r\n:2000000000000000\r\n:1000\r\n+epoch\r\n:14\r\n"), OUTCOME_NONE);
    assert_int_equal(take("*4\r\n:2000000000000000\r\n:1000\r\n+epoch\r\n:15\r\n"), OUTCOME_NONE);
    assert_int_equal(n_logged, 0);
}

static void the_library_of_an_older_server_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(take("*4\r\n:2000000000000000\r\n:1000\r\n+epoch\r\n:13\r\n"), OUTCOME_LOST);
    assert_int_equal(n_logged, 1);
    assert_non_null(strstr(store.loss.text, "an older server"));
}

/* It names no version, with others or without. */
static void that_of_a_much_older_one_too(void **state)
{
    (void)state;
    assert_int_equal(take("*3\r\n:2000000000000000\r\n:1000\r\n+epoch\r\n"), OUTCOME_LOST);
    assert_int_equal(take("*5\r\n:2000000000000000\r\n:1000\r\n+epoch\r\n:1\r\n:900\r\n"),
                     OUTCOME_LOST);
}

static void what_it_says_of_others_is_taken(void **state)
{
    (void)state;
    assert_int_equal(take("*8\r\n:2000000000000000\r\n:1000\r\n+epoch\r\n:1\r\n:900\r\n:3\r\n:800"
                          "\r\n:14\r\n"),
                     OUTCOME_NONE);
    assert_int_equal(newest_beside[1], 900);
    assert_int_equal(newest_beside[3], 800);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_own_library_or_a_newer_one_is_left),
        TEST(the_library_of_an_older_server_is_noticed),
        TEST(that_of_a_much_older_one_too),
        TEST(what_it_says_of_others_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
