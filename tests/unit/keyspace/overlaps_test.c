/*
 * A client whose subscriptions overlap, and begin and end at random while keys change: it receives
 * each change once, misses no change that a subscription owes it, and ends with the true state of
 * every key. Its events are recorded and checked at the end of each run.
 *
 * A run is determined by its seed, unless the store has threads. KV_SEEDS is the number of seeds
 * tried, KV_SEED the first.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "keyspace/loop.h"
#include "rig.h"

static struct rig rig;
static const char *store;
static unsigned seed;

enum {
    KEYS = 200, /* more than fit in some pages */
    HOT_KEYS = 8,
    PATTERNS = 12,
    TURNS = 150,
    MOST = 40000 /* events, and changes */
};

static const struct kv_subscribe patterns[PATTERNS] = {
    {.is_prefix = true}, {.is_prefix = true}, {.is_prefix = true}, {.is_prefix = true},
    {.is_prefix = true}, {.is_prefix = true}, {.is_prefix = true}, {.is_prefix = true}};
static const char *const texts[PATTERNS] = {"",  "a",  "a/",    "a/b",     "a/b/0",   "a/b/09",
                                            "c", "c/", "a/000", "a/b/001", "a/b/097", "c/000"};

enum event_kind {
    STATE,
    CHANGE,
    ASKS, /* a subscribe has taken effect */
    ENDS,
    SYNCED,
    RESET
};

struct event {
    enum event_kind kind;
    int of; /* key, or pattern */
    uint64_t revision;
    char value;              /* 0: none */
    size_t n_changes;        /* delivered before this event */
    bool is_since, is_plain; /* ASKS */
    bool is_collapsed, is_mark;
};

static struct event events[MOST], changes[MOST];
static size_t n_events, n_changes;
static bool is_narrow;
static struct kv_client *client, *witness;

/* ---- events ---- */

static void name_key(int number, char name[16])
{
    if (number % 5 != 0)
        snprintf(name, 16, "a/b/%03d", number);
    else
        snprintf(name, 16, number % 2 == 0 ? "a/%03d" : "c/%03d", number / 10);
}

static int number_of(struct kv_slice key)
{
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        name_key(i, name);
        if (kv_slice_equals(key, kv_slice_of(name)))
            return i;
    }
    fail_msg("unknown key %.*s", (int)key.len, key.bytes);
    return 0;
}

static int pattern_of(const struct kv_pattern *pattern)
{
    for (int i = 0; i < PATTERNS; i++)
        if (patterns[i].is_prefix == pattern->is_prefix &&
            kv_slice_equals(pattern->text, kv_slice_of(texts[i])))
            return i;
    fail_msg("unknown pattern");
    return 0;
}

static bool covers(int pattern, int key)
{
    char name[16];
    name_key(key, name);
    return patterns[pattern].is_prefix ? strncmp(name, texts[pattern], strlen(texts[pattern])) == 0
                                       : strcmp(name, texts[pattern]) == 0;
}

static void record(struct event event)
{
    assert_true(n_events < MOST);
    event.n_changes = n_changes;
    events[n_events++] = event;
}

static struct event event_of(const struct kv_delivery *delivery)
{
    const struct kv_news *news = delivery->news;
    return (struct event){.kind = news->reason == 0 ? STATE : CHANGE,
                          .of = number_of(news->key),
                          .revision = news->revision,
                          .value = news->state.revision == 0 ? 0 : news->state.value.bytes[0],
                          .is_collapsed = delivery->is_collapsed,
                          .is_mark = delivery->is_mark};
}

static void on_state(struct kv_subscriber *subscriber, const struct kv_delivery *delivery)
{
    if (kv_subscriber_client(subscriber) == client) {
        record(event_of(delivery));
        return;
    }
    assert_true(n_changes < MOST);
    changes[n_changes++] = event_of(delivery);
}

static void on_synced(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      uint64_t revision)
{
    (void)subscriber;
    record((struct event){.kind = SYNCED, .of = pattern_of(pattern), .revision = revision});
}

