/* The order in which a session of the store `redis` asks for changes, without a Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chain.h"
#include "clock.h"
#include "fence.h"
#include "finding.h"
#include "library.h"
#include "login.h"
#include "master.h"
#include "moving.h"
#include "nodes.h"
#include "session.h"
#include "split.h"
#include "waiting.h"
#include "whole.h"

static char log_text[256];
static struct kv_store store;

static void note(struct kv_slice word)
{
    size_t len = strlen(log_text);
    snprintf(log_text + len, sizeof(log_text) - len, "%.*s ", (int)word.len, word.bytes);
}

/* ---- what session.c needs of other files ---- */

const int64_t library_version = 1;

struct kv_slice library_text(void)
{
    return (struct kv_slice){0};
}

static const struct address address;

struct attempt login_attempt(struct kv_store *of, struct link *link, struct kv_error *reterr)
{
    return (struct attempt){.store = of, .link = link, .reterr = reterr};
}

const struct address *login_address(const struct attempt *attempt)
{
    (void)attempt;
    return &address;
}

int login_connect(const struct attempt *attempt, uint64_t *ret_id)
{
    (void)attempt;
    *ret_id = 1;
    return 0;
}

int login_ask_run(const struct attempt *attempt, char *ret_id)
{
    (void)attempt;
    (void)ret_id;
    return 0;
}

int login_ask(const struct attempt *attempt, const struct kv_slice *words, size_t n,
              struct kv_slice *ret_reply)
{
    (void)attempt;
    (void)words;
    (void)n;
    *ret_reply = KV_SLICE(":1\r\n");
    return 0;
}

static struct kv_slice log_page; /* that Redis answers with */

/* Of kv1_look: the time and the newest revision. */
int login_demand(const struct attempt *attempt, const struct kv_slice *words, size_t n,
                 struct resp_value *ret_value, struct kv_slice *ret_reply)
{
    bool is_log = kv_slice_equals(words[0], KV_SLICE("XRANGE"));
    (void)attempt;
    (void)n;
    if (is_log)
        note(KV_SLICE("log"));
    *ret_reply = is_log ? log_page : KV_SLICE("*3\r\n:2000\r\n:1000\r\n+epoch\r\n");
    return resp_next(ret_reply, ret_value) ? 0 : -1;
}

int login_demand_done(const struct attempt *attempt, const struct kv_slice *words, size_t n)
{
    (void)attempt;
    (void)n;
    if (kv_slice_equals(words[0], KV_SLICE("PING")))
        note(KV_SLICE("subscribe"));
    return 0;
}

int finding_open(const struct attempt *attempt)
{
    (void)attempt;
    return 0;
}

int fence_open(const struct attempt *attempt)
{
    (void)attempt;
    return 0;
}

static int n_looks_at_jobs, n_looks_until_end;

int waiting_begin_page(struct attempt *attempt)
{
    (void)attempt;
    n_looks_at_jobs++;
    return n_looks_at_jobs == n_looks_until_end ? -1 : 0;
}

int whole_make(struct attempt *attempt)
{
    (void)attempt;
    return 0;
}

void whole_doubt(struct kv_store *of)
{
    (void)of;
}

int split_look(const struct attempt *attempt)
{
    (void)attempt;
    return 0;
}

int fence_wait(const struct attempt *attempt)
{
    (void)attempt;
    return 0;
}

void fence_hold(struct kv_store *of, struct link *link)
{
    (void)of;
    (void)link;
}

void master_point(struct kv_store *of)
{
    (void)of;
}

void moving_pass(struct kv_store *of)
{
    (void)of;
}

int nodes_connect(const struct attempt *attempt, uint64_t *ret_id)
{
    return login_connect(attempt, ret_id);
}

int64_t nodes_patience_ms(const struct kv_store *of)
{
    (void)of;
    return 1000;
}

void nodes_try_next(struct kv_store *of)
{
    (void)of;
}

int64_t link_clock_ms(void)
{
    return 1;
}

void link_close(struct link *link)
{
    buffer_clear(&link->out);
}

int64_t clock_now_ms(const struct kv_store *of)
{
    (void)of;
    return 1;
}

void clock_take(struct kv_store *of, int64_t redis_us, int64_t asked_ms)
{
    (void)of;
    (void)redis_us;
    (void)asked_ms;
}

