/* The load of other clients does not noticeably delay a client with few requests. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/fork.h"

enum {
    MOST_CROWD = 150,
    PROBES = 100,
    ROUNDS = 5, /* the best counts: what else the machine does is nobody's fault */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    LATEST_US = 500000,
#else
    LATEST_US = 50000,
#endif
};

/* The crowd: a process with connections, each of which sends its text again and again, and throws
 * away what it is answered. */
struct member {
    struct pollfd *poll;
    size_t at;
};

static void send_some(struct member *member, struct kv_slice text)
{
    ssize_t n = send(member->poll->fd, text.bytes + member->at, text.len - member->at,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        member->at = (member->at + (size_t)n) % text.len;
}

static void receive_some(const struct member *member)
{
    static char ignored[1 << 16];
    ssize_t n = recv(member->poll->fd, ignored, sizeof(ignored), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        _exit(EXIT_FAILURE);
}

static void be_crowd(struct pollfd *polls, struct member *members, int n, struct kv_slice text)
{
    for (;;) {
        poll(polls, (nfds_t)n, -1);
        for (int i = 0; i < n; i++) {
            if ((polls[i].revents & POLLIN) != 0)
                receive_some(&members[i]);
            if ((polls[i].revents & POLLOUT) != 0)
                send_some(&members[i], text);
        }
    }
}

struct crowd {
    pid_t process;
    struct kv_test_stream streams[MOST_CROWD];
    struct pollfd polls[MOST_CROWD];
    struct member members[MOST_CROWD];
};

/* Has n connections send the text over and over. is_websocket: after an upgrade. */
static struct crowd *start_crowd(uint16_t port, int n, struct kv_slice text, bool is_websocket)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    for (int i = 0; i < n; i++) {
        struct kv_test_ws ws = {.mask = 0x55aa55aa};
        kv_test_stream_open(&ws.stream, port);
        if (is_websocket)
            kv_test_ws_upgrade(&ws);
        crowd->streams[i] = ws.stream;
        crowd->polls[i] = (struct pollfd){.fd = ws.stream.fd, .events = POLLIN | POLLOUT};
        crowd->members[i].poll = &crowd->polls[i];
    }
    if ((crowd->process = kv_test_fork()) == 0)
        be_crowd(crowd->polls, crowd->members, n, text);
    assert_true(crowd->process > 0);
    for (int i = 0; i < n; i++)
        kv_test_stream_close(&crowd->streams[i]);
    return crowd;
}

/* Asserts that the crowd was served all the time. */
static void end_crowd(struct crowd *crowd)
{
    int status;
    assert_int_equal(waitpid(crowd->process, &status, WNOHANG), 0);
    kill(crowd->process, SIGKILL);
    waitpid(crowd->process, &status, 0);
    free(crowd);
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Returns: how long the slowest but one of the requests took. */
static int64_t probe_us(struct kv_test_stream *stream, const char *method, const char *body)
{
    int64_t took_us[PROBES];
    struct kv_test_response response = {0};
    for (int i = 0; i < PROBES; i++) {
        int64_t began_us = kv_test_now_us();
        int status = kv_test_http_ask(stream, method, "/storage/probe", NULL, body, &response);
        assert_true(status == 200 || status == 202);
        took_us[i] = kv_test_now_us() - began_us;
        kv_test_sleep_ms(2);
    }
    kv_test_response_fini(&response);
    qsort(took_us, PROBES, sizeof(took_us[0]), compare);
    return took_us[PROBES - 2];
}

/* The bound, on a machine that may be busy with something else. */
static int64_t latest_here_us(void **state, const char *method, const char *body, int64_t latest_us)
{
    enum {
        TIMES = 2 /* what a request takes without the crowd */
    };
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    latest_us += TIMES * probe_us(&stream, method, body);
    kv_test_stream_close(&stream);
    return latest_us;
}

static void expect_probes_within(void **state, const char *method, const char *body,
                                 int64_t latest_us)
{
    struct kv_test_stream stream;
    int64_t best_us = INT64_MAX;
    kv_test_stream_open(&stream, kv_test_port(state));
    for (int round = 0; round < ROUNDS && best_us > latest_us; round++) {
        int64_t slowest_us = probe_us(&stream, method, body);
        print_message("99 of 100 requests took at most %.1f ms of %.1f\n",
                      (double)slowest_us / 1000, (double)latest_us / 1000);
        best_us = slowest_us < best_us ? slowest_us : best_us;
    }
    assert_true(best_us <= latest_us);
    kv_test_stream_close(&stream);
}

static void expect_no_delay_by(void **state, struct kv_slice text, bool is_websocket)
{
    kv_test_store(kv_test_port(state), "probe", "1");
    int64_t latest_us = latest_here_us(state, "GET", NULL, LATEST_US);
    struct crowd *crowd = start_crowd(kv_test_port(state), MOST_CROWD, text, is_websocket);
    expect_probes_within(state, "GET", NULL, latest_us);
    end_crowd(crowd);
}

static void pipelines_do_not_delay_other_clients(void **state)
{
    struct kv_buffer text = {0};
    for (int i = 0; i < 1000; i++)
        kv_buffer_append(&text, KV_SLICE("GET /storage/probe HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    expect_no_delay_by(state, kv_buffer_slice(&text), false);
    kv_buffer_fini(&text);
}

static void pipelines_served_by_libh2o_do_not_delay_other_clients(void **state)
{
    struct kv_buffer text = {0};
    for (int i = 0; i < 1000; i++)
        kv_buffer_append(&text, KV_SLICE("GET /storage/probe HTTP/1.1\r\nHost: localhost\r\n"
                                         "Origin: http://localhost\r\n\r\n"));
    expect_no_delay_by(state, kv_buffer_slice(&text), false);
    kv_buffer_fini(&text);
}

static void messages_do_not_delay_other_clients(void **state)
{
    struct kv_test_ws ws = {.mask = 0x55aa55aa};
    for (int i = 0; i < 1000; i++)
        kv_test_ws_put(&ws, KV_SLICE("{\"type\":\"get\",\"payload\":{\"key\":\"probe\"}}"));
    expect_no_delay_by(state, kv_buffer_slice(&ws.stream.out), true);
    kv_buffer_fini(&ws.stream.out);
}

/* Errors are answered at once, so nothing else bounds how many there are under way. */
static void malformed_requests_do_not_delay_other_clients(void **state)
{
    struct kv_test_ws ws = {.mask = 0x55aa55aa};
    for (int i = 0; i < 1000; i++)
        kv_test_ws_put(&ws, KV_SLICE("{}"));
    expect_no_delay_by(state, kv_buffer_slice(&ws.stream.out), true);
    kv_buffer_fini(&ws.stream.out);
}

/* Texts that take a second to be scanned, and as long to be stored as anything may. */
enum {
    LONG_TEXTS = 8,
    LONG_TEXT = 95 << 20,
    PROBE_TEXT = 300000,
    LATEST_AMONG_LONG_US = KV_TEST_SHARE == 1 ? 300000 : 3000000,
};

static struct kv_buffer quote(char letter, size_t len)
{
    struct kv_buffer text = {0};
    char *letters = kv_test_letters(letter, len / KV_TEST_SHARE);
    kv_buffer_append_char(&text, '"');
    kv_buffer_append(&text, kv_slice_of(letters));
    kv_buffer_append_char(&text, '"');
    free(letters);
    return text;
}

static void expect_posts_among(void **state, struct kv_slice text, bool is_websocket)
{
    struct kv_buffer value = quote('p', PROBE_TEXT), body = {0};
    kv_buffer_append(&body, KV_SLICE("{\"value\":"));
    kv_buffer_append(&body, kv_buffer_slice(&value));
    kv_buffer_append(&body, (struct kv_slice){"}", 2});
    int64_t latest_us = latest_here_us(state, "POST", body.bytes, LATEST_AMONG_LONG_US);
    struct crowd *crowd = start_crowd(kv_test_port(state), LONG_TEXTS, text, is_websocket);
    expect_probes_within(state, "POST", body.bytes, latest_us);
    end_crowd(crowd);
    kv_buffer_fini(&body);
    kv_buffer_fini(&value);
}

static void long_bodies_do_not_delay_short_ones(void **state)
{
    struct kv_buffer value = quote('v', LONG_TEXT), body = {0}, text = {0};
    kv_buffer_append(&body, KV_SLICE("{\"value\":"));
    kv_buffer_append(&body, kv_buffer_slice(&value));
    kv_buffer_append_char(&body, '}');
    kv_test_http_write(&text, "POST", KV_SLICE("/storage/long"), NULL, kv_buffer_slice(&body));
    expect_posts_among(state, kv_buffer_slice(&text), false);
    kv_buffer_fini(&text);
    kv_buffer_fini(&body);
    kv_buffer_fini(&value);
}

static void long_messages_do_not_delay_short_ones(void **state)
{
    struct kv_buffer value = quote('v', LONG_TEXT), message = {0};
    struct kv_test_ws ws = {.mask = 0x55aa55aa};
    kv_buffer_append(&message,
                     KV_SLICE("{\"type\":\"set\",\"payload\":{\"key\":\"long\",\"value\":"));
    kv_buffer_append(&message, kv_buffer_slice(&value));
    kv_buffer_append(&message, KV_SLICE("}}"));
    kv_test_ws_put(&ws, kv_buffer_slice(&message));
    expect_posts_among(state, kv_buffer_slice(&ws.stream.out), true);
    kv_buffer_fini(&ws.stream.out);
    kv_buffer_fini(&message);
    kv_buffer_fini(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelines_do_not_delay_other_clients),
        cmocka_unit_test(pipelines_served_by_libh2o_do_not_delay_other_clients),
        cmocka_unit_test(messages_do_not_delay_other_clients),
        cmocka_unit_test(malformed_requests_do_not_delay_other_clients),
        cmocka_unit_test(long_bodies_do_not_delay_short_ones),
        cmocka_unit_test(long_messages_do_not_delay_short_ones),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
