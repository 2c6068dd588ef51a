/*
 * A store under test, with a host that the tests own: its clock stands still until a test moves
 * it, every change is kept, every promise that can be watched from outside is watched all the
 * time, and completions are waited for, so that a store may answer at once or late.
 *
 * A test gets a store of its own, opened anew. What the host sees go wrong on a thread of the store
 * is noted and fails the test at the next wait, or at its end.
 */
#ifndef KV_CONTRACT_FIXTURE_H
#define KV_CONTRACT_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "module/module.h"

enum {
    N_LOOPS = 4,
    MAX_PARTS = 4096,
    SCAN_CAPACITY = 64
};

/* The clocks' first readings. */
#define START_MS      INT64_C(1000000)
#define START_WALL_US INT64_C(1700000000000000)

/* A change as it was told, with references of its own; or, of a restless fixture, with a copy of
 * its key and without values, so that what the store lets go of is gone. */
struct told {
    uint32_t part;
    struct kv_change change;
    char *key_copy;
};

/* The last deadline that was told without a change. */
struct told_touch {
    char key[64]; /* as far as it fits */
    uint64_t revision;
    int64_t deadline_ms;
};

/* A change as it was shown to observers, with a copy of its key. */
struct shown {
    uint32_t part;
    uint64_t claim;
    uint16_t mark;
    enum kv_reason reason;
    uint64_t revision;
    char *key;
    size_t key_len;
};

struct fixture {
    struct kv_store_host host;
    const struct kv_store_ops *ops;
    uint64_t capabilities;
    struct kv_store *store;
    struct kv_store_info info;
    char folder[32]; /* this test's, for stores with files */

    _Atomic int64_t now_ms;
    atomic_bool is_telling;  /* a change, in a store with KV_STORE_IN_ORDER */
    atomic_bool may_show;    /* observers have room */
    atomic_bool is_restless; /* threads are held up where the store asks the host something */
    _Atomic int64_t wake_at_ms[MAX_PARTS]; /* the earliest asked for */
    int64_t woken_at_ms[MAX_PARTS];        /* the latest asked for; under the lock */
    uint64_t n_wakes[MAX_PARTS];           /* how often; under the lock */

    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t arrived;
    struct told *told; /* may be read without the lock while no command is under way */
    size_t n_told;
    struct told_touch touch; /* under the lock */
    size_t n_touches;        /* the same */
    size_t capacity;
    struct shown *shown; /* KV_STORE_SHOWS: those that were not forgotten */
    size_t n_shown, shown_capacity;
    struct shown latest[MAX_PARTS]; /* of each part */
    char violation[256];            /* the first one seen; empty: none */
};

/* A command under way: set `cmd` up by one of the makers below. */
struct call {
    struct kv_cmd cmd;
    void *context; /* for the function of an UPDATE, which finds the call by KV_CONTAINER */
    uint32_t loop;
    uint64_t revision_before; /* the store's, when it was submitted; 0: unknown */
    bool is_done;             /* came back by done(); under the fixture's lock */
};

/* A scan under way, with room for its page. */
struct page {
    struct kv_scan scan;
    struct kv_scan_entry entries[SCAN_CAPACITY];
    uint32_t loop;
    bool is_done;
};

/* A page of the log under way, with room for it. */
struct log_page {
    struct kv_log_page page;
    struct kv_log_entry entries[SCAN_CAPACITY];
    uint32_t loop;
    bool is_done;
};

/* Every test's setup and teardown. */
int fixture_open(void **state);
int fixture_close(void **state);

/* Closes the store; opens what it left by open_to_read(), which has to follow. */
void fixture_close_store(struct fixture *fixture);
void fixture_open_to_read(struct fixture *fixture);
/* Closes the store in order, and opens it again; forgets what was told. */
void fixture_reopen(struct fixture *fixture);

/* open_to_read() of a store that is not there, in the empty folder `path`. Returns: its result. */
int fixture_read_nothing(struct fixture *fixture, const char *path, struct kv_error *reterr);

/* The module under test, and its options for a store in another folder. Owns: the caller, by
 * options_destroy(). */
const struct kv_module *fixture_module(void);
struct kv_option_value *fixture_options(const char *folder);

/* What the program was called with. */
void fixture_configure(const struct kv_loaded_module *module, int n_settings, char **settings);