static void on_reset(struct kv_subscriber *subscriber, const struct kv_pattern *pattern)
{
    (void)subscriber;
    record((struct event){.kind = RESET, .of = pattern_of(pattern)});
}

static const struct kv_subscriber_ops ops = {
    .on_state = on_state, .on_synced = on_synced, .on_reset = on_reset};

/* ---- random actions ---- */

static void on_topic_command(struct kv_command *command)
{
    int pattern = (int)(intptr_t)command->owner;
    const struct kv_subscribe *options = &command->subscribe;
    assert_int_equal(command->status, KV_OK);
    record((struct event){.kind = command->kind == KV_COMMAND_SUBSCRIBE ? ASKS : ENDS,
                          .of = pattern,
                          .revision = options->since,
                          .is_since = options->has_since,
                          .is_plain = !options->has_since && !options->initial});
}

static void send_topic_command(enum kv_command_kind kind, int pattern, struct kv_subscribe options)
{
    struct kv_command *command = kv_command_create(client->home, kind);
    command->key = kv_slice_of(texts[pattern]);
    command->subscribe = options;
    command->subscribe.is_prefix = patterns[pattern].is_prefix;
    if (options.has_since)
        command->argument = kv_slice_of(kv_keyspace_epoch(rig.keyspace));
    command->owner = (void *)(intptr_t)pattern;
    command->finished = on_topic_command;
    kv_client_send(client, command);
}

static uint64_t some_revision(void)
{
    if (n_changes == 0 || rand() % 20 == 0)
        return 1; /* older than the log */
    size_t back = (size_t)rand() % (rand() % 3 == 0 ? n_changes : n_changes < 10 ? n_changes : 10);
    return changes[n_changes - 1 - back].revision;
}

static void subscribe_or_not(void)
{
    int pattern = rand() % PATTERNS;
    switch (rand() % 6) {
    case 0:
        send_topic_command(KV_COMMAND_SUBSCRIBE, pattern, (struct kv_subscribe){0});
        break;
    case 1:
        send_topic_command(KV_COMMAND_SUBSCRIBE, pattern, (struct kv_subscribe){.initial = true});
        break;
    case 2:
    case 3:
        send_topic_command(KV_COMMAND_SUBSCRIBE, pattern,
                           (struct kv_subscribe){.has_since = true, .since = some_revision()});
        break;
    default:
        send_topic_command(KV_COMMAND_UNSUBSCRIBE, pattern, (struct kv_subscribe){0});
    }
}

static void write_one(void)
{
    char name[16], value[2] = {(char)('1' + rand() % 9), 0};
    name_key(rand() % 3 != 0 ? rand() % HOT_KEYS * 24 + 1 : rand() % KEYS, name);
    struct kv_command *command =
        kv_command_create(kv_keyspace_on(rig.keyspace, (uint32_t)rand() % rig.n_loops),
                          rand() % 4 == 0 ? KV_COMMAND_DELETE : KV_COMMAND_SET);
    command->key = kv_slice_of(name);
    command->value = kv_slice_of(value);
    assert_int_equal(kv_command_keep(command), 0);
    kv_keyspace_send(command);
}

static void turn(size_t *unsent)
{
    for (int n = rand() % 4; n > 0; n--)
        write_one();
    while (rand() % 3 == 0)
        subscribe_or_not();
    if (is_narrow && rand() % 8 == 0)
        *unsent = *unsent == 0;
    kv_loop_turn(rig.loops[(uint32_t)rand() % rig.n_loops]);
    rig_pass_ms(&rig, 1);
    kv_client_catch_up(client);
    kv_client_make_room(client);
}

static bool is_busy(void)
{
    bool is_busy = false;
    for (uint32_t loop = 0; loop < rig.n_loops; loop++) {
        struct kv_keyspace_loop *here = kv_keyspace_on(rig.keyspace, loop);
        is_busy |= kv_syncs_next_ms(&here->syncs) != INT64_MAX ||
                   kv_log_reads_have_work(&here->log_reads) || here->log_reads.n_deferred != 0;
    }
    return is_busy || client->n_commands != 0 || kv_client_is_behind(client);
}

