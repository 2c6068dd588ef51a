/* Subscriptions that begin with the current state, or continue after a revision. */
#include <stdio.h>

#include "base/table.h"
#include "keyspace/loop.h"
#include "rig.h"

static struct rig rig;
static const char *store;

enum {
    KEYS = 300, /* more than fit in a page */
    TURNS = 4000,
    HISTORY = 100000
};

static char truth[KEYS]; /* the value of each key; 0: none */

static int set_up(void **state)
{
    (void)state;
    rig_init_on(&rig, store);
    rig.capabilities = rig.module->identity->capabilities;
    rig.log_bytes = 64 << 20;
    rig.log_ms = 1000000;
    srand(15);
    memset(truth, 0, sizeof(truth));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static void set(const char *key, const char *value)
{
    rig_set(&rig, NULL, "w", key, value, 0);
    rig_settle(&rig);
    rig_expect(&rig, "w ok");
}

static void subscribe(struct kv_client *client, const char *text, struct kv_subscribe options)
{
    struct kv_command *command = rig_command(&rig, client, "s", KV_COMMAND_SUBSCRIBE, text);
    command->subscribe = options;
    if (options.has_since)
        command->argument = kv_slice_of(kv_keyspace_epoch(rig.keyspace));
    rig_send(client, command);
}

static const struct kv_subscribe initial_key = {.initial = true};
static const struct kv_subscribe initial_prefix = {.is_prefix = true, .initial = true};

static bool is_syncing(struct kv_keyspace_loop *here)
{
    return kv_syncs_next_ms(&here->syncs) != INT64_MAX ||
           kv_log_reads_have_work(&here->log_reads) || here->log_reads.n_deferred != 0;
}

static void settle_syncs(void)
{
    for (int i = 0; i < RIG_PATIENCE; i++) {
        rig_settle(&rig);
        rig_pass_ms(&rig, 1);
        bool is_busy = false;
        for (uint32_t loop = 0; loop < rig.n_loops; loop++)
            is_busy |= is_syncing(kv_keyspace_on(rig.keyspace, loop));
        if (!is_busy)
            return;
    }
    fail_msg("the syncs do not end");
}

/* ---- the current state ---- */

static void initial_of_a_key_is_its_state_then_synced_then_changes(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    set("k", "1");
    struct kv_client *client = rig_client(&rig, 0);
    subscribe(client, "k", initial_key);
    settle_syncs();
    rig_expect(&rig, "s ok; state k=1; synced k");
    rig_set(&rig, client, "w", "k", "2", 0);
    rig_delete(&rig, client, "d", "k");
    rig_settle(&rig);
    assert_non_null(strstr(rig.log, "told k=2"));
    assert_non_null(strstr(rig.log, "told k=none"));
    rig.log[0] = '\0';
    kv_client_close(client);
}

static void initial_of_a_missing_key_reports_no_value(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    subscribe(client, "k", initial_key);
    settle_syncs();
    rig_expect(&rig, "s ok; state k=none; synced k");
    kv_client_close(client);
}

static void initial_of_an_empty_prefix_is_synced_at_once(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    set("other", "1");
    struct kv_client *client = rig_client(&rig, 0);
    subscribe(client, "p/", initial_prefix);
    settle_syncs();
    rig_expect(&rig, "s ok; synced p/");
    kv_client_close(client);
}

static void initial_of_one_key_under_a_prefix(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    set("p/1", "1");
    struct kv_client *client = rig_client(&rig, 0);
    subscribe(client, "p/",
              (struct kv_subscribe){.is_prefix = true, .initial = true, .wants_meta = true});
    settle_syncs();
    rig_expect(&rig, "s ok; state p/1=1 meta; synced p/");
    kv_client_close(client);
}

static int count(const char *text)
{
    int n = 0;
    for (const char *at = rig.log; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* A store may have to pass many deleted keys. */
static void initial_passes_pages_without_keys(void **state)
{
    (void)state;
    rig.n_empty_pages = 4 * KEYS; /* a command reads fewer pages */
    rig_open(&rig, 1);
    set("p/a", "1");
    set("p/c", "3");
    struct kv_client *client = rig_client(&rig, 0);
    subscribe(client, "p/", initial_prefix);
    while (rig.n_scans < KEYS) {
        rig_turn(&rig);
        assert_null(strstr(rig.log, "synced"));
    }
    rig_set(&rig, NULL, "w", "p/b", "2", 0);
    rig_delete(&rig, NULL, "w", "p/c");
    settle_syncs();
    assert_int_equal(count("p/a=1"), 1);
    assert_int_equal(count("p/b=2"), 1);
    assert_int_equal(count("p/c=3"), 0);
    assert_int_equal(count("synced p/"), 1);
    rig.log[0] = '\0';
    kv_client_close(client);
}

static void subscribing_again_restarts_the_initial_state(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    set("p/1", "1");
    struct kv_client *client = rig_client(&rig, 0);
    subscribe(client, "p/", initial_prefix);
    settle_syncs();
    subscribe(client, "p/", initial_prefix);
    subscribe(client, "p/", initial_prefix);
    settle_syncs();
    rig_expect(&rig, "s ok; state p/1=1; synced p/; s ok; s ok; state p/1=1; synced p/");
    kv_client_close(client);
}

static void a_client_that_closes_meanwhile_leaves_nothing_behind(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    set("p/1", "1");
    for (int turns = 0; turns < 5; turns++) {
        struct kv_client *client = rig_client(&rig, 0);
        subscribe(client, "p/", initial_prefix);
        subscribe(client, "p/1", initial_key);
        for (int i = 0; i < turns; i++)
            kv_loop_turn(rig.loops[0]);
        kv_client_close(client);
    }
    settle_syncs();
}

/* ---- resuming ---- */

static struct kv_subscribe since(uint64_t revision)
{
    return (struct kv_subscribe){.is_prefix = true, .has_since = true, .since = revision};
}

static void expect_since_missed(struct kv_client *client, uint64_t revision, const char *log)
{
    subscribe(client, "p/", since(revision));
    settle_syncs();
    rig_expect(&rig, log);
}

static bool order_is_known(void)
{
    return kv_log_reads_are_possible(&kv_keyspace_on(rig.keyspace, 0)->log_reads);
}

static void since_continues_after_the_revision(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    if (!order_is_known())
        skip();
    struct kv_client *first = rig_client(&rig, 0);
    subscribe(first, "p/", initial_prefix);
    settle_syncs();
    uint64_t revision = rig.synced;
    rig_expect(&rig, "s ok; synced p/");
    kv_client_close(first);
    set("p/1", "1");
    set("other", "2");
    set("p/1", "3");
    struct kv_client *second = rig_client(&rig, 0);
    expect_since_missed(second, revision, "s ok; told p/1=1; told p/1=3; synced p/");
    assert_true(rig.synced > revision);
    revision = rig.synced;
    kv_client_close(second);
    struct kv_client *third = rig_client(&rig, 0);
    expect_since_missed(third, revision, "s ok; synced p/");
    kv_client_close(third);
}

static void since_before_the_start_of_the_log_resets(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    set("p/1", "1");
    struct kv_client *client = rig_client(&rig, 0);
    expect_since_missed(client, 1, "s ok; reset p/; state p/1=1; synced p/");
    expect_since_missed(client, KV_REVISION_MAX, "s ok; reset p/; state p/1=1; synced p/");
    kv_client_close(client);
}

static void since_of_another_epoch_resets(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    set("p/1", "1");
    struct kv_client *client = rig_client(&rig, 0);
    struct kv_command *command = rig_command(&rig, client, "s", KV_COMMAND_SUBSCRIBE, "p/1");
    command->subscribe = (struct kv_subscribe){.has_since = true, .since = rig.synced};
    command->argument = KV_SLICE("another");
    rig_send(client, command);
    settle_syncs();
    rig_expect(&rig, "s ok; reset p/1; state p/1=1; synced p/1");
    kv_client_close(client);
}

/* ---- falling behind ---- */

static void make_room(struct kv_client *client, size_t *unsent)
{
    *unsent = 0;
    kv_client_catch_up(client);
    kv_client_make_room(client);
    settle_syncs();
    kv_client_make_room(client);
    settle_syncs();
}

static void a_backlog_overflow_causes_a_reset(void **state)
{
    size_t unsent = 0;
    char key[16];
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_narrow_client(&rig, 0, &unsent); /* 3 subscriptions at most */
    rig_subscribe_prefix(&rig, client, "s", "p/");
    rig_subscribe(&rig, client, "t", "p/0");
    rig_settle(&rig);
    rig_expect(&rig, "s ok; t ok");
    unsent = 1;
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof(key), "p/%d", i);
        set(key, "1");
    }
    make_room(client, &unsent);
    assert_memory_equal(rig.log, "told p/0=1 collapsed; reset p/; state p/", 39);
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof(key), "state p/%d=1; ", i);
        assert_non_null(strstr(rig.log, key));
    }
    assert_string_equal(rig.log + strlen(rig.log) - 9, "synced p/");
    rig.log[0] = '\0';
    set("k", "1");
    rig_set(&rig, NULL, "w", "p/9", "2", 0);
    rig_settle(&rig);
    assert_non_null(strstr(rig.log, "told p/9=2"));
    rig.log[0] = '\0';
    kv_client_close(client);
}

