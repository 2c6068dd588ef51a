/* Input buffers, whose sizes follow the input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loop/evloop.h"
#include "net/intake.h"

enum {
    SMALL = 1000,
    LARGE = 15000,
};

/* Returns: the room that the first read found. */
static size_t fill(h2o_buffer_t **buffer, size_t len)
{
    size_t room, first = 0;
    while (len != 0) {
        char *to = kv_intake_reserve(buffer, &room);
        size_t n = len < room ? len : room;
        assert_non_null(to);
        memset(to, 'a', n);
        (*buffer)->size += n;
        first = first == 0 ? room : first;
        len -= n;
    }
    return first;
}

static void large_input_finds_room_at_once_the_next_time(void **state)
{
    h2o_buffer_t *buffer;
    (void)state;
    h2o_buffer_init(&buffer, &h2o_socket_buffer_prototype);
    assert_true(fill(&buffer, LARGE) < LARGE);
    kv_intake_consume(&buffer, LARGE);
    for (int i = 0; i < 3; i++) {
        assert_true(fill(&buffer, LARGE) >= LARGE);
        kv_intake_consume(&buffer, SMALL);
        kv_intake_consume(&buffer, LARGE - SMALL);
    }
    fill(&buffer, SMALL);
    kv_intake_consume(&buffer, SMALL);
    assert_true(fill(&buffer, LARGE) < LARGE);
    h2o_buffer_dispose(&buffer);
}

static void consumed_buffer_has_no_memory(void **state)
{
    h2o_buffer_t *buffer;
    size_t room;
    (void)state;
    h2o_buffer_init(&buffer, &h2o_socket_buffer_prototype);
    assert_int_equal(kv_intake_bytes(buffer), 0);
    for (size_t len = 1; len < 4 << 20; len *= 3) {
        fill(&buffer, len);
        assert_true(kv_intake_bytes(buffer) >= len);
        kv_intake_consume(&buffer, len);
        assert_int_equal(kv_intake_bytes(buffer), 0);
    }
    kv_intake_reserve(&buffer, &room); /* for a read that finds nothing */
    kv_intake_consume(&buffer, 0);
    assert_int_equal(kv_intake_bytes(buffer), 0);
}

static void input_that_is_left_is_kept(void **state)
{
    h2o_buffer_t *buffer;
    (void)state;
    h2o_buffer_init(&buffer, &h2o_socket_buffer_prototype);
    fill(&buffer, LARGE);
    buffer->bytes[SMALL] = 'b';
    kv_intake_consume(&buffer, SMALL);
    assert_int_equal(buffer->size, LARGE - SMALL);
    fill(&buffer, LARGE);
    assert_int_equal(buffer->bytes[0], 'b');
    assert_int_equal(buffer->size, 2 * LARGE - SMALL);
    h2o_buffer_dispose(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_input_finds_room_at_once_the_next_time),
        cmocka_unit_test(consumed_buffer_has_no_memory),
        cmocka_unit_test(input_that_is_left_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
