/*
 * A disk that is full, fails, or hangs under a running server: writes are refused with an error,
 * reads and subscribers continue, and the server recovers by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"
#include "support/durable/store.h"

enum {
    KEYS = 150,
    VALUE = 2000, /* bytes; all of them together are more than the server keeps in memory */
    MORE = 4000,  /* values that no disk of the test has room for */
    MORE_VALUE = 40000,
    DELETED = 40,                   /* of them, while the disk is full */
    FAR_TOO_MUCH = 10 * MORE_VALUE, /* where no further one of these fits */
    REFUSING_MS = 500,              /* long enough for the server to try again a few times */
};

/* A server, with clients that stay with it. */
struct scene {
    struct kv_test_store store;
    struct kv_test_stream http;
    struct kv_test_ws subscriber;
    struct kv_test_response response;
};

/* ---- keys ---- */

static int ask(struct scene *scene, const char *method, const char *key, const char *body)
{
    char path[64];
    snprintf(path, sizeof(path), "/storage/%s", key);
    return kv_test_http_ask(&scene->http, method, path, NULL, body, &scene->response);
}

/* The value of a key in one of its versions: a string of one letter. */
static int put(struct scene *scene, const char *key, char letter, size_t len)
{
    struct kv_buffer body = {0};
    char *letters = kv_test_letters(letter, len);
    kv_buffer_printf(&body, "{\"value\":\"%s\"}", letters);
    kv_buffer_append_char(&body, '\0');
    int status = ask(scene, "POST", key, body.bytes);
    free(letters);
    kv_buffer_fini(&body);
    return status;
}

static void expect(struct scene *scene, const char *key, char letter, size_t len)
{
    struct kv_buffer value = {0};
    char *letters = kv_test_letters(letter, len);
    kv_buffer_printf(&value, "\"%s\"", letters);
    if (ask(scene, "GET", key, NULL) != 200)
        fail_msg("%s: %d", key, scene->response.status);
    if (!kv_test_is_value_body(kv_buffer_slice(&scene->response.body), kv_buffer_slice(&value)))
        fail_msg("%s is not %zu times %c", key, len, letter);
    free(letters);
    kv_buffer_fini(&value);
}

static const char *key_name(const char *kind, int number)
{
    static char name[32];
    snprintf(name, sizeof(name), "%s%d", kind, number);
    return name;
}

static void expect_keys(struct scene *scene)
{
    for (int i = 0; i < KEYS; i++)
        expect(scene, key_name("key", i), 'a', VALUE);
}

/* ---- scenes ---- */

static void connect_clients(struct scene *scene)
{
    kv_test_stream_open(&scene->http, scene->store.server.port);
    kv_test_ws_open(&scene->subscriber, scene->store.server.port);
    kv_test_ws_send_text(&scene->subscriber,
                         "{\"type\":\"subscribe\",\"payload\":{\"key\":\"key0\"}}");
    kv_test_ws_expect_nothing(&scene->subscriber);
}

static void disconnect_clients(struct scene *scene)
{
    kv_test_stream_close(&scene->http);
    kv_test_ws_close(&scene->subscriber);
}

/* A server with keys, with a disk that is made already. */
static void begin(struct scene *scene, const char *options)
{
    kv_test_store_start(&scene->store, options);
    kv_test_stream_open(&scene->http, scene->store.server.port);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(put(scene, key_name("key", i), 'a', VALUE), 202);
    kv_test_stream_close(&scene->http);
    connect_clients(scene);
}

static void crash_and_start_again(struct scene *scene)
{
    disconnect_clients(scene);
    kv_test_server_kill(&scene->store.server);
    kv_test_store_start(&scene->store, "");
    connect_clients(scene);
}

static void end(struct scene *scene)
{
    disconnect_clients(scene);
    kv_test_response_fini(&scene->response);
    kv_test_server_stop_cleanly(&scene->store.server);
}

static void expect_error(struct scene *scene, int status)
{
    assert_int_equal(scene->response.status, status);
    assert_true(
        kv_slice_has_prefix(kv_buffer_slice(&scene->response.body), KV_SLICE("{\"error\":\"")));
}