/* ---- under random changes ---- */

/* The states shown to a client: for each key, the revision and the value. */
struct view {
    uint64_t revisions[KEYS];
    char values[KEYS]; /* 0: none */
    bool is_synced;
    uint64_t mark;
    uint64_t n_resets;
    uint64_t n_states;
    uint64_t history[HISTORY]; /* revisions of changes */
    size_t n_history;
};

static struct view *view_of(struct kv_subscriber *subscriber)
{
    return kv_subscriber_client(subscriber)->owner;
}

static int number_of(struct kv_slice key)
{
    char text[16];
    int number;
    assert_true(key.len < sizeof(text));
    memcpy(text, key.bytes, key.len);
    text[key.len] = '\0';
    assert_int_equal(sscanf(text, "p/%d", &number), 1);
    return number;
}

static void see(struct kv_subscriber *subscriber, const struct kv_delivery *delivery)
{
    struct view *view = view_of(subscriber);
    const struct kv_news *news = delivery->news;
    int number = number_of(news->key);
    assert_true(news->revision > view->revisions[number]); /* neither older nor repeated */
    view->revisions[number] = news->revision;
    view->values[number] = news->state.revision == 0 ? 0 : news->state.value.bytes[0];
    if (news->reason == 0) {
        assert_false(view->is_synced);
        view->n_states++;
        return;
    }
    if (view->n_history != 0 && view->is_synced) /* changes of all keys are in order */
        assert_true(news->revision > view->history[view->n_history - 1]);
    assert_true(view->n_history < HISTORY);
    view->history[view->n_history++] = news->revision;
    if (delivery->is_mark)
        view->mark = news->revision;
}