void chain_begin(struct kv_store *of, uint64_t revision)
{
    of->position = revision;
}

void chain_jump(struct kv_store *of, uint64_t revision)
{
    of->position = revision;
    note(KV_SLICE("jump"));
}

void chain_pass(struct kv_store *of, int64_t us)
{
    (void)of;
    (void)us;
}

int chain_take_logged(struct kv_store *of, struct kv_slice events)
{
    (void)of;
    return kv_slice_equals(events, KV_SLICE("events")) ? 0 : CHAIN_BROKEN;
}

/* ---- the host ---- */

static int n_until_room; /* how often the host says that it takes no changes */

static bool may_tell(const struct kv_store_host *host)
{
    (void)host;
    return n_until_room-- <= 0;
}

static void touched(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                    uint64_t revision, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)key;
    (void)deadline_ms;
    assert_int_equal(revision, 0);
    note(KV_SLICE("touched"));
}

/* ---- tests ---- */

static const struct kv_store_host host = {.may_tell = may_tell, .touched = touched};

static int open_with(struct kv_slice page, struct kv_error *reterr)
{
    log_text[0] = '\0';
    log_page = page;
    store = (struct kv_store){.host = &host,
                              .n_parts = 4,
                              .part = 3,
                              .position = 1000,
                              .names.log = {.bytes = "kv{3}s", .len = 6}};
    store.settings.timeout_ms = 1000;
    int result = session_open(&store, reterr);
    session_close(&store);
    return result;
}

/* Redis pushes the deadlines that are set once the server has subscribed; but until the log has
 * been read, pushes are passed over, and the log has no deadlines. */
static void deadlines_set_while_the_log_is_read_count_as_missed(void **state)
{
    struct kv_error error;
    (void)state;
    assert_int_equal(open_with(KV_SLICE("*0\r\n"), &error), 0);
    assert_string_equal(log_text, "touched log subscribe log touched ");
}

/* Jobs are failed in time even while the host takes no changes. */
static void jobs_are_looked_at_while_the_host_takes_nothing(void **state)
{
    struct kv_error error;
    (void)state;
    n_looks_at_jobs = 0;
    n_until_room = 5;
    assert_int_equal(open_with(KV_SLICE("*0\r\n"), &error), 0);
    assert_int_equal(n_looks_at_jobs, 5 + 2);
}

static void a_server_that_ends_does_not_wait_for_the_host(void **state)
{
    struct kv_error error;
    (void)state;
    n_looks_at_jobs = 0;
    n_looks_until_end = 3;
    n_until_room = 5;
    assert_int_equal(open_with(KV_SLICE("*0\r\n"), &error), -1);
    assert_string_equal(log_text, "touched ");
    n_looks_until_end = n_until_room = 0;
}

#define ENTRY(id, fields) "*2\r\n$6\r\n" id "\r\n" fields
#define EVENTS            "*2\r\n$1\r\ne\r\n$6\r\nevents\r\n"

static void expect_to_be_told_of(const char *id, struct kv_slice page)
{
    struct kv_error error;
    assert_int_equal(open_with(page, &error), -1);
    assert_non_null(strstr(error.text, "partition 3"));
    assert_non_null(strstr(error.text, id));
    assert_non_null(strstr(error.text, "kv{3}s"));
    assert_non_null(strstr(error.text, "XDEL"));
}

static void an_entry_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    expect_to_be_told_of("1002-1", KV_SLICE("*2\r\n" ENTRY("1001-1", EVENTS)
                                                ENTRY("1002-1", "*2\r\n$1\r\ne\r\n$3\r\nodd\r\n")));
}

static void an_entry_with_other_fields_is_named(void **state)
{
    (void)state;
    expect_to_be_told_of(
        "1001-2",
        KV_SLICE("*2\r\n" ENTRY("1001-2", "*4\r\n$1\r\ne\r\n$6\r\nevents\r\n"
                                          "$1\r\nf\r\n$6\r\nevents\r\n") ENTRY("1002-1", EVENTS)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_set_while_the_log_is_read_count_as_missed),
        cmocka_unit_test(jobs_are_looked_at_while_the_host_takes_nothing),
        cmocka_unit_test(a_server_that_ends_does_not_wait_for_the_host),
        cmocka_unit_test(an_entry_that_cannot_be_read_is_named),
        cmocka_unit_test(an_entry_with_other_fields_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
