/*
 * The history that a subscriber sees, under load: of one that reconnects again and again with
 * `since` it is that of one that never left; and `initial` ends in exactly the true state, however
 * much is written meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"

enum {
    WRITERS = 4,
    RECONNECTS = 100 / (KV_TEST_SHARE > 1 ? 5 : 1),
    TURNS_A_CONNECTION = 7, /* at most */
    KEYS = 50,
    BATCH = 20,
    AHEAD = 200, /* unanswered writes of a writer */
    MANY = 100000 / KV_TEST_SHARE,
    MANY_LATE = MANY / 20, /* for a store that takes its time */
    WRITES_A_MS = 20,
    SLOWER = 3, /* `initial` under load may take so many times longer */
    MOST_GROWTH_KIB = 64 << 10,
};

/* A change, as a subscriber with `meta` sees it. */
struct change {
    uint64_t revision;
    char text[56]; /* key, reason and value */
};

struct watcher {
    struct kv_test_ws ws;
    const char *prefix;
    struct change *history;
    size_t n, capacity;
    bool is_synced;
    int n_resets;
    int n_states;
    uint64_t mark;
    char epoch[64];
    int *values; /* by number of the key, where that is wanted; 0: none */
};

static int n_many; /* keys */

static bool store_is(const char *name)
{
    return strcmp(getenv("KV_TEST_STORE"), name) == 0;
}

static const char *part_of(const char *message, const char *name)
{
    const char *at = strstr(message, name);
    return at == NULL ? NULL : at + strlen(name);
}

static void note_change(struct watcher *watcher, uint64_t revision, const char *text)
{
    if (watcher->n == watcher->capacity) {
        watcher->capacity = watcher->capacity == 0 ? 1024 : 2 * watcher->capacity;
        watcher->history =
            kv_realloc(watcher->history, watcher->capacity * sizeof(*watcher->history));
    }
    struct change *change = &watcher->history[watcher->n++];
    change->revision = revision;
    snprintf(change->text, sizeof(change->text), "%s", text);
}

static void see_change(struct watcher *watcher, const char *message, uint64_t revision)
{
    char text[56];
    int key = atoi(part_of(message, watcher->prefix));
    const char *reason = part_of(message, "\"reason\":\"");
    const char *value = part_of(message, "\"value\":");
    assert_null(strstr(message, "collapsed"));
    snprintf(text, sizeof(text), "%d %.3s %d", key, reason, value == NULL ? 0 : atoi(value));
    if (watcher->n != 0) /* of all keys */
        assert_true(revision > watcher->history[watcher->n - 1].revision);
    note_change(watcher, revision, text);
    if (watcher->is_synced)
        watcher->mark = revision;
}

static void see_state(struct watcher *watcher, const char *message)
{
    const char *value = part_of(message, "\"value\":");
    int key = atoi(part_of(message, watcher->prefix));
    if (watcher->values == NULL)
        return;
    assert_true(atoi(value) > watcher->values[key]); /* neither older nor twice */
    watcher->values[key] = atoi(value);
}

static void see_synced(struct watcher *watcher, const char *message, uint64_t revision)
{
    assert_true(revision >= watcher->mark);
    watcher->mark = revision;
    watcher->is_synced = true;
    assert_int_equal(sscanf(part_of(message, "\"epoch\":\""), "%63[^\"]", watcher->epoch), 1);
}

static void see(struct watcher *watcher, const char *message)
{
    const char *number = part_of(message, "\"revision\":");
    uint64_t revision = number == NULL ? 0 : strtoull(number, NULL, 10);
    if (strstr(message, "{\"type\":\"synced\"") == message) {
        see_synced(watcher, message, revision);
    } else if (strstr(message, "{\"type\":\"reset\"") == message) {
        watcher->n_resets++;
        if (watcher->values != NULL)
            memset(watcher->values, 0, (size_t)n_many * sizeof(int));
    } else {
        see_state(watcher, message);
        if (strstr(message, "\"reason\"") == NULL)
            watcher->n_states++;
        else if (watcher->values == NULL)
            see_change(watcher, message, revision);
    }
}

static void see_all(struct watcher *watcher)
{
    struct kv_test_frame frame;
    char message[512];
    while (kv_test_ws_take(&watcher->ws, &frame)) {
        if (frame.opcode != KV_TEST_WS_TEXT)
            continue; /* a ping */
        assert_true(frame.payload.len < sizeof(message));
        memcpy(message, frame.payload.bytes, frame.payload.len);
        message[frame.payload.len] = '\0';
        see(watcher, message);
    }
}

static void begin(struct watcher *watcher, uint16_t port, const char *prefix)
{
    *watcher = (struct watcher){.prefix = prefix};
    kv_test_ws_open(&watcher->ws, port);
    kv_test_ws_put_text(
        &watcher->ws,
        "{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"%s\",\"initial\":true,\"meta\":true}}",
        prefix);
}