static void see_synced(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                       uint64_t revision)
{
    struct view *view = view_of(subscriber);
    (void)pattern;
    assert_true(revision >= view->mark);
    view->is_synced = true;
    view->mark = revision;
}

static void see_reset(struct kv_subscriber *subscriber, const struct kv_pattern *pattern)
{
    struct view *view = view_of(subscriber);
    (void)pattern;
    memset(view->revisions, 0, sizeof(view->revisions));
    memset(view->values, 0, sizeof(view->values));
    view->is_synced = false;
    view->n_resets++;
}

static const struct kv_subscriber_ops seeing = {
    .on_state = see, .on_synced = see_synced, .on_reset = see_reset};

static struct kv_client *open_view(struct view *view, uint32_t loop, struct kv_subscribe options)
{
    struct kv_client *client =
        kv_client_create(kv_keyspace_on(rig.keyspace, loop), view, &seeing, 10000);
    kv_client_identify(client, &kv_principal_everything);
    struct kv_command *command = kv_command_create(client->home, KV_COMMAND_SUBSCRIBE);
    command->key = KV_SLICE("p/");
    command->subscribe = options;
    command->argument = kv_slice_of(kv_keyspace_epoch(rig.keyspace));
    kv_client_send(client, command);
    return client;
}

/* Each key is written on one loop, so that this test knows the true state. */
static void write_one(void)
{
    int number = rand() % KEYS;
    char key[16], value[2] = {(char)('1' + rand() % 9), 0};
    snprintf(key, sizeof(key), "p/%d", number);
    struct kv_command *command =
        kv_command_create(kv_keyspace_on(rig.keyspace, (uint32_t)number % rig.n_loops),
                          rand() % 3 == 0 ? KV_COMMAND_DELETE : KV_COMMAND_SET);
    command->key = kv_slice_of(key);
    command->value = kv_slice_of(value);
    truth[number] = command->kind == KV_COMMAND_SET ? value[0] : 0;
    assert_int_equal(kv_command_keep(command), 0);
    kv_keyspace_send(command);
}

static void write_some(int most)
{
    for (int n = rand() % (most + 1); n > 0; n--)
        write_one();
}

static void turn_one(void)
{
    kv_loop_turn(rig.loops[(uint32_t)rand() % rig.n_loops]);
    rig_pass_ms(&rig, 1);
}

static void expect_truth(const struct view *view)
{
    assert_true(view->is_synced);
    assert_memory_equal(view->values, truth, sizeof(truth));
}

static void fill(void)
{
    for (int i = 0; i < 5 * KEYS; i++)
        write_one();
    rig_settle(&rig);
}

