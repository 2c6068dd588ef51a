/*
 * Certificates that change while a thousand connections of all kinds are busy: no connection is
 * closed, no request fails, every change is told once, and new connections see the new certificate.
 *
 * The main thread drives the connections without a pause; another one changes the files, and makes
 * the new connections.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "support/client/folder.h"
#include "support/client/tls.h"

enum {
    KEPT = 700 / KV_TEST_SHARE,    /* HTTP connections that write and read */
    SOCKETS = 200 / KV_TEST_SHARE, /* WebSockets that do the same */
    LISTENERS = 40 / KV_TEST_SHARE,
    READERS = 40 / KV_TEST_SHARE, /* of event streams */
    TELLERS = 20 / KV_TEST_SHARE, /* WebSockets that write what the two hear */
    ALL = KEPT + SOCKETS + LISTENERS + READERS + TELLERS,
    ROUNDS = 6,       /* the file is renamed; every other time, with a signal */
    LAPS_A_ROUND = 2, /* of all connections, once a new one has seen the certificate */
    LIMIT_MS = 20 * KV_TEST_LIMIT_MS
};

enum role {
    A_KEPT,
    A_SOCKET,
    A_TELLER,
    A_LISTENER,
    A_READER
};

static const char *const roles[] = {"HTTP connection", "WebSocket", "WebSocket that tells",
                                    "WebSocket that subscribes", "event stream"};

struct member {
    enum role role;
    int key;
    struct kv_test_ws ws;
    int n_asked, n_answered; /* by turns, a write and a read; of a teller, writes */
    int heard[TELLERS];      /* the last value of each teller's key */
};

static struct kv_test_server server;
static char *certificate;
static struct member *members;
static struct kv_test_response response;
static atomic_int n_laps; /* answers that every connection that asks has had at least */
static atomic_bool is_over;
static atomic_int n_rounds; /* in which new connections saw the new certificate */

/* ---- the connections ---- */

static void ask_by_http(struct member *member)
{
    struct kv_buffer request = {0};
    char path[32], body[64];
    snprintf(path, sizeof(path), "/storage/kept/%d", member->key);
    snprintf(body, sizeof(body), "{\"value\":%d}", member->n_asked);
    if (member->n_asked % 2 == 0)
        kv_test_http_write(&request, "PUT", kv_slice_of(path), NULL, kv_slice_of(body));
    else
        kv_test_http_write(&request, "GET", kv_slice_of(path), NULL, (struct kv_slice){0});
    kv_test_stream_put(&member->ws.stream, kv_buffer_slice(&request));
    kv_buffer_fini(&request);
}

static void take_by_http(struct member *member)
{
    char body[64];
    if (kv_test_stream_unread(&member->ws.stream).len == 0)
        return;
    assert_true(kv_test_http_receive(&member->ws.stream, &response));
    bool was_write = member->n_answered % 2 == 0;
    assert_int_equal(response.status, was_write ? 202 : 200);
    snprintf(body, sizeof(body), "{\"value\":%d}", member->n_answered - 1);
    if (!was_write)
        assert_true(kv_slice_equals(kv_buffer_slice(&response.body), kv_slice_of(body)));
    member->n_answered++;
}

static void ask_by_websocket(struct member *member)
{
    if (member->role == A_TELLER)
        kv_test_ws_put_text(&member->ws,
                            "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"told/%d\","
                            "\"value\":%d}}",
                            member->n_asked, member->key, member->n_asked + 1);
    else if (member->n_asked % 2 == 0)
        kv_test_ws_put_text(&member->ws,
                            "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"socket/%d\","
                            "\"value\":%d}}",
                            member->n_asked, member->key, member->n_asked);
    else
        kv_test_ws_put_text(&member->ws,
                            "{\"type\":\"get\",\"id\":%d,\"payload\":{\"key\":\"socket/%d\"}}",
                            member->n_asked, member->key);
}

static void expect_answer(struct member *member, struct kv_slice text)
{
    char id[16], key[32], value[160];
    uint64_t revision;
    snprintf(id, sizeof(id), "%d", member->n_answered);
    snprintf(key, sizeof(key), "\"%s/%d\"", member->role == A_TELLER ? "told" : "socket",
             member->key);
    snprintf(value, sizeof(value),
             "{\"type\":\"value\",\"id\":%s,\"payload\":{\"key\":%s,\"value\":%d}}", id, key,
             member->n_answered - 1);
    bool was_write = member->role == A_TELLER || member->n_answered % 2 == 0;
    if (was_write ? !kv_test_ws_is_ok(text, id, key, &revision)
                  : !kv_slice_equals(text, kv_slice_of(value)))
        fail_msg("instead of the answer %s of %s came %.*s", id, key, (int)text.len, text.bytes);
    member->n_answered++;
}