static void settle(void)
{
    for (int i = 0; i < RIG_PATIENCE; i++) {
        rig_turn(&rig);
        rig_pass_ms(&rig, 1);
        kv_client_catch_up(client);
        kv_client_make_room(client);
        if (kv_keyspace_is_quiet(rig.keyspace) && !is_busy())
            return;
        if (i > 100)
            usleep(100); /* for a store with threads */
    }
    fail_msg("seed %u: it does not settle", seed);
}

/* ---- checks ---- */

static bool is_known_order(void)
{
    return kv_log_reads_are_possible(&kv_keyspace_on(rig.keyspace, 0)->log_reads);
}

static void print_event(size_t i)
{
    static const char *const names[] = {"state", "change", "asks", "ends", "synced", "reset"};
    const struct event *e = &events[i];
    char name[16] = "";
    if (e->kind <= CHANGE)
        name_key(e->of, name);
    print_error("%zu %s %s%s %lld%s%s%s%s\n", i, names[e->kind],
                e->kind <= CHANGE ? name : texts[e->of],
                e->kind > CHANGE && patterns[e->of].is_prefix ? "*" : "",
                e->revision == 0 ? -1 : (long long)(e->revision - changes[0].revision),
                e->is_since ? " since" : "", e->is_plain ? " plain" : "",
                e->is_collapsed ? " collapsed" : "", e->is_mark ? " mark" : "");
}

static void complain(size_t at, const char *what, uint64_t revision)
{
    for (size_t i = at < 40 ? 0 : at - 40; i <= at && i < n_events; i++)
        print_event(i);
    fail_msg("seed %u%s, at %zu: %s (%lld)", seed, is_narrow ? " (narrow)" : "", at, what,
             (long long)(revision - changes[0].revision));
}

static void complain_of_key(int pattern, int key, const char *what, uint64_t revision)
{
    char name[16];
    name_key(key, name);
    for (size_t i = 0; i < n_events; i++)
        if (events[i].kind <= CHANGE ? events[i].of == key : covers(events[i].of, key))
            print_event(i);
    print_error("of %s, for the subscription to %s%s:\n", name, texts[pattern],
                patterns[pattern].is_prefix ? "*" : "");
    complain(n_events, what, revision);
}

/* Whether the client, between two notifications of a change, has subscribed with a `since` before
 * it. */
static bool is_asked_again(size_t first, size_t second)
{
    for (size_t i = first + 1; i < second; i++)
        if (events[i].kind == ASKS && events[i].is_since &&
            events[i].revision < events[second].revision && covers(events[i].of, events[second].of))
            return true;
    return false;
}

static void expect_none_twice(void)
{
    static size_t last[KEYS][MOST / 8]; /* for each change of each key: its latest notification */
    static uint64_t revisions[KEYS][MOST / 8];
    static size_t n[KEYS];
    memset(n, 0, sizeof(n));
    for (size_t i = 0; i < n_events; i++) {
        const struct event *e = &events[i];
        if (e->kind != CHANGE)
            continue;
        size_t at = 0;
        while (at < n[e->of] && revisions[e->of][at] != e->revision)
            at++;
        if (at < n[e->of] && !is_asked_again(last[e->of][at], i))
            complain(i, "is told twice", e->revision);
        revisions[e->of][at] = e->revision;
        last[e->of][at] = i;
        if (at == n[e->of])
            n[e->of]++;
    }
}

static bool was_told(size_t before, uint64_t revision, int key)
{
    for (size_t i = before; i-- > 0;)
        if (events[i].kind == CHANGE && events[i].of == key && events[i].revision == revision)
            return true;
    return false;
}

/* The state of one of the client's subscriptions, as of an event. */
struct view {
    bool is_on, is_synced, is_since, is_plain;
    size_t asked; /* the subscribe event, or that of `reset` */
    uint64_t since;
};