/* ---- making commands ---- */

struct call call_get(struct kv_slice key);
struct call call_set(struct kv_slice key, struct kv_slice value);
struct call call_set_until(struct kv_slice key, struct kv_slice value, int64_t deadline_ms);
struct call call_delete(struct kv_slice key);
struct call call_touch(struct kv_slice key, int64_t deadline_ms);
struct call call_update(struct kv_slice key, kv_update_fn compute, void *context);
struct call with_cond(struct call call, uint32_t cond);
/* `revisions` are borrowed. */
struct call with_revisions(struct call call, const uint64_t *revisions, size_t n);

/* ---- running them ---- */

/* Submits one vector from the loop. Threads: any, one at a time for each loop. */
void submit(struct fixture *fixture, uint32_t loop, struct call *calls, size_t n);
/* Returns: whether all came back within a long time; noted as a violation otherwise. May be called
 * from any thread. */
bool wait_for(struct fixture *fixture, struct call *calls, size_t n);
/* Both, on loop 0, for one command; fails the test where the store breaks its promises. */
struct call run(struct fixture *fixture, struct call call);
void run_all(struct fixture *fixture, struct call *calls, size_t n);

/* One page of a scan on loop 0; `page->scan` has prefix and cursor. */
void run_scan(struct fixture *fixture, struct page *page);
void release_page(struct fixture *fixture, struct page *page);

/* One page of the log on loop 0; `page->page` has `after` and what is wanted. */
void run_log(struct fixture *fixture, struct log_page *page);
void release_log(struct fixture *fixture, struct log_page *page);

/* Gives the item's reference back, if it has one. */
void release(struct fixture *fixture, struct kv_item *item);

/* expire() of the part at the clock's time. Returns: the next deadline, waited for where the store
 * leaves the expiry to a thread of its own. Threads: one at a time for each part. */
int64_t expire_part(struct fixture *fixture, uint32_t part, uint32_t max);

/* The same for every part until nothing is due. */
void expire_all(struct fixture *fixture);

void advance(struct fixture *fixture, int64_t ms);
int64_t now(struct fixture *fixture);

/* Something went wrong on any thread. */
void note_violation(struct fixture *fixture, const char *format, ...) KV_PRINTF(2, 3);
void assert_no_violation(struct fixture *fixture);

/* Skips the test where the store does not claim the capability. */
void skip_without(const struct fixture *fixture, enum kv_store_capability capability);

/* ---- shorter still ---- */

/* Sets and expects OK. Returns: the revision. */
uint64_t put(struct fixture *fixture, struct kv_slice key, struct kv_slice value);
uint64_t put_until(struct fixture *fixture, struct kv_slice key, struct kv_slice value,
                   int64_t deadline_ms);

void assert_status(struct fixture *fixture, struct call call, enum kv_status expected);
void assert_holds(struct fixture *fixture, struct kv_slice key, struct kv_slice value);
void assert_missing(struct fixture *fixture, struct kv_slice key);
void assert_slice(struct kv_slice actual, struct kv_slice expected);

/* Waits until so many changes have been shown, and not more. */
void await_shown(struct fixture *fixture, size_t n);
/* Forgets those. */
void forget_shown(struct fixture *fixture);

/* Forgets the changes told so far. */
void forget_changes(struct fixture *fixture);
void assert_n_told(struct fixture *fixture, size_t n);
/* The i-th change told; `before` and `after` are values, NULL where there is to be none. */
const struct kv_change *assert_told(struct fixture *fixture, size_t i, enum kv_reason reason,
                                    struct kv_slice key, const char *before, const char *after);

#define CONTRACT_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

/* The suite's parts: each runs its group. Returns: how many tests failed. */
int run_command_tests(void);
int run_condition_tests(void);
int run_expiry_tests(void);
int run_order_tests(void);
int run_scan_tests(void);
int run_thread_tests(void);
int run_random_tests(void);
int run_linear_tests(void);
int run_reading_tests(void);
int run_check_tests(void);
int run_metrics_tests(void);
int run_update_tests(void);
int run_seek_tests(void);
int run_long_key_tests(void);
int run_revision_tests(void);
int run_log_tests(void);
int run_showing_tests(void);

#endif