/* A delete is accepted and frees space; writes that would make the store larger are refused. */
static void expect_deletes_alone(struct scene *scene)
{
    struct kv_test_ws *ws = &scene->subscriber;
    assert_int_equal(put(scene, "no", 'b', MORE_VALUE), 507);
    kv_test_ws_send_text(ws, "{\"type\":\"set\",\"payload\":{\"key\":\"no\",\"value\":1}}");
    kv_test_ws_expect_error(ws, NULL);
    for (int i = 0; i < DELETED; i++) {
        assert_int_equal(ask(scene, "DELETE", key_name("more", i), NULL), 200);
        assert_int_equal(ask(scene, "GET", key_name("more", i), NULL), 204);
    }
    expect_keys(scene);
    kv_test_ws_expect_nothing(ws);
    assert_int_equal(kv_test_http_status(scene->store.server.port, "GET", "/readyz", NULL, NULL),
                     200);
}

/* Writes are refused over every transport, and nothing else is affected. */
static void expect_refusals(struct scene *scene, int status)
{
    struct kv_test_ws *ws = &scene->subscriber;
    int64_t end_ms = kv_test_now_ms() + REFUSING_MS;
    do {
        put(scene, "key0", 'b', VALUE);
        expect_error(scene, status);
        ask(scene, "DELETE", "key0", NULL);
        expect_error(scene, status);
        kv_test_ws_send_text(ws, "{\"type\":\"set\",\"payload\":{\"key\":\"key0\",\"value\":1}}");
        kv_test_ws_expect_error(ws, NULL);
        kv_test_ws_send_text(ws, "{\"type\":\"delete\",\"id\":1,\"payload\":{\"key\":\"key0\"}}");
        kv_test_ws_expect_error(ws, "1");
        expect_keys(scene);
        kv_test_ws_expect_nothing(ws);
        assert_int_equal(
            kv_test_http_status(scene->store.server.port, "GET", "/readyz", NULL, NULL), 200);
    } while (kv_test_now_ms() < end_ms);
}

/* Without a restart. */
static void await_recovery(struct scene *scene, int status)
{
    int64_t end_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (put(scene, "after", 'c', 10) != 202) {
        expect_error(scene, status);
        assert_true(kv_test_now_ms() < end_ms);
        kv_test_sleep_ms(20);
    }
}

static void expect_as_before(struct scene *scene)
{
    expect_keys(scene);
    expect(scene, "after", 'c', 10);
    kv_test_ws_expect_nothing(&scene->subscriber);
}

/* ---- a full disk ---- */

/* From the number `first` on. Returns: the number of the first value that was refused. */
static int fill_up(struct scene *scene, int first)
{
    for (int i = first; i < MORE; i++)
        if (put(scene, key_name("more", i), 'm', MORE_VALUE) != 202) {
            expect_error(scene, 507);
            return i;
        }
    fail_msg("the disk does not get full");
    return 0;
}

static void expect_missing(struct scene *scene, const char *key)
{
    assert_int_equal(ask(scene, "GET", key, NULL), 204);
}

/* From the number `first` on. */
static void expect_more(struct scene *scene, int first, int n_more)
{
    for (int i = 0; i < first; i++)
        expect_missing(scene, key_name("more", i));
    for (int i = first; i < n_more; i++)
        expect(scene, key_name("more", i), 'm', MORE_VALUE);
    expect_missing(scene, key_name("more", n_more));
}

static void full_disk(struct scene *scene, void (*set_full)(const struct scene *, bool))
{
    begin(scene, "");
    for (int i = 0; i < DELETED; i++)
        assert_int_equal(put(scene, key_name("more", i), 'm', MORE_VALUE), 202);
    set_full(scene, true);
    int n_more = fill_up(scene, DELETED);
    expect_deletes_alone(scene);
    set_full(scene, false);
    await_recovery(scene, 507);
    expect_as_before(scene);
    expect_more(scene, DELETED, n_more);
    assert_int_equal(put(scene, "key0", 'a', VALUE - 1), 202);
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(&scene->subscriber, &frame)); /* it is told again */
    assert_int_equal(put(scene, "key0", 'a', VALUE), 202);
    crash_and_start_again(scene);
    expect_as_before(scene);
    expect_more(scene, DELETED, n_more);
    end(scene);
}

static void let_writes_fail(const struct scene *scene, bool is_full)
{
    kv_test_store_set(&scene->store, "full", is_full);
}

