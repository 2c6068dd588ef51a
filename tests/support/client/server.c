/*
 * Each server has a port that is reserved as long as it runs. Without that, two servers of one user
 * could listen on the same port, as they use SO_REUSEPORT, and a test could talk to the other one.
 */
#include "support/client/server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/client/http.h"
#include "support/client/port.h"

enum {
    READY_STEP_MS = 5,
    STOP_LIMIT_MS = 20000,
};

/* The configuration with the values of this server in place of `%port` and `%folder`. */
static char *fill_in(const char *yaml, uint16_t port, const char *folder)
{
    struct kv_buffer text = {0};
    for (const char *at = strchr(yaml, '%'); at != NULL; at = strchr(at, '%')) {
        bool is_port = strncmp(at, "%port", strlen("%port")) == 0;
        bool is_folder = strncmp(at, "%folder", strlen("%folder")) == 0;
        if (!is_port && !is_folder) {
            at++;
            continue;
        }
        kv_buffer_append(&text, (struct kv_slice){yaml, (size_t)(at - yaml)});
        if (is_port)
            kv_buffer_printf(&text, "%u", port);
        else
            kv_buffer_append(&text, kv_slice_of(folder));
        yaml = at += strlen(is_port ? "%port" : "%folder");
    }
    kv_buffer_append(&text, kv_slice_of(yaml));
    kv_buffer_append_char(&text, '\0');
    return text.bytes;
}

static void show_log(const struct kv_test_server *server)
{
    char *log = kv_test_server_log(server);
    print_error("the server's log:\n%s\n", log);
    free(log);
}

static bool says_200(uint16_t port, struct kv_slice request)
{
    struct kv_test_stream stream;
    if (!kv_test_stream_try_open(&stream, port))
        return false;
    struct kv_test_response response = {0};
    kv_test_stream_put(&stream, request);
    kv_test_stream_flush(&stream);
    bool says_so = kv_test_http_receive(&stream, &response) && response.status == 200;
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return says_so;
}

static bool is_ready(uint16_t port)
{
    return says_200(port, KV_SLICE("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
}

static bool is_alive(uint16_t port)
{
    return says_200(port, KV_SLICE("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
}

typedef bool (*is_up_fn)(uint16_t port);

static void await_up(struct kv_test_server *server, is_up_fn is_up)
{
    int64_t deadline_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    int exit_code;
    while (!is_up(server->port)) {
        if (kv_test_program_has_ended(&server->program, &exit_code)) {
            show_log(server);
            fail_msg("the server ended at its start with exit code %d", exit_code);
        }
        if (kv_test_now_ms() > deadline_ms) {
            show_log(server);
            kv_test_server_kill(server);
            fail_msg("the server did not get ready");
        }
        kv_test_sleep_ms(READY_STEP_MS);
    }
}

/* folder: the value of `%folder`; NULL: the server's own folder. */
static void start_one(struct kv_test_server *server, const char *yaml, const char *folder,
                      const char *import_path, is_up_fn is_up)
{
    kv_test_program_prepare(&server->program);
    server->is_asked_to_end = false;
    server->exit_code = 0;
    server->twin = NULL;
    server->port = kv_test_port_reserve();
    char *text = fill_in(yaml, server->port, folder == NULL ? server->program.folder : folder);
    char *path = kv_test_program_write(&server->program, "kvserver.yaml", text);
    const char *import = import_path == NULL ? NULL : "--import";
    kv_test_program_spawn(&server->program,
                          (const char *[]){"-c", path, import, import_path, NULL});
    free(path);
    free(text);
    await_up(server, is_up);
}

static void clean_up(struct kv_test_server *server)
{
    kv_test_program_remove(&server->program);
    kv_test_port_give_back(server->port);
}

int kv_test_n_servers(void)
{
    const char *text = getenv("KV_TEST_SERVERS");
    return text == NULL ? 1 : atoi(text);
}

static void start(struct kv_test_server *server, const char *yaml, const char *import_path,
                  is_up_fn is_up)
{
    struct kv_test_server *last = server;
    start_one(server, yaml, NULL, import_path, is_up);
    for (int i = 1; i < kv_test_n_servers(); i++) {
        last = last->twin = kv_calloc(1, sizeof(*last));
        start_one(last, yaml, server->program.folder, NULL, is_up);
        kv_test_stream_share(server->port, last->port);
    }
}

/* end: returns the exit code. */
static int end_twin(struct kv_test_server *server, int (*end)(struct kv_test_server *twin))
{
    if (server->twin == NULL)
        return 0;
    kv_test_stream_unshare(server->port);
    int exit_code = end(server->twin);
    free(server->twin);
    server->twin = NULL;
    return exit_code;
}

void kv_test_server_start(struct kv_test_server *server, const char *yaml)
{
    start(server, yaml, NULL, is_ready);
}

void kv_test_server_start_alive(struct kv_test_server *server, const char *yaml)
{
    start(server, yaml, NULL, is_alive);
}

void kv_test_server_start_importing(struct kv_test_server *server, const char *yaml,
                                    const char *import_path)
{
    start(server, yaml, import_path, is_alive);
}

void kv_test_server_await_ready(struct kv_test_server *server)
{
    await_up(server, is_ready);
}

void kv_test_server_terminate(struct kv_test_server *server)
{
    if (server->program.pid != 0)
        kill(server->program.pid, SIGTERM);
    server->is_asked_to_end = true;
    if (server->twin != NULL)
        kv_test_server_terminate(server->twin);
}

static int await_end(struct kv_test_server *server)
{
    if (server->program.pid != 0)
        server->exit_code = kv_test_program_wait(&server->program, STOP_LIMIT_MS);
    return server->exit_code;
}

int kv_test_server_await_end(struct kv_test_server *server)
{
    int exit_code = await_end(server);
    int exit_code_of_twin = server->twin == NULL ? 0 : kv_test_server_await_end(server->twin);
    return exit_code != 0 ? exit_code : exit_code_of_twin;
}

int kv_test_server_stop(struct kv_test_server *server)
{
    if (!server->is_asked_to_end)
        kv_test_server_terminate(server);
    int exit_code = await_end(server);
    if (exit_code != 0)
        show_log(server);
    int exit_code_of_twin = end_twin(server, kv_test_server_stop);
    clean_up(server);
    return exit_code != 0 ? exit_code : exit_code_of_twin;
}

void kv_test_server_stop_cleanly(struct kv_test_server *server)
{
    assert_int_equal(kv_test_server_stop(server), 0);
}

static int kill_and_clean_up(struct kv_test_server *server)
{
    kv_test_program_kill(&server->program);
    end_twin(server, kill_and_clean_up);
    clean_up(server);
    return 0;
}

void kv_test_server_kill(struct kv_test_server *server)
{
    kill_and_clean_up(server);
}

char *kv_test_server_log(const struct kv_test_server *server)
{
    char *log = kv_test_program_read(&server->program, "err");
    if (server->twin == NULL)
        return log;
    char *log_of_twin = kv_test_server_log(server->twin);
    struct kv_buffer both = {0};
    kv_buffer_printf(&both, "%s%s", log, log_of_twin);
    kv_buffer_append_char(&both, '\0');
    free(log);
    free(log_of_twin);
    return both.bytes;
}
