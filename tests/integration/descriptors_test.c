/* A server that runs out of descriptors: it waits for some without spinning, serves who is there,
 * and takes the others when there is room. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    CONNECTIONS = 60,
    ROOM = 20, /* descriptors beyond those that the idle server has */
    WATCHED_MS = 500,
};

static unsigned count_descriptors(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

/* The processor time that the process has used, in milliseconds. */
static int64_t processor_ms(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user, system;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    assert_int_equal(sscanf(strrchr(line, ')') + 1,
                            " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
                     2);
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

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
    pid_t pid = server->program.pid;
    rlim_t most = count_descriptors(pid) + ROOM;
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &(struct rlimit){most, most}, NULL), 0);
    for (int i = 0; i < CONNECTIONS; i++)
        kv_test_stream_open(&streams[i], server->port); /* the system takes them for the server */
    ask(&streams[0]);
    int64_t before = processor_ms(pid);
    kv_test_sleep_ms(WATCHED_MS);
    int64_t used = processor_ms(pid) - before;
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