static void full_disk_accepts_only_deletes_until_there_is_room(void **state)
{
    struct scene scene = {0};
    (void)state;
    kv_test_store_make(&scene.store);
    full_disk(&scene, let_writes_fail);
    kv_test_store_remove(&scene.store);
}

/* A file beside the store takes what room there is. */
static void take_room(const struct scene *scene, bool is_full)
{
    char *path = kv_test_path(scene->store.disk, "ballast");
    if (is_full) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        static const char zeros[4096];
        assert_true(fd >= 0);
        while (write(fd, zeros, sizeof(zeros)) > 0)
            continue;
        close(fd);
    } else {
        assert_int_equal(unlink(path), 0);
    }
    free(path);
}

static void really_full_file_system_behaves_the_same(void **state)
{
    struct scene scene = {0};
    (void)state;
    kv_test_store_make(&scene.store);
    if (!kv_test_folder_mount(scene.store.disk, 0, "size=64m")) {
        kv_test_store_remove(&scene.store);
        skip(); /* this user cannot mount a small disk; the others run on one that says it is full
                 */
    }
    full_disk(&scene, take_room);
    kv_test_folder_unmount(scene.store.disk);
    kv_test_store_remove(&scene.store);
}

/* Its first write is a delete, and then it crashes. */
static void server_started_on_a_full_disk_accepts_deletes(void **state)
{
    (void)state;
    for (int is_crash = 0; is_crash < 2; is_crash++) {
        struct scene scene = {0};
        kv_test_store_make(&scene.store);
        begin(&scene, "");
        disconnect_clients(&scene);
        if (is_crash)
            kv_test_server_kill(&scene.store.server);
        else
            kv_test_server_stop_cleanly(&scene.store.server);
        kv_test_store_set(&scene.store, "full", true);
        kv_test_store_start(&scene.store, "");
        connect_clients(&scene);
        assert_int_equal(ask(&scene, "DELETE", "key1", NULL), 200);
        assert_int_equal(put(&scene, "key2", 'b', VALUE), 507);
        crash_and_start_again(&scene);
        expect_missing(&scene, "key1");
        expect(&scene, "key2", 'a', VALUE);
        kv_test_store_set(&scene.store, "full", false);
        await_recovery(&scene, 507);
        end(&scene);
        kv_test_store_remove(&scene.store);
    }
}

