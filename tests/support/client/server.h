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
    /* With KV_TEST_TWIN=on: another server with the same configuration, and hence the same store.
     * Connections to the port go to the two by turns. NULL: none. */
    struct kv_test_server *twin;
};

/* Starts the server, and returns when `GET /readyz` says 200. A server that does not come up fails
 * the test, with its log.
 * yaml: the configuration; each `%port` becomes the free port that was found, each `%folder` the
 * server's own folder, which goes with it. */
void kv_test_server_start(struct kv_test_server *server, const char *yaml);

/* The same, but returns when it is alive (`GET /healthz` says 200), be it ready or not. */
void kv_test_server_start_alive(struct kv_test_server *server, const char *yaml);

/* The same with `--import` of that file; may be ready already. */
void kv_test_server_start_importing(struct kv_test_server *server, const char *yaml,
                                    const char *import_path);

/* Waits until one that is alive is ready; fails the test where it ends instead. */
void kv_test_server_await_ready(struct kv_test_server *server);

/* Asks it to end and returns at once. To ask again means to end without waiting for anything. */
void kv_test_server_terminate(struct kv_test_server *server);

/* Asks it to end, unless it has been asked; waits (at most 20 s) and cleans up; shows the log where
 * it failed.
 * Returns: the exit code; -1 where it had to be killed. */
int kv_test_server_stop(struct kv_test_server *server);

/* Stops it; anything but exit code 0 fails the test. */
void kv_test_server_stop_cleanly(struct kv_test_server *server);

/* Ends it as a crash would, and cleans up. */
void kv_test_server_kill(struct kv_test_server *server);

/* What it wrote to stderr so far. Owns: the caller, by free(). */
char *kv_test_server_log(const struct kv_test_server *server);

#endif
