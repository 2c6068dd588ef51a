#include "peer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client/folder.h"
#include "support/client/fork.h"

static void run(const char *output, const char *const argv[])
{
    int fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool has_ended(struct kv_test_peer *peer)
{
    int status;
    if (waitpid(peer->pid, &status, WNOHANG) != peer->pid)
        return false;
    peer->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        print_message("the program of the peer is not installed\n");
        skip();
    }
    return true;
}

void kv_test_peer_start(struct kv_test_peer *peer, const char *folder, const char *const argv[])
{
    char *output = kv_test_path(folder, "peer.log");
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    struct kv_test_stream stream;
    peer->pid = kv_test_fork();
    if (peer->pid == 0)
        run(output, argv);
    free(output);
    while (!kv_test_stream_try_open(&stream, peer->port)) {
        if (has_ended(peer) || kv_test_now_ms() > until_ms)
            fail_msg("%s does not listen", argv[0]);
        kv_test_sleep_ms(5);
    }
    kv_test_stream_close(&stream);
}

void kv_test_peer_signal(const struct kv_test_peer *peer, int signal_number)
{
    assert_int_equal(kill(peer->pid, signal_number), 0);
}

void kv_test_peer_end(struct kv_test_peer *peer, int signal_number)
{
    if (peer->pid == 0)
        return;
    kill(peer->pid, signal_number);
    waitpid(peer->pid, NULL, 0);
    peer->pid = 0;
}

/* Behind `name` in the text. */
static int number_behind(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    if (at == NULL) {
        fail_msg("%s is not in %s", name, json);
        return 0;
    }
    return (int)strtol(at + strlen(name), NULL, 10);
}

void kv_test_seen_take(struct kv_test_seen *seen, struct kv_slice json)
{
    char text[512];
    snprintf(text, sizeof(text), "%.*s", (int)json.len, json.bytes);
    int key = number_behind(text, "\"key\":\"k"), value = number_behind(text, "\"value\":");
    assert_in_range(key, 0, KV_TEST_SEEN_KEYS - 1);
    if (value > seen->last[key] + 1)
        fail_msg("k%d: %d comes behind %d", key, value, seen->last[key]);
    if (value == seen->last[key] + 1)
        seen->last[key] = value;
    else
        seen->n_repeated++;
}

bool kv_test_seen_all(const struct kv_test_seen *seen, int n)
{
    for (int key = 0; key < KV_TEST_SEEN_KEYS; key++)
        if (seen->last[key] < n)
            return false;
    return true;
}

void kv_test_write_numbers(uint16_t port, int from, int n)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    for (int i = from; i < from + n; i++)
        for (int key = 0; key < KV_TEST_SEEN_KEYS; key++)
            kv_test_ws_put_text(
                &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k%d\",\"value\":%d}}", key, i);
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}