/* A change that a subscriber was told. */
static void hear(struct member *member, struct kv_slice text)
{
    int key, value;
    const char *at = memmem(text.bytes, text.len, "\"key\":\"told/", 12);
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"key\":\"told/%d\",\"value\":%d", &key, &value), 2);
    assert_in_range(key, 0, TELLERS - 1);
    if (value != member->heard[key] + 1)
        fail_msg("a %s was told the change %d after %d", roles[member->role], value,
                 member->heard[key]);
    member->heard[key] = value;
}

static void take_by_websocket(struct member *member)
{
    struct kv_test_frame frame;
    while (kv_test_ws_take(&member->ws, &frame)) {
        if (frame.opcode == KV_TEST_WS_PING)
            kv_test_ws_put_frame(&member->ws, KV_TEST_WS_FINAL | KV_TEST_WS_PONG, frame.payload);
        else if (frame.opcode != KV_TEST_WS_TEXT)
            fail_msg("a %s received a frame of type %d", roles[member->role], frame.opcode);
        else if (member->role == A_LISTENER)
            hear(member, frame.payload);
        else
            expect_answer(member, frame.payload);
    }
}

/* Takes whole events. */
static void take_events(struct member *member)
{
    struct kv_slice unread;
    const char *end;
    while ((unread = kv_test_stream_unread(&member->ws.stream)).len != 0 &&
           (end = memmem(unread.bytes, unread.len, "\n\n", 2)) != NULL) {
        struct kv_slice event = {unread.bytes, (size_t)(end - unread.bytes)};
        if (memmem(event.bytes, event.len, "\"key\"", 5) != NULL)
            hear(member, event);
        kv_test_stream_use(&member->ws.stream, event.len + 2);
    }
}

static void take(struct member *member)
{
    if (member->role == A_KEPT)
        take_by_http(member);
    else if (member->role == A_READER)
        take_events(member);
    else
        take_by_websocket(member);
    if (member->ws.stream.is_ended)
        fail_msg("a %s was closed", roles[member->role]);
}

static bool asks(const struct member *member)
{
    return member->role != A_LISTENER && member->role != A_READER;
}

static void ask(struct member *member)
{
    if (!asks(member) || member->n_asked != member->n_answered)
        return;
    if (member->role == A_KEPT)
        ask_by_http(member);
    else
        ask_by_websocket(member);
    member->n_asked++;
}

