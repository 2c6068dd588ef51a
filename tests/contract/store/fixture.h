/*
 * A store under test, with a host that the tests own. The host's clock moves only when a test moves
 * it. The host keeps every change, checks continuously every promise that can be observed from
 * outside, and waits for completions, so that a store may answer at once or late.
 *
 * Each test opens a new store. Violations that the host observes on a thread of the store are
 * recorded, and fail the test at its next wait or at its end.
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

/* The initial readings of the clocks. */
#define START_MS      INT64_C(1000000)
#define START_WALL_US INT64_C(1700000000000000)

/* A change as the store told it, with references of its own. A restless fixture keeps a copy of the
 * key and no values instead, so that entries released by the store are freed. */
struct told {
    uint32_t part;
    struct kv_change change;
    char *key_copy;
};

/* The latest deadline that was told without a change. */
struct told_touch {
    char key[64]; /* truncated */
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
    char folder[32]; /* of this test, for stores with files */

    _Atomic int64_t now_ms;
    atomic_bool is_telling;                /* changed() is running; with KV_STORE_IN_ORDER */
    atomic_bool may_show;                  /* the answer of may_show() */
    atomic_bool is_restless;               /* threads yield in the host's functions */
    _Atomic int64_t wake_at_ms[MAX_PARTS]; /* the earliest requested */
    int64_t woken_at_ms[MAX_PARTS];        /* the latest requested; under the lock */
    uint64_t n_wakes[MAX_PARTS];           /* the number of requests; under the lock */

    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t arrived;
    struct told *told; /* may be read without the lock while no command is under way */
    size_t n_told;
    struct told_touch touch; /* under the lock */
    size_t n_touches;        /* the same */
    size_t capacity;
    struct shown *shown; /* KV_STORE_SHOWS: changes not yet forgotten */
    size_t n_shown, shown_capacity;
    struct shown latest[MAX_PARTS]; /* one per part */
    char violation[256];            /* the first one seen; empty if there is none */
};

/* A command in progress: initialize `cmd` with one of the makers below. */
struct call {
    struct kv_cmd cmd;
    void *context; /* for the function of an UPDATE, which finds the call by KV_CONTAINER */
    uint32_t loop;
    uint64_t revision_before; /* the store's at submission; 0: unknown */
    bool is_done;             /* done() was called; under the fixture's lock */
};

/* A scan in progress, with room for its page. */
struct page {
    struct kv_scan scan;
    struct kv_scan_entry entries[SCAN_CAPACITY];
    uint32_t loop;
    bool is_done;
};

/* A page of the log in progress, with room for its entries. */
struct log_page {
    struct kv_log_page page;
    struct kv_log_entry entries[SCAN_CAPACITY];
    uint32_t loop;
    bool is_done;
};

/* Every test's setup and teardown. */
int fixture_open(void **state);
int fixture_close(void **state);

/* fixture_close_store() closes the store; fixture_open_to_read() must follow: it opens the files
 * that the store left, by open_to_read(). */
void fixture_close_store(struct fixture *fixture);
void fixture_open_to_read(struct fixture *fixture);
/* Closes the store in order and opens it again; forgets the changes told so far. */
void fixture_reopen(struct fixture *fixture);

/* open_to_read() in the empty folder `path`, where no store exists. Returns: its result. */
int fixture_read_nothing(struct fixture *fixture, const char *path, struct kv_error *reterr);

/* The module under test, and its options for a store in another folder. Owns: the caller, by
 * options_destroy(). */
const struct kv_module *fixture_module(void);
struct kv_option_value *fixture_options(const char *folder);

/* Takes the arguments of the program. */
void fixture_configure(const struct kv_loaded_module *module, int n_settings, char **settings);

/* ---- making commands ---- */

struct call call_get(struct kv_slice key);
struct call call_set(struct kv_slice key, struct kv_slice value);
struct call call_set_until(struct kv_slice key, struct kv_slice value, int64_t deadline_ms);
struct call call_delete(struct kv_slice key);
struct call call_touch(struct kv_slice key, int64_t deadline_ms);
struct call call_catch_up(void);
struct call call_update(struct kv_slice key, kv_update_fn compute, void *context);
struct call with_cond(struct call call, uint32_t cond);
/* `revisions` are borrowed. */
struct call with_revisions(struct call call, const uint64_t *revisions, size_t n);
struct call with_deadline(struct call call, int64_t if_deadline_ms);
struct call keeping_deadline(struct call call);

/* ---- running them ---- */

/* Submits one vector from the loop. Threads: any, one at a time for each loop. */
void submit(struct fixture *fixture, uint32_t loop, struct call *calls, size_t n);
/* Returns: whether all commands completed within a long time; if not, that is recorded as a
 * violation. Threads: any. */
bool wait_for(struct fixture *fixture, struct call *calls, size_t n);
/* submit() and wait_for() on loop 0, for one command; fails the test if the store breaks a
 * promise. */
struct call run(struct fixture *fixture, struct call call);
void run_all(struct fixture *fixture, struct call *calls, size_t n);

/* One page of a scan on loop 0; `page->scan` holds prefix and cursor. */
void run_scan(struct fixture *fixture, struct page *page);
void release_page(struct fixture *fixture, struct page *page);

/* One page of the log on loop 0; `page->page` holds `after` and the filter. */
void run_log(struct fixture *fixture, struct log_page *page);
void release_log(struct fixture *fixture, struct log_page *page);

/* Releases the item's reference, if it has one. */
void release(struct fixture *fixture, struct kv_item *item);

/* expire() of the part at the clock's time. Returns: the next deadline; if the store leaves the
 * expiry to a thread of its own, waits for it. Threads: one at a time per part. */
int64_t expire_part(struct fixture *fixture, uint32_t part, uint32_t max);

/* The same for every part, until nothing is due. */
void expire_all(struct fixture *fixture);

void advance(struct fixture *fixture, int64_t ms);
int64_t now(struct fixture *fixture);

/* Records a violation, on any thread. */
void note_violation(struct fixture *fixture, const char *format, ...) KV_PRINTF(2, 3);
void assert_no_violation(struct fixture *fixture);

/* Skips the test if the store does not claim the capability. */
void skip_without(const struct fixture *fixture, enum kv_store_capability capability);

/* ---- shorthands ---- */

/* Sets and expects OK. Returns: the revision. */
uint64_t put(struct fixture *fixture, struct kv_slice key, struct kv_slice value);
uint64_t put_until(struct fixture *fixture, struct kv_slice key, struct kv_slice value,
                   int64_t deadline_ms);

void assert_status(struct fixture *fixture, struct call call, enum kv_status expected);
void assert_holds(struct fixture *fixture, struct kv_slice key, struct kv_slice value);
void assert_missing(struct fixture *fixture, struct kv_slice key);
void assert_slice(struct kv_slice actual, struct kv_slice expected);

/* Waits until n changes have been shown, and fails if there are more. */
void await_shown(struct fixture *fixture, size_t n);
/* Forgets the changes shown so far. */
void forget_shown(struct fixture *fixture);

/* Forgets the changes told so far. */
void forget_changes(struct fixture *fixture);
void assert_n_told(struct fixture *fixture, size_t n);
/* Asserts the i-th change told; `before` and `after` are values, NULL for a missing key. */
const struct kv_change *assert_told(struct fixture *fixture, size_t i, enum kv_reason reason,
                                    struct kv_slice key, const char *before, const char *after);

#define CONTRACT_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

/* The parts of the suite; each runs its group. Returns: the number of failed tests. */
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
int run_recall_tests(void);

#endif
