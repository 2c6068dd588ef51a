/*
 * Clients that request much and read nothing: the server's memory stays bounded meanwhile, and is
 * released when they are gone. The measure is the memory of the process according to the kernel,
 * compared with that before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    MIB = 1 << 20,
    NARROW = 16 * 1024, /* receive buffer of a client that does not read */
    QUIET_MS = 300,
};

/* A sanitizer's own memory, and its delayed freeing, distort the measurement. */
static void need_plain_memory(void)
{
    if (KV_TEST_SHARE != 1)
        kv_test_skip_for("a sanitizer keeps memory of its own");
}

static void store_long_value(uint16_t port, const char *key, size_t len)
{
    char *value = kv_test_letters('v', len);
    value[0] = value[len - 1] = '"';
    kv_test_store(port, key, value);
    free(value);
}

/* Until the server has nothing to do: it uses no more processor time, and waits for none. */
static void await_quiet(const struct kv_test_server *server)
{
    int64_t used, before = -1;
    while ((used = kv_test_program_processor_ms(&server->program)) != before ||
           !kv_test_program_is_asleep(&server->program)) {
        before = used;
        kv_test_sleep_ms(QUIET_MS);
    }
}

/* Sends as much of what is queued as the server takes. */
static void press(struct kv_test_stream *stream)
{
    stream->is_paused = true;
    while (stream->out_at < stream->out.len && kv_test_stream_turn(&stream, 1, QUIET_MS))
        continue;
}

static size_t begin_measuring(const struct kv_test_server *server)
{
    await_quiet(server);
    kv_test_program_forget_peak(&server->program);
    return kv_test_program_resident(&server->program);
}

/* The most it had since, beyond what it had then. */
static size_t grown_mib(const struct kv_test_server *server, size_t baseline)
{
    await_quiet(server);
    size_t peak = kv_test_program_peak(&server->program);
    size_t now = kv_test_program_resident(&server->program);
    print_message("from %zu MiB to %zu MiB at most, %zu MiB now\n", baseline / MIB, peak / MIB,
                  now / MIB);
    return peak < baseline ? 0 : (peak - baseline) / MIB;
}

static void expect_given_back(const struct kv_test_server *server, size_t baseline, size_t most_mib)
{
    int64_t deadline_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (kv_test_program_resident(&server->program) > baseline + most_mib * MIB) {
        if (kv_test_now_ms() >= deadline_ms)
            fail_msg("%zu MiB are not given back",
                     (kv_test_program_resident(&server->program) - baseline) / MIB);
        kv_test_sleep_ms(QUIET_MS);
    }
}

static void pipelined_gets_of_long_values_hold_the_limit_and_one_value(void **state)
{
    enum {
        VALUE_MIB = 64,
        LIMIT_MIB = 16,
        GETS = 100,
    };
    const struct kv_test_server *server = *state;
    struct kv_test_stream slow;
    need_plain_memory();
    store_long_value(server->port, "one", VALUE_MIB * MIB);
    store_long_value(server->port, "two", VALUE_MIB * MIB);
    size_t baseline = begin_measuring(server);
    kv_test_stream_open_narrow(&slow, server->port, NARROW);
    for (int i = 0; i < GETS; i++)
        kv_test_http_write(&slow.out, "GET", kv_slice_of(i % 2 ? "/storage/one" : "/storage/two"),
                           NULL, (struct kv_slice){0});
    press(&slow);
    /* while a value is read, the store's engine may have a copy of its own */
    assert_in_range(grown_mib(server, baseline), 0, LIMIT_MIB + 2 * VALUE_MIB);
    kv_test_stream_close(&slow);
    expect_given_back(server, baseline, LIMIT_MIB);
}

static void open_narrow(struct kv_test_ws *ws, uint16_t port)
{
    *ws = (struct kv_test_ws){.mask = 0x55aa55aa};
    kv_test_stream_open_narrow(&ws->stream, port, NARROW);
    kv_test_ws_upgrade(ws);
}

/* Each of some clients sends `first` once and then `next`, `n_frames` in all, and reads nothing;
 * then all are gone. Returns: what the server grew by. */
static size_t flood(const struct kv_test_server *server, uint8_t first, uint8_t next,
                    struct kv_slice payload, int n_frames)
{
    enum {
        CLIENTS = 60
    };
    struct kv_test_ws clients[CLIENTS];
    size_t baseline = begin_measuring(server);
    for (int i = 0; i < CLIENTS; i++) {
        open_narrow(&clients[i], server->port);
        for (int n = 0; n < n_frames; n++)
            kv_test_ws_put_frame(&clients[i], n == 0 ? first : next, payload);
        press(&clients[i].stream);
    }
    size_t grown = grown_mib(server, baseline);
    for (int i = 0; i < CLIENTS; i++)
        kv_test_ws_close(&clients[i]);
    return grown;
}

static void unread_pongs_take_no_memory(void **state)
{
    need_plain_memory();
    char *payload = kv_test_letters('p', 120);
    uint8_t ping = KV_TEST_WS_FINAL | KV_TEST_WS_PING;
    assert_in_range(flood(*state, ping, ping, kv_slice_of(payload), 20000), 0, 32);
    free(payload);
}

static void binary_messages_take_no_memory(void **state)
{
    need_plain_memory();
    char *part = kv_test_letters('b', MIB);
    assert_in_range(flood(*state, KV_TEST_WS_BINARY, KV_TEST_WS_CONTINUATION, kv_slice_of(part), 4),
                    0, 32);
    free(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_gets_of_long_values_hold_the_limit_and_one_value),
        cmocka_unit_test(unread_pongs_take_no_memory),
        cmocka_unit_test(binary_messages_take_no_memory),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
