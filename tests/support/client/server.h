/*
 * A running server on a port of its own.
 */
#ifndef KV_TEST_SERVER_H
#define KV_TEST_SERVER_H

#include "support/client/program.h"

struct kv_test_server {
    struct kv_test_program program;
    uint16_t port;
    bool is_asked_to_end;
    int exit_code; /* once it has ended by itself */
    /* Another server with the same configuration, and hence the same store; it may have a twin
     * itself. Connections to the port go to all of them by turns. NULL: none. */
    struct kv_test_server *twin;
};

/* How many servers share the store, by KV_TEST_SERVERS: 1 without it. */
int kv_test_n_servers(void);

/* Starts the server, and returns when `GET /readyz` is answered with 200. A server that fails to
 * start fails the test and shows its log. yaml: the configuration; each `%port` is replaced by a
 * free port, each `%folder` by the server's own folder, which is deleted with the server. */
void kv_test_server_start(struct kv_test_server *server, const char *yaml);

/* The same, but returns once the server is alive (`GET /healthz` is answered with 200), ready or
 * not. */
void kv_test_server_start_alive(struct kv_test_server *server, const char *yaml);

/* The same with `--import` of that file; the server may already be ready on return. */
void kv_test_server_start_importing(struct kv_test_server *server, const char *yaml,
                                    const char *import_path);

/* Waits until an alive server is ready; fails the test if it ends instead. */
void kv_test_server_await_ready(struct kv_test_server *server);

/* Sends SIGTERM and returns at once. A second call makes the server end without waiting for
 * anything. */
void kv_test_server_terminate(struct kv_test_server *server);

/* Waits (at most 20 s) for the end of a server that has been terminated. Its log can still be read
 * then; kv_test_server_stop() cleans up. Returns: the exit code; -1 if the server had to be killed.
 */
int kv_test_server_await_end(struct kv_test_server *server);

/* Terminates the server if that has not been done, waits (at most 20 s) and cleans up; shows the
 * log if the server failed. Returns: the exit code; -1 if the server had to be killed. */
int kv_test_server_stop(struct kv_test_server *server);

/* Stops it; an exit code other than 0 fails the test. */
void kv_test_server_stop_cleanly(struct kv_test_server *server);

/* Kills it, as in a crash, and cleans up. */
void kv_test_server_kill(struct kv_test_server *server);

/* The output to stderr so far. Owns: the caller, by free(). */
char *kv_test_server_log(const struct kv_test_server *server);

#endif
