#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crowd.h"

enum {
    NARROW = 16 * KIB, /* receive buffer of a client that does not read */
    BOUND_MIB = CROWD_LIMIT_MIB * 5 / 4,
    LEFT_MIB = CROWD_LIMIT_MIB / 4, /* may be kept when the crowd is gone */
    QUIET_MS = 100,
    LONGEST_PATH = 32,
};

void crowd_needs_plain_memory(void)
{
    if (KV_TEST_SHARE != 1)
        kv_test_skip_for("a sanitizer keeps memory of its own");
}

static size_t resident(const struct crowd *crowd)
{
    return kv_test_program_resident(&crowd->server->program);
}

void crowd_begin_measuring(struct crowd *crowd)
{
    kv_test_program_forget_peak(&crowd->server->program);
    crowd->baseline = resident(crowd);
}

struct crowd *crowd_gather(void **state, bool is_websocket)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    crowd->server = *state;
    for (int i = 0; i < CROWD; i++) {
        struct kv_test_ws *member = &crowd->members[i];
        *member = (struct kv_test_ws){.mask = 0x55aa55aa};
        kv_test_stream_open_narrow(&member->stream, crowd->server->port, NARROW);
        if (is_websocket)
            kv_test_ws_upgrade(member);
        member->stream.is_paused = true;
    }
    crowd_begin_measuring(crowd);
    return crowd;
}

static bool press_some(struct kv_test_stream *const streams[], size_t n)
{
    return n != 0 && kv_test_stream_turn(streams, n, 1);
}

bool crowd_press(struct crowd *crowd)
{
    struct kv_test_stream *streams[KV_TEST_MAX_STREAMS];
    size_t n = 0;
    bool has_moved = false;
    for (int i = 0; i < CROWD; i++) {
        struct kv_test_stream *stream = &crowd->members[i].stream;
        if (stream->out_at < stream->out.len && !stream->is_ended)
            streams[n++] = stream;
        if (n < KV_TEST_MAX_STREAMS)
            continue;
        has_moved |= press_some(streams, n);
        n = 0;
    }
    return press_some(streams, n) || has_moved;
}

void crowd_expect_bound(const struct crowd *crowd)
{
    size_t peak = kv_test_program_peak(&crowd->server->program);
    print_message("from %zu MiB to %zu MiB at most, %zu MiB now\n", crowd->baseline / MIB,
                  peak / MIB, resident(crowd) / MIB);
    assert_in_range(peak, 0, crowd->baseline + (size_t)BOUND_MIB * MIB);
}

void crowd_disperse(struct crowd *crowd, int64_t limit_ms)
{
    int64_t deadline_ms = kv_test_now_ms() + limit_ms;
    for (int i = 0; i < CROWD; i++)
        kv_test_ws_close(&crowd->members[i]);
    while (KV_TEST_SHARE == 1 && resident(crowd) > crowd->baseline + (size_t)LEFT_MIB * MIB) {
        if (kv_test_now_ms() >= deadline_ms)
            fail_msg("%zu MiB are not given back", (resident(crowd) - crowd->baseline) / MIB);
        kv_test_sleep_ms(QUIET_MS);
    }
    print_message("%zu MiB at the end\n", resident(crowd) / MIB);
    free(crowd);
}

char *crowd_make_value(char letter, size_t len)
{
    char *value = kv_test_letters(letter, len);
    value[0] = value[len - 1] = '"';
    return value;
}

const char *crowd_path(int which, char *ret)
{
    snprintf(ret, LONGEST_PATH, "/storage/long-%d", which);
    return ret;
}

int64_t crowd_store_value(uint16_t port, int which, const char *value)
{
    struct kv_buffer body = {0};
    char path[LONGEST_PATH];
    int64_t began_ms = kv_test_now_ms();
    kv_buffer_printf(&body, "{\"value\":%s}", value);
    kv_buffer_append_char(&body, '\0');
    while (kv_test_http_status(port, "POST", crowd_path(which, path), NULL, body.bytes) != 202)
        assert_true(kv_test_now_ms() < began_ms + KV_TEST_LIMIT_MS);
    kv_buffer_fini(&body);
    return kv_test_now_ms() - began_ms;
}

void crowd_store_values(uint16_t port, char letter, size_t len)
{
    char *value = crowd_make_value(letter, len);
    for (int i = 0; i < CROWD_VALUES; i++)
        crowd_store_value(port, i, value);
    free(value);
}