static void note(struct view views[PATTERNS], size_t i)
{
    const struct event *e = &events[i];
    struct view *view = &views[e->of];
    switch (e->kind) {
    case ASKS:
        if (view->is_on && e->is_plain)
            break; /* the subscription continues */
        *view = (struct view){.is_on = true,
                              .is_synced = e->is_plain,
                              .is_plain = e->is_plain,
                              .is_since = e->is_since,
                              .since = e->revision,
                              .asked = i};
        break;
    case ENDS:
        view->is_on = false;
        break;
    case SYNCED:
        view->is_synced = true;
        break;
    case RESET:
        *view = (struct view){.is_on = view->is_on, .asked = i};
        break;
    default:
        break;
    }
}

/* A mark promises that everything up to it has been notified. */
static void expect_mark(const struct view *view, int pattern, size_t at)
{
    if (!view->is_on || !view->is_since || is_narrow)
        return;
    for (size_t c = 0; c < n_changes; c++)
        if (changes[c].revision > view->since && changes[c].revision <= events[at].revision &&
            covers(pattern, changes[c].of) && !was_told(at + 1, changes[c].revision, changes[c].of))
            complain(at, "the mark leaves out", changes[c].revision);
}

static void expect_order_and_marks(struct view views[PATTERNS])
{
    uint64_t newest = 0;
    for (size_t i = 0; i < n_events; i++) {
        const struct event *e = &events[i];
        bool all_synced = true;
        for (int p = 0; p < PATTERNS; p++)
            all_synced &= !views[p].is_on || views[p].is_synced;
        if (e->kind == CHANGE && all_synced && e->revision <= newest)
            complain(i, "is told after a newer one", e->revision);
        if (e->kind == CHANGE && e->revision > newest)
            newest = e->revision;
        if (e->kind > CHANGE)
            note(views, i);
        if (e->kind == SYNCED)
            expect_mark(&views[e->of], e->of, i);
        for (int p = 0; p < PATTERNS && e->kind == CHANGE && e->is_mark; p++)
            expect_mark(&views[p], p, i);
    }
}

/* The last state or change shown for the key from that event on. Returns: NULL if there is none. */
static const struct event *last_shown(int key, size_t after)
{
    for (size_t i = n_events; i-- > after;)
        if (events[i].kind <= CHANGE && events[i].of == key)
            return &events[i];
    return NULL;
}

/* The last event at which the client had to forget the key, not before `otherwise`. */
static size_t forgets_at(int key, size_t otherwise)
{
    for (size_t i = n_events; i-- > otherwise;)
        if (events[i].kind == RESET && covers(events[i].of, key))
            return i;
    return otherwise;
}

/* Returns: NULL if the key never changed. */
static const struct event *newest_of(int key)
{
    for (size_t i = n_changes; i-- > 0;)
        if (changes[i].of == key)
            return &changes[i];
    return NULL;
}

static void expect_true_state(const struct view *view, int pattern, int key)
{
    const struct event *newest = newest_of(key);
    const struct event *shown = last_shown(key, 0);
    bool is_owed = view->is_since   ? newest->revision > view->since
                   : view->is_plain ? newest >= &changes[events[view->asked].n_changes]
                                    : newest->value != 0;
    if (is_owed && (shown == NULL || shown->value != newest->value ||
                    (shown->revision != newest->revision && shown->revision != 0)))
        complain_of_key(pattern, key, "is not what was shown last", newest->revision);
    shown = last_shown(key, forgets_at(key, view->asked));
    if (!is_owed && shown != NULL && shown->value != newest->value)
        complain_of_key(pattern, key, "an old state was shown last", newest->revision);
}

static size_t synced_at(int pattern, size_t after)
{
    for (size_t i = after; i < n_events; i++)
        if (events[i].kind == SYNCED && events[i].of == pattern)
            return i;
    complain(n_events, "is not synced", 0);
    return 0;
}

/* Whether the subscription is owed the change: it is after `since`; after the subscribe; or after
 * the state that was shown before `synced`. */
