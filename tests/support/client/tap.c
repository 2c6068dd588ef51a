#include "support/client/tap.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client/records.h"

enum {
    PIECE = 64 << 10,
    TURN_MS = 20,
};

bool kv_test_tap_is_tls(struct kv_slice bytes)
{
    struct kv_test_records records = {0};
    kv_test_records_add(&records, bytes, KV_TEST_NO_KEYS);
    return !records.has_fault;
}

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void accept_one(struct kv_test_tap *tap)
{
    struct sockaddr_in address = address_of(tap->to);
    int client = accept(tap->listener, NULL, NULL);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (tap->n == KV_TEST_TAP_MOST ||
        connect(server, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(client);
        close(server);
        return;
    }
    tap->connections[tap->n].fds[0] = client;
    tap->connections[tap->n++].fds[1] = server;
}

static void end(struct kv_test_tap *tap, size_t i)
{
    for (int side = 0; side < 2; side++) {
        if (tap->connections[i].fds[side] >= 0)
            close(tap->connections[i].fds[side]);
        tap->connections[i].fds[side] = -1;
    }
}

static void pass_on(struct kv_test_tap *tap, size_t i, int side)
{
    struct kv_buffer *came = &tap->connections[i].came[side];
    char *to = kv_buffer_reserve(came, PIECE);
    ssize_t got = recv(tap->connections[i].fds[side], to, PIECE, 0);
    if (got <= 0) {
        end(tap, i);
        return;
    }
    came->len += (size_t)got;
    for (ssize_t sent = 0, n; sent < got; sent += n) {
        n = send(tap->connections[i].fds[!side], to + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (n <= 0)
            return;
    }
}

static void *run(void *user)
{
    struct kv_test_tap *tap = user;
    while (!atomic_load(&tap->is_closed)) {
        struct pollfd polled[1 + 2 * KV_TEST_TAP_MOST];
        size_t n = tap->n;
        polled[0] = (struct pollfd){.fd = tap->listener, .events = POLLIN};
        for (size_t i = 0; i < 2 * n; i++)
            polled[1 + i] =
                (struct pollfd){.fd = tap->connections[i / 2].fds[i % 2], .events = POLLIN};
        poll(polled, 1 + 2 * n, TURN_MS);
        for (size_t i = 0; i < 2 * n; i++)
            if (polled[1 + i].revents != 0 && tap->connections[i / 2].fds[i % 2] >= 0)
                pass_on(tap, i / 2, i % 2);
        if (polled[0].revents != 0)
            accept_one(tap);
    }
    return NULL;
}

void kv_test_tap_open(struct kv_test_tap *tap, uint16_t to)
{
    *tap = (struct kv_test_tap){.to = to};
    struct sockaddr_in address = address_of(0);
    socklen_t len = sizeof(address);
    tap->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(tap->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(tap->listener, KV_TEST_TAP_MOST), 0);
    getsockname(tap->listener, (struct sockaddr *)&address, &len);
    tap->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&tap->thread, NULL, run, tap), 0);
}

static void stop(struct kv_test_tap *tap)
{
    if (!atomic_exchange(&tap->is_closed, true))
        pthread_join(tap->thread, NULL);
}

void kv_test_tap_expect_tls(struct kv_test_tap *tap)
{
    stop(tap);
    assert_true(tap->n != 0);
    for (size_t i = 0; i < 2 * tap->n; i++) {
        struct kv_slice came = kv_buffer_slice(&tap->connections[i / 2].came[i % 2]);
        if (came.len == 0 || !kv_test_tap_is_tls(came))
            fail_msg("of connection %zu %s sent something else than TLS", i / 2,
                     i % 2 == 0 ? "the client" : "the server");
    }
}

void kv_test_tap_close(struct kv_test_tap *tap)
{
    stop(tap);
    close(tap->listener);
    for (size_t i = 0; i < tap->n; i++) {
        end(tap, i);
        kv_buffer_fini(&tap->connections[i].came[0]);
        kv_buffer_fini(&tap->connections[i].came[1]);
    }
}