static void initial_under_random_changes_ends_in_the_true_state(void **state)
{
    static struct view views[8];
    struct kv_client *clients[8];
    (void)state;
    rig_open(&rig, 2);
    fill();
    memset(views, 0, sizeof(views));
    for (uint32_t i = 0; i < 8; i++) {
        clients[i] = open_view(&views[i], i % 2, initial_prefix);
        for (int turn = 0; turn < 40; turn++) {
            write_some(10);
            turn_one();
        }
    }
    settle_syncs();
    for (uint32_t i = 0; i < 8; i++) {
        expect_truth(&views[i]);
        assert_true(views[i].n_states > 0);
        assert_int_equal(views[i].n_resets, 0);
        kv_client_close(clients[i]);
    }
}

static void a_client_that_often_falls_behind_ends_in_the_true_state(void **state)
{
    static struct view view;
    size_t unsent = 0;
    (void)state;
    rig_open(&rig, 2);
    fill();
    memset(&view, 0, sizeof(view));
    struct kv_client *client =
        kv_client_create(kv_keyspace_on(rig.keyspace, 0), &view, &seeing, 100);
    kv_client_identify(client, &kv_principal_everything);
    kv_client_limit(client, &unsent, 1);
    struct kv_command *command = kv_command_create(client->home, KV_COMMAND_SUBSCRIBE);
    command->key = KV_SLICE("p/");
    command->subscribe = initial_prefix;
    kv_client_send(client, command);
    for (int turn = 0; turn < TURNS; turn++) {
        unsent = turn / 50 % 2 == 0; /* while there is room for none, more keys change than the
                                      * client may be behind */
        write_some(20);
        turn_one();
        kv_client_catch_up(client);
        kv_client_make_room(client);
    }
    make_room(client, &unsent);
    expect_truth(&view);
    uint64_t n_resets = view.n_resets;
    unsent = 1;
    fill();
    make_room(client, &unsent);
    expect_truth(&view);
    assert_int_equal(view.n_resets, n_resets + 1);
    kv_client_close(client);
}

static void repeated_resuming_neither_misses_nor_repeats_changes(void **state)
{
    static struct view stays, returns;
    (void)state;
    rig_open(&rig, 2);
    if (!order_is_known())
        skip();
    fill();
    memset(&stays, 0, sizeof(stays));
    memset(&returns, 0, sizeof(returns));
    struct kv_client *one = open_view(&stays, 0, initial_prefix);
    struct kv_client *other = open_view(&returns, 1, initial_prefix);
    settle_syncs();
    assert_true(stays.is_synced && returns.is_synced);
    for (int turn = 0; turn < TURNS; turn++) {
        write_some(5);
        turn_one();
        if (turn % 40 != 0)
            continue;
        kv_client_close(other);
        for (int missed = 0; missed < 20; missed++) { /* more than fit in a page of the log */
            write_some(20);
            turn_one();
        }
        if (!returns.is_synced) /* without a mark beyond the last one, later changes are received
                                 * again */
            while (returns.n_history > 0 && returns.history[returns.n_history - 1] > returns.mark)
                returns.n_history--;
        memset(returns.revisions, 0, sizeof(returns.revisions));
        returns.is_synced = false;
        other = open_view(
            &returns, (uint32_t)rand() % 2,
            (struct kv_subscribe){.is_prefix = true, .has_since = true, .since = returns.mark});
    }
    settle_syncs();
    expect_truth(&stays);
    expect_truth(&returns);
    assert_int_equal(returns.n_resets, 0);
    assert_int_equal(returns.n_history, stays.n_history);
    assert_memory_equal(returns.history, stays.history, stays.n_history * sizeof(uint64_t));
    kv_client_close(one);
    kv_client_close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(initial_of_a_key_is_its_state_then_synced_then_changes),
        TEST(initial_of_a_missing_key_reports_no_value),
        TEST(initial_of_an_empty_prefix_is_synced_at_once),
        TEST(initial_of_one_key_under_a_prefix),
        TEST(initial_passes_pages_without_keys),
        TEST(subscribing_again_restarts_the_initial_state),
        TEST(a_client_that_closes_meanwhile_leaves_nothing_behind),
        TEST(since_continues_after_the_revision),
        TEST(since_before_the_start_of_the_log_resets),
        TEST(since_of_another_epoch_resets),
        TEST(a_backlog_overflow_causes_a_reset),
        TEST(initial_under_random_changes_ends_in_the_true_state),
        TEST(a_client_that_often_falls_behind_ends_in_the_true_state),
        TEST(repeated_resuming_neither_misses_nor_repeats_changes),
    };
    assert_int_equal(argc, 2);
    store = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