static void leave(struct watcher *watcher)
{
    kv_test_ws_close(&watcher->ws);
    free(watcher->history);
    free(watcher->values);
}

/* What came since the last mark comes again. */
static void resume(struct watcher *watcher, uint16_t port)
{
    kv_test_ws_close(&watcher->ws);
    while (watcher->n != 0 && watcher->history[watcher->n - 1].revision > watcher->mark)
        watcher->n--;
    watcher->is_synced = false;
    kv_test_ws_open(&watcher->ws, port);
    kv_test_ws_put_text(&watcher->ws,
                        "{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"%s\",\"since\":%llu,"
                        "\"epoch\":\"%s\",\"meta\":true}}",
                        watcher->prefix, (unsigned long long)watcher->mark, watcher->epoch);
}

/* ---- writers ---- */

struct writer {
    struct kv_test_ws ws;
    int n_sent, n_answered;
};

static void open_writers(struct writer *writers, uint16_t port)
{
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){0};
        kv_test_ws_open(&writers[i].ws, port);
    }
}

static void close_writers(struct writer *writers)
{
    for (int i = 0; i < WRITERS; i++)
        kv_test_ws_close(&writers[i].ws);
}

static void take_answers(struct writer *writers)
{
    struct kv_test_frame frame;
    for (int i = 0; i < WRITERS; i++)
        while (kv_test_ws_take(&writers[i].ws, &frame)) {
            if (frame.opcode != KV_TEST_WS_TEXT)
                continue; /* a ping */
            if (!kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"ok\"")))
                fail_msg("%.*s", (int)frame.payload.len, frame.payload.bytes);
            writers[i].n_answered++;
        }
}

static bool is_answered(const struct writer *writers)
{
    for (int i = 0; i < WRITERS; i++)
        if (writers[i].n_answered != writers[i].n_sent)
            return false;
    return true;
}

static void put_set(struct writer *writer, const char *prefix, int key, int value, const char *more)
{
    writer->n_sent++;
    kv_test_ws_put_text(&writer->ws,
                        "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s%d\",\"value\":%d%s}}",
                        prefix, key, value, more);
}

/* A set, a set that expires soon, or a delete, of any of the keys; or of one of others. */
static void put_some_write(struct writer *writer, int value)
{
    int key = rand() % KEYS;
    switch (rand() % 8) {
    case 0:
        writer->n_sent++;
        kv_test_ws_put_text(&writer->ws,
                            "{\"type\":\"delete\",\"id\":1,\"payload\":{\"key\":\"h/%d\"}}", key);
        break;
    case 1:
        put_set(writer, "h/", key, value, ",\"ttl\":3");
        break;
    case 2:
        put_set(writer, "other/", key, value, "");
        break;
    default:
        put_set(writer, "h/", key, value, "");
    }
}

static void put_batches(struct writer *writers)
{
    static int value;
    for (int i = 0; i < WRITERS; i++)
        for (int n = 0; n < BATCH && writers[i].n_sent - writers[i].n_answered < AHEAD; n++)
            put_some_write(&writers[i], ++value);
}

/* Returns: whether anything moved. */
static bool turn(struct writer *writers, struct watcher *const watchers[], size_t n_watchers,
                 int64_t limit_ms)
{
    struct kv_test_stream *streams[WRITERS + 2];
    for (int i = 0; i < WRITERS; i++)
        streams[i] = &writers[i].ws.stream;
    for (size_t i = 0; i < n_watchers; i++)
        streams[WRITERS + i] = &watchers[i]->ws.stream;
    bool has_moved = kv_test_stream_turn(streams, WRITERS + n_watchers, limit_ms);
    take_answers(writers);
    for (size_t i = 0; i < n_watchers; i++)
        see_all(watchers[i]);
    return has_moved;
}

/* ---- reconnecting ---- */

static void expect_same_history(const struct watcher *stayed, const struct watcher *returned)
{
    assert_int_equal(stayed->n_resets, 0);
    assert_int_equal(returned->n_resets, 0);
    assert_int_equal(returned->n, stayed->n);
    for (size_t i = 0; i < stayed->n; i++) {
        assert_int_equal(returned->history[i].revision, stayed->history[i].revision);
        assert_string_equal(returned->history[i].text, stayed->history[i].text);
    }
}

static bool has_seen_end(const struct watcher *watcher)
{
    return watcher->is_synced && watcher->n != 0 &&
           strcmp(watcher->history[watcher->n - 1].text, "9999 set 1") == 0;
}

