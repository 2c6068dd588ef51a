/*
 * What the integration tests share: a server with the store under test, and the short way to write
 * and read a key over HTTP where that is not what the test is about.
 *
 * The environment says which store: KV_TEST_STORE (its module's name) and KV_TEST_MODULES (the
 * folder of modules); and KV_TEST_FRONT=off says that libh2o serves all of HTTP.
 */
#ifndef KV_TEST_FIXTURE_H
#define KV_TEST_FIXTURE_H

#include "support/client/server.h"
#include "support/client/ws.h"

/* Loads are divided by this, as a sanitizer makes everything slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KV_TEST_SHARE 20
#else
#define KV_TEST_SHARE 1
#endif

/* The smallest configuration that serves, with `more` (YAML, whole lines) behind it. Owns: the
 * caller, by free(). */
char *kv_test_yaml(const char *more);

/* The YAML, and below it the folder of the modules: all else is as the file has it, and its lines
 * are the first ones. Owns: the caller, by free(). */
char *kv_test_with_modules(const char *yaml);

/* Whether that folder has a module, as `sink/webhook`. */
bool kv_test_has_module(const char *name);

/* Ends the test as one that could not run. */
void kv_test_skip_for(const char *why);

/* Fails unless the text has this part. */
void kv_test_expect_part(const char *text, const char *part);

/* Starts a server with kv_test_yaml(more). */
void kv_test_start(struct kv_test_server *server, const char *more);

/* The same; each `%s` in `more` stands for the folder. */
void kv_test_start_in(struct kv_test_server *server, const char *folder, const char *more);

/* Waits until the log has this part. */
void kv_test_await_log(const struct kv_test_server *server, const char *part);

/* The port at which the server speaks TLS: the first one, in the order of its log. */
uint16_t kv_test_await_tls_port(const struct kv_test_server *server);

/* Starts a server with the store `memory`, a port in clear, and one that speaks TLS. more: further
 * lines of the configuration. Returns: the port of TLS. */
uint16_t kv_test_server_start_tls(struct kv_test_server *server, const char *more);

/* Whether the tests run with this store. */
bool kv_test_uses_store(const char *module);

/* Whether the store is one that outlives its server. */
bool kv_test_has_durable_store(void);

/* Whether several servers share the store, and connections go to them by turns (server.h). */
bool kv_test_has_twins(void);

/* Waits until all have told what was answered before, which one of them may do a while after
 * another. Without twins there is nothing to wait for. */
void kv_test_settle(uint16_t port);

/* Whether keys are listed in byte order. A cluster, which twins share, lists them in its own. */
bool kv_test_lists_in_order(void);

/* By how many milliseconds a key may end too early or too late, at most. Twins leave that to the
 * clock of their store, which each of them knows only as well as it can be read. */
int64_t kv_test_clock_error_ms(void);

/* Waits for the end after a second signal. On a busy machine a durable store may not be closed in
 * the second that it has: then the exit code is 1, and the log says so. Returns: whether the store
 * was closed in time. */
bool kv_test_await_hurried_end(struct kv_test_server *server);

/* For cmocka_run_group_tests(): one server with the defaults for all tests; the stop fails the
 * group unless the server ends cleanly. */
int kv_test_group_start(void **state);
int kv_test_group_stop(void **state);

/* The same with further configuration, for a group's own setup. */
int kv_test_group_start_with(void **state, const char *more);

/* The port of the group's server. */
uint16_t kv_test_port(void **state);

/* `len` bytes of `letter`. Owns: the caller, by free(). */
char *kv_test_letters(char letter, size_t len);

/* Whether a body is {"value": …} with this value. */
bool kv_test_is_value_body(struct kv_slice body, struct kv_slice value);

/* Writes with a POST that must be accepted. path: behind `/storage/`, escaped. */
#define kv_test_store(port, path, value) kv_test_store_at(port, path, value, __FILE__, __LINE__)

/* Reads with a GET that must give this value. */
#define kv_test_expect_value(port, path, value)                                                    \
    kv_test_expect_value_at(port, path, value, __FILE__, __LINE__)

/* Reads until it has this value. */
void kv_test_await_value(uint16_t port, const char *path, const char *value);

/* Reads with a GET that must find nothing. */
#define kv_test_expect_missing(port, path) kv_test_expect_missing_at(port, path, __FILE__, __LINE__)

void kv_test_store_at(uint16_t port, const char *path, const char *value, const char *file,
                      int line);
void kv_test_expect_value_at(uint16_t port, const char *path, const char *value, const char *file,
                             int line);
void kv_test_expect_missing_at(uint16_t port, const char *path, const char *file, int line);

#endif