/* There is nothing to begin with. */
static void new_store_on_a_full_disk_ends_with_an_error(void **state)
{
    struct kv_test_store store;
    (void)state;
    kv_test_store_make(&store);
    kv_test_store_set(&store, "full", true);
    kv_test_store_expect_refusal(&store, store.disk, "No space left");
    kv_test_store_set(&store, "full", false);
    kv_test_store_start(&store, "");
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

static void await_missing(struct scene *scene, const char *key)
{
    int64_t end_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (ask(scene, "GET", key, NULL) != 204) {
        assert_true(kv_test_now_ms() < end_ms);
        kv_test_sleep_ms(20);
    }
}

/* A subscriber is told, which takes a commit. */
static void keys_expire_while_the_disk_is_full(void **state)
{
    struct scene scene = {0};
    (void)state;
    kv_test_store_make(&scene.store);
    begin(&scene, "");
    kv_test_ws_send_text(&scene.subscriber,
                         "{\"type\":\"subscribe\",\"payload\":{\"key\":\"passing\"}}");
    kv_test_ws_send_text(&scene.subscriber, "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":"
                                            "\"passing\",\"value\":1,\"ttl\":1500}}");
    kv_test_ws_expect(&scene.subscriber,
                      "{\"type\":\"value\",\"payload\":{\"key\":\"passing\",\"value\":1}}");
    kv_test_ws_expect_ok(&scene.subscriber, "1", "\"passing\"");
    kv_test_store_set(&scene.store, "full", true);
    fill_up(&scene, 0);
    await_missing(&scene, "passing");
    kv_test_ws_expect(&scene.subscriber,
                      "{\"type\":\"no-value\",\"payload\":{\"key\":\"passing\"}}");
    kv_test_store_set(&scene.store, "full", false);
    end(&scene);
    kv_test_store_remove(&scene.store);
}

/* Nothing is lost, whether the server has noticed the full disk or not. */
static void server_can_be_stopped_while_its_disk_is_full(void **state)
{
    (void)state;
    for (int has_noticed = 0; has_noticed < 2; has_noticed++) {
        struct scene scene = {0};
        kv_test_store_make(&scene.store);
        begin(&scene, "");
        kv_test_store_set(&scene.store, "full", true);
        if (has_noticed)
            fill_up(&scene, 0);
        disconnect_clients(&scene);
        kv_test_server_stop_cleanly(&scene.store.server);
        kv_test_store_set(&scene.store, "full", false);
        kv_test_store_start(&scene.store, "");
        connect_clients(&scene);
        expect_keys(&scene);
        end(&scene);
        kv_test_store_remove(&scene.store);
    }
}

/* ---- a map that is full ---- */

static void start_over(struct scene *scene, const char *options, bool is_crash)
{
    disconnect_clients(scene);
    if (is_crash)
        kv_test_server_kill(&scene->store.server);
    else
        kv_test_server_stop_cleanly(&scene->store.server);
    kv_test_store_start(&scene->store, options);
    connect_clients(scene);
}

/* However often it is tried. */
static void expect_full(struct scene *scene)
{
    for (int i = 0; i < 20; i++) {
        put(scene, key_name("no", i), 'b', FAR_TOO_MUCH);
        expect_error(scene, 507);
    }
}

static void expect_to_be_told(const struct scene *scene)
{
    kv_test_await_log(&scene->store.server, "raise storage.lmdb.map_size");
}

/* Only fitting writes are accepted, so the server starts again, whether it was stopped or
 * crashed. */
static void lmdb_at_its_map_size_accepts_deletes_and_restarts(void **state)
{
    static const char options[] = ", map_size: 4MiB";
    struct scene scene = {0};
    (void)state;
    if (!kv_test_uses_store("lmdb"))
        skip(); /* RocksDB has no limit of its own */
    kv_test_store_make(&scene.store);
    begin(&scene, options);
    int n_more = fill_up(&scene, 0);
    assert_true(n_more > 30);
    expect_full(&scene);
    expect_to_be_told(&scene);
    expect_more(&scene, 0, n_more);
    for (int is_crash = 0; is_crash < 2; is_crash++) {
        start_over(&scene, options, is_crash);
        expect_keys(&scene);
        expect_more(&scene, 0, n_more);
        expect_full(&scene);
        expect_to_be_told(&scene);
    }
    for (int i = 0; i < n_more; i++)
        assert_int_equal(ask(&scene, "DELETE", key_name("more", i), NULL), 200);
    for (int i = 0; i < n_more / 2; i++)
        assert_int_equal(put(&scene, key_name("more", i), 'm', MORE_VALUE), 202);
    expect_keys(&scene);
    end(&scene);
    kv_test_store_remove(&scene.store);
}

/* As if it had been larger before. */
static void lmdb_beyond_its_map_size_starts_reads_and_deletes(void **state)
{
    static const char options[] = ", map_size: 1MiB";
    struct scene scene = {0};
    (void)state;
    if (!kv_test_uses_store("lmdb"))
        skip(); /* RocksDB has no limit of its own */
    kv_test_store_make(&scene.store);
    begin(&scene, ", map_size: 16MiB");
    for (int i = 0; i < DELETED; i++)
        assert_int_equal(put(&scene, key_name("more", i), 'm', MORE_VALUE), 202);
    for (int is_crash = 0; is_crash < 2; is_crash++) {
        start_over(&scene, options, is_crash);
        expect_keys(&scene);
        expect_more(&scene, is_crash, DELETED);
        expect_full(&scene);
        expect_to_be_told(&scene);
        assert_int_equal(ask(&scene, "DELETE", key_name("more", is_crash), NULL), 200);
    }
    start_over(&scene, ", map_size: 16MiB", false);
    expect_more(&scene, 2, DELETED);
    assert_int_equal(put(&scene, "after", 'c', 10), 202);
    end(&scene);
    kv_test_store_remove(&scene.store);
}

/* ---- a disk that fails or hangs ---- */

/* A write refused because it could not be synced must not reappear later either. */
static void disk_that_fails_to_sync_refuses_writes_for_good(void **state)
{
    struct scene scene = {0};
    (void)state;
    kv_test_store_make(&scene.store);
    begin(&scene, "");
    kv_test_store_set(&scene.store, "broken", true);
    assert_int_equal(put(&scene, "refused", 'b', VALUE), 503);
    expect_refusals(&scene, 503);
    kv_test_store_set(&scene.store, "broken", false);
    await_recovery(&scene, 503);
    expect_as_before(&scene);
    assert_int_equal(ask(&scene, "GET", "refused", NULL), 204);
    crash_and_start_again(&scene);
    expect_as_before(&scene);
    assert_int_equal(ask(&scene, "GET", "refused", NULL), 204);
    end(&scene);
    kv_test_store_remove(&scene.store);
}

/* Writes until one is refused. Returns: how many were not. */
static int write_until_refused(struct scene *scene, int status)
{
    int n = 0;
    while (put(scene, key_name("more", n), 'm', MORE_VALUE) == 202)
        assert_true(n++ < MORE);
    expect_error(scene, status);
    return n;
}

static void expect_nothing_lost(struct scene *scene, int n_more)
{
    expect_as_before(scene);
    expect_more(scene, 0, n_more);
}

/* Writes answered before writes are refused exist when writes are accepted again, and later. */
static void fail_behind_writes(struct scene *scene, const char *options, const char *how)
{
    kv_test_store_make(&scene->store);
    begin(scene, options);
    kv_test_store_set(&scene->store, how, true);
    int n = write_until_refused(scene, 503);
    kv_test_store_set(&scene->store, how, false);
    await_recovery(scene, 503);
    expect_nothing_lost(scene, n);
    crash_and_start_again(scene);
    expect_nothing_lost(scene, n);
    end(scene);
    kv_test_store_remove(&scene->store);
}

/* LMDB makes a commit valid by such a write; what it is of is in the journal. */
static void database_that_fails_behind_the_journal_loses_nothing(void **state)
{
    struct scene scene = {0};
    (void)state;
    if (!kv_test_uses_store("lmdb"))
        skip(); /* RocksDB has no such write */
    fail_behind_writes(&scene, "", "unsure");
}

static void failing_sync_between_commits_refuses_the_next_and_loses_none(void **state)
{
    struct scene scene = {0};
    (void)state;
    fail_behind_writes(&scene, ", durability: interval, interval: 50ms", "broken");
}

static void hanging_disk_delays_only_writes(void **state)
{
    struct scene scene = {0};
    struct kv_test_ws writer;
    (void)state;
    kv_test_store_make(&scene.store);
    begin(&scene, "");
    kv_test_ws_open(&writer, scene.store.server.port);
    kv_test_store_set(&scene.store, "stuck", true);
    kv_test_ws_send_text(&writer,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"key0\",\"value\":1}}");
    expect_keys(&scene);
    kv_test_ws_expect_nothing(&scene.subscriber);
    kv_test_store_set(&scene.store, "stuck", false);
    kv_test_ws_expect_ok(&writer, "1", "\"key0\"");
    kv_test_ws_expect(&scene.subscriber,
                      "{\"type\":\"value\",\"payload\":{\"key\":\"key0\",\"value\":1}}");
    kv_test_ws_close(&writer);
    end(&scene);
    kv_test_store_remove(&scene.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_disk_accepts_only_deletes_until_there_is_room),
        cmocka_unit_test(really_full_file_system_behaves_the_same),
        cmocka_unit_test(server_started_on_a_full_disk_accepts_deletes),
        cmocka_unit_test(new_store_on_a_full_disk_ends_with_an_error),
        cmocka_unit_test(keys_expire_while_the_disk_is_full),
        cmocka_unit_test(server_can_be_stopped_while_its_disk_is_full),
        cmocka_unit_test(lmdb_at_its_map_size_accepts_deletes_and_restarts),
        cmocka_unit_test(lmdb_beyond_its_map_size_starts_reads_and_deletes),
        cmocka_unit_test(disk_that_fails_to_sync_refuses_writes_for_good),
        cmocka_unit_test(database_that_fails_behind_the_journal_loses_nothing),
        cmocka_unit_test(failing_sync_between_commits_refuses_the_next_and_loses_none),
        cmocka_unit_test(hanging_disk_delays_only_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