static void returning_subscriber_has_the_history_of_one_that_stayed(void **state)
{
    struct writer writers[WRITERS];
    struct watcher stays, returns;
    struct watcher *const both[] = {&stays, &returns};
    uint16_t port = kv_test_port(state);
    srand(15);
    open_writers(writers, port);
    begin(&stays, port, "h/");
    begin(&returns, port, "h/");
    while (!stays.is_synced || !returns.is_synced)
        turn(writers, both, 2, KV_TEST_LIMIT_MS);
    for (int i = 0; i < RECONNECTS; i++) {
        for (int turns = rand() % TURNS_A_CONNECTION; turns >= 0; turns--) {
            put_batches(writers);
            turn(writers, both, 2, KV_TEST_LIMIT_MS);
        }
        resume(&returns, port);
    }
    while (!is_answered(writers))
        turn(writers, both, 2, KV_TEST_LIMIT_MS);
    kv_test_sleep_ms(10); /* the last ones expire */
    put_set(&writers[0], "h/", 9999, 1, "");
    while (!has_seen_end(&stays) || !has_seen_end(&returns))
        turn(writers, both, 2, KV_TEST_LIMIT_MS);
    expect_same_history(&stays, &returns);
    assert_true(stays.n > RECONNECTS);
    print_message("%zu changes, %d reconnections\n", stays.n, RECONNECTS);
    leave(&stays);
    leave(&returns);
    close_writers(writers);
}

/* ---- the present state under load ---- */

/* Sets keys of which each belongs to one writer; `truth` is what the last write says. */
static void put_steady(struct writer *writers, int *truth, int n)
{
    for (int i = 0; i < n; i++) {
        int key = rand() % n_many;
        struct writer *writer = &writers[key % WRITERS];
        if (writer->n_sent - writer->n_answered < 10 * AHEAD)
            put_set(writer, "many/", key, ++truth[key], "");
    }
}

static void fill(struct writer *writers, int *truth)
{
    for (int key = 0; key < n_many; key++) {
        put_set(&writers[key % WRITERS], "many/", key, ++truth[key], "");
        if (key % 1000 == 0)
            turn(writers, NULL, 0, KV_TEST_LIMIT_MS);
    }
    while (!is_answered(writers))
        turn(writers, NULL, 0, KV_TEST_LIMIT_MS);
}

/* Returns: how long `initial` took, in milliseconds, while so much is written. */
static int64_t time_initial(struct writer *writers, struct watcher *watcher, int *truth,
                            int writes_a_ms)
{
    int64_t begun_ms = kv_test_now_ms(), written_ms = begun_ms;
    watcher->values = kv_calloc((size_t)n_many, sizeof(int));
    while (!watcher->is_synced) {
        int64_t now_ms = kv_test_now_ms();
        put_steady(writers, truth, writes_a_ms * (int)(now_ms - written_ms));
        written_ms = now_ms;
        turn(writers, &watcher, 1, 1);
    }
    return kv_test_now_ms() - begun_ms;
}

static void expect_truth(struct writer *writers, struct watcher *watcher, const int *truth)
{
    while (!is_answered(writers))
        turn(writers, &watcher, 1, KV_TEST_LIMIT_MS);
    while (memcmp(watcher->values, truth, (size_t)n_many * sizeof(int)) !=
           0) /* what it has not read yet */
        assert_true(turn(writers, &watcher, 1, KV_TEST_LIMIT_MS));
    if (!store_is("rocksdb") && !store_is("lmdb")) /* they do not seek: too many changes wait */
        assert_int_equal(watcher->n_resets, 0);
}

static void initial_under_load_ends_in_the_true_state(void **state)
{
    struct writer writers[WRITERS];
    struct watcher quiet, busy;
    struct kv_test_server *server = *state;
    uint16_t port = kv_test_port(state);
    n_many = store_is("late") ? MANY_LATE : MANY;
    int *truth = kv_calloc((size_t)n_many, sizeof(int));
    open_writers(writers, port);
    fill(writers, truth);
    begin(&quiet, port, "many/");
    int64_t quiet_ms = time_initial(writers, &quiet, truth, 0);
    expect_truth(writers, &quiet, truth);
    assert_int_equal(quiet.n_states, n_many);
    leave(&quiet);
    kv_test_program_forget_peak(&server->program);
    size_t before = kv_test_program_resident(&server->program);
    begin(&busy, port, "many/");
    int64_t busy_ms = time_initial(writers, &busy, truth, WRITES_A_MS);
    int n_written = 0;
    for (int i = 0; i < WRITERS; i++)
        n_written += writers[i].n_sent;
    expect_truth(writers, &busy, truth);
    size_t growth_kib = (kv_test_program_peak(&server->program) - before) / 1024;
    print_message("%d keys: %lld ms; with %d writes meanwhile %lld ms, and %zu KiB more\n", n_many,
                  (long long)quiet_ms, n_written - n_many, (long long)busy_ms, growth_kib);
    if (KV_TEST_SHARE == 1 && !store_is("late")) {
        assert_true(busy_ms <= SLOWER * quiet_ms + 1000);
        assert_true(growth_kib < MOST_GROWTH_KIB);
    }
    leave(&busy);
    close_writers(writers);
    free(truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returning_subscriber_has_the_history_of_one_that_stayed),
        cmocka_unit_test(initial_under_load_ends_in_the_true_state),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