static bool is_owed(const struct view *view, int pattern, size_t change)
{
    const struct event *c = &changes[change];
    if (view->is_since)
        return c->revision > view->since;
    if (view->is_plain)
        return change >= events[view->asked].n_changes;
    size_t synced = synced_at(pattern, view->asked);
    for (size_t i = synced; i-- > view->asked;)
        if (events[i].kind == STATE && events[i].of == c->of && events[i].revision != 0)
            return c->revision > events[i].revision;
    return c->revision > events[synced].revision;
}

static void expect_all(const struct view *view, int pattern)
{
    for (size_t i = 0; i < n_changes; i++)
        if (covers(pattern, changes[i].of) && is_owed(view, pattern, i) &&
            !was_told(n_events, changes[i].revision, changes[i].of))
            complain_of_key(pattern, changes[i].of, "was not told", changes[i].revision);
}

static void judge(void)
{
    struct view views[PATTERNS] = {{0}};
    expect_none_twice();
    if (is_known_order())
        expect_order_and_marks(views);
    else
        for (size_t i = 0; i < n_events; i++)
            if (events[i].kind > CHANGE)
                note(views, i);
    for (int p = 0; p < PATTERNS; p++) {
        if (!views[p].is_on)
            continue;
        if (!views[p].is_synced)
            complain(n_events, "is not synced", 0);
        for (int key = 0; key < KEYS; key++)
            if (covers(p, key) && newest_of(key) != NULL)
                expect_true_state(&views[p], p, key);
        if (!is_narrow && is_known_order())
            expect_all(&views[p], p);
    }
}

/* ---- runs ---- */

static void run(void)
{
    size_t unsent = 0;
    srand(seed);
    n_events = n_changes = 0;
    rig_init_on(&rig, store);
    rig.capabilities = rig.module->identity->capabilities;
    rig.log_bytes = 64 << 20;
    rig.log_ms = 1000000;
    rig_open(&rig, 1 + seed % 2);
    witness = kv_client_create(kv_keyspace_on(rig.keyspace, 0), NULL, &ops, 10);
    client = kv_client_create(kv_keyspace_on(rig.keyspace, 0), &client, &ops, 40);
    kv_client_identify(witness, &kv_principal_everything);
    kv_client_identify(client, &kv_principal_everything);
    witness->owner = &witness;
    if (is_narrow)
        kv_client_limit(client, &unsent, 1);
    kv_client_let_resume(witness);
    struct kv_command *all = kv_command_create(witness->home, KV_COMMAND_SUBSCRIBE);
    all->subscribe.is_prefix = true;
    kv_client_send(witness, all);
    rig_settle(&rig);
    for (int i = 0; i < 250; i++)
        write_one();
    rig_settle(&rig);
    for (int i = 0; i < TURNS; i++)
        turn(&unsent);
    unsent = 0;
    settle();
    judge();
    kv_client_close(client);
    kv_client_close(witness);
    rig_settle(&rig);
    rig_fini(&rig);
}

static unsigned number_from(const char *variable, unsigned otherwise)
{
    const char *text = getenv(variable);
    return text == NULL ? otherwise : (unsigned)strtoul(text, NULL, 10);
}

static void run_seeds(unsigned otherwise)
{
    unsigned first = number_from("KV_SEED", 1);
    unsigned n = number_from("KV_SEEDS", strcmp(store, "late") == 0 ? otherwise / 10 : otherwise);
    for (seed = first; seed < first + n; seed++)
        run();
}

static void overlapping_subscriptions_notify_each_change_once(void **state)
{
    (void)state;
    is_narrow = false;
    run_seeds(40);
}

static void overlapping_subscriptions_that_fall_behind_end_in_the_true_state(void **state)
{
    (void)state;
    is_narrow = true;
    run_seeds(40);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_subscriptions_notify_each_change_once),
        cmocka_unit_test(overlapping_subscriptions_that_fall_behind_end_in_the_true_state),
    };
    assert_int_equal(argc, 2);
    store = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