static void open_events(struct member *member)
{
    struct kv_test_stream *stream = &member->ws.stream;
    kv_test_stream_open(stream, server.port);
    kv_test_stream_put(stream,
                       KV_SLICE("GET /events?prefix=told/ HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    const char *end = NULL;
    for (struct kv_slice unread = {0}; end == NULL;) {
        assert_true(kv_test_stream_await(stream, unread.len + 1));
        unread = kv_test_stream_unread(stream);
        end = memmem(unread.bytes, unread.len, "\r\n\r\n", 4);
    }
    kv_test_stream_use(stream, (size_t)(end + 4 - kv_test_stream_unread(stream).bytes));
}

static void open_member(struct member *member, enum role role, int key)
{
    member->role = role;
    member->key = key;
    if (role == A_KEPT)
        kv_test_stream_open(&member->ws.stream, server.port);
    else if (role == A_READER)
        open_events(member);
    else
        kv_test_ws_open(&member->ws, server.port);
    if (role != A_LISTENER)
        return;
    kv_test_ws_send_text(&member->ws,
                         "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"told/\"}}");
    kv_test_ws_expect(&member->ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"prefix\":\"told/\"}}");
}

static void open_members(void)
{
    static const struct {
        enum role role;
        int n;
    } groups[] = {{A_KEPT, KEPT},
                  {A_SOCKET, SOCKETS},
                  {A_LISTENER, LISTENERS},
                  {A_READER, READERS},
                  {A_TELLER, TELLERS}};
    members = kv_calloc(ALL, sizeof(*members));
    size_t n = 0;
    for (size_t group = 0; group < sizeof(groups) / sizeof(groups[0]); group++)
        for (int i = 0; i < groups[group].n; i++)
            open_member(&members[n++], groups[group].role, i);
}

static void close_members(void)
{
    for (size_t i = 0; i < ALL; i++)
        kv_test_ws_close(&members[i].ws);
    free(members);
    kv_test_response_fini(&response);
}

/* ---- the load ---- */

/* Lets all streams move, and takes what has come. */
static void turn(void)
{
    struct kv_test_stream *streams[KV_TEST_MAX_STREAMS];
    bool has_moved = false;
    size_t n = 0;
    for (size_t i = 0; i < ALL; i++) {
        streams[n++] = &members[i].ws.stream;
        if (n < KV_TEST_MAX_STREAMS && i + 1 < ALL)
            continue;
        has_moved |= kv_test_stream_turn(streams, n, i + 1 == ALL && !has_moved);
        n = 0;
    }
    for (size_t i = 0; i < ALL; i++)
        take(&members[i]);
}

static int count_laps(void)
{
    int least = INT32_MAX;
    for (size_t i = 0; i < ALL; i++)
        if (asks(&members[i]) && members[i].n_answered < least)
            least = members[i].n_answered;
    return least;
}

static bool is_quiet(void)
{
    for (size_t i = 0; i < ALL; i++) {
        if (asks(&members[i]) && members[i].n_answered != members[i].n_asked)
            return false;
        for (int key = 0; !asks(&members[i]) && key < TELLERS; key++)
            if (members[i].heard[key] != members[ALL - TELLERS + key].n_answered)
                return false;
    }
    return true;
}

static void drive(void)
{
    int64_t until_ms = kv_test_now_ms() + LIMIT_MS;
    while (!atomic_load(&is_over)) {
        for (size_t i = 0; i < ALL; i++)
            ask(&members[i]);
        turn();
        atomic_store(&n_laps, count_laps());
        assert_true(kv_test_now_ms() < until_ms);
    }
    while (!is_quiet()) {
        turn();
        assert_true(kv_test_now_ms() < until_ms);
    }
}

/* ---- the certificates ---- */

static bool sees(const char *name)
{
    struct kv_test_stream stream;
    if (!kv_test_stream_try_open(&stream, server.port))
        return false;
    bool is_seen = strcmp(kv_test_tls_server(&stream), name) == 0;
    kv_test_stream_close(&stream);
    return is_seen;
}

/* Until all connections have been served some more. Returns: false if it takes too long. */
static bool await_laps(int64_t until_ms)
{
    int wanted = atomic_load(&n_laps) + LAPS_A_ROUND;
    while (atomic_load(&n_laps) < wanted && kv_test_now_ms() < until_ms)
        kv_test_sleep_ms(1);
    return atomic_load(&n_laps) >= wanted;
}

/* Asserts nothing, as only the main thread may. */
static void *change_certificates(void *user)
{
    int64_t until_ms = kv_test_now_ms() + LIMIT_MS / 2;
    for (int round = 0; round < ROUNDS && await_laps(until_ms); round++) {
        char name[16];
        snprintf(name, sizeof(name), "round-%d", round);
        kv_test_certificate_write(certificate, name, NULL, 30);
        if (round % 2 == 0)
            kill(server.program.pid, SIGHUP);
        while (!sees(name) && kv_test_now_ms() < until_ms)
            kv_test_sleep_ms(1);
        atomic_store(&n_rounds, kv_test_now_ms() < until_ms && await_laps(until_ms)
                                    ? round + 1
                                    : atomic_load(&n_rounds));
    }
    atomic_store(&is_over, true);
    return user;
}

static void busy_connections_outlive_changes_of_certificates(void **state)
{
    pthread_t changer;
    (void)state;
    open_members();
    assert_int_equal(pthread_create(&changer, NULL, change_certificates, NULL), 0);
    drive();
    pthread_join(changer, NULL);
    assert_int_equal(atomic_load(&n_rounds), ROUNDS);
    print_message("%d connections, each with at least %d answers\n", (int)ALL,
                  atomic_load(&n_laps));
    close_members();
}

static int set_up(void **state)
{
    char *folder = kv_test_folder_make();
    char more[512];
    *state = folder;
    setenv("KV_TEST_TLS", "on", 1);
    certificate = kv_test_path(folder, "server.pem");
    kv_test_certificate_write(certificate, "first", NULL, 30);
    snprintf(more, sizeof(more),
             "listen: [{port: %%port, tls: {cert: %s, key: %s}}]\nthreads: 2\nmodules: %s\n"
             "storage: {module: memory}\ntimeouts: {idle: 1h, stalled_reader: 1h}\n",
             certificate, certificate, getenv("KV_TEST_MODULES"));
    kv_test_server_start(&server, more);
    return 0;
}

static int tear_down(void **state)
{
    kv_test_server_stop_cleanly(&server);
    free(certificate);
    kv_test_folder_remove(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_connections_outlive_changes_of_certificates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
