/* A server that runs out of descriptors: it waits for some without spinning, serves who is there,
 * and takes the others when there is room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    CONNECTIONS = 60,
    ROOM = 20, /* descriptors beyond those that the idle server has */
    WATCHED_MS = 500,
};

static void ask(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    assert_int_equal(kv_test_http_ask(stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
}

static void server_without_descriptors_waits_and_goes_on(void **state)
{
    static struct kv_test_stream streams[CONNECTIONS];
    const struct kv_test_server *server = *state;
    const struct kv_test_program *program = &server->program;
    rlim_t most = kv_test_program_descriptors(program) + ROOM;
    assert_int_equal(prlimit(program->pid, RLIMIT_NOFILE, &(struct rlimit){most, most}, NULL), 0);
    kv_test_stream_open(&streams[0], server->port);
    ask(&streams[0]); /* the server has it before there are others */
    for (int i = 1; i < CONNECTIONS; i++)
        kv_test_stream_open(&streams[i], server->port); /* the system takes them for the server */
    int64_t before = kv_test_program_processor_ms(program);
    kv_test_sleep_ms(WATCHED_MS);
    int64_t used = kv_test_program_processor_ms(program) - before;
    print_message("%jd ms of processor time in %d ms\n", (intmax_t)used, WATCHED_MS);
    assert_true(used < WATCHED_MS / 4);
    ask(&streams[0]);
    for (int i = 0; i < CONNECTIONS - 5; i++)
        kv_test_stream_close(&streams[i]);
    for (int i = CONNECTIONS - 5; i < CONNECTIONS; i++) {
        ask(&streams[i]);
        kv_test_stream_close(&streams[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_without_descriptors_waits_and_goes_on),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
