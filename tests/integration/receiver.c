#include "receiver.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/client/stream.h"

/* Returns: whether a whole request has come; head and body point into `in`. */
static bool find_request(struct kv_buffer *in, size_t *ret_head, size_t *ret_body)
{
    const char *end = in->len == 0 ? NULL : memmem(in->bytes, in->len, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    *ret_head = (size_t)(end - in->bytes) + 4;
    const char *length = strcasestr(in->bytes, "\r\ncontent-length:");
    *ret_body = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
    return in->len >= *ret_head + *ret_body;
}

static bool receive(int fd, struct kv_buffer *in, size_t *ret_head, size_t *ret_body)
{
    while (!find_request(in, ret_head, ret_body)) {
        ssize_t n = read(fd, kv_buffer_reserve(in, 65536), 65535);
        if (n <= 0)
            return false;
        in->len += (size_t)n;
        in->bytes[in->len] = '\0';
    }
    return true;
}

/* Returns: the letter for it. */
static char keep(struct kv_test_receiver *receiver, const struct kv_buffer *in, size_t head,
                 size_t body)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->all = kv_realloc(receiver->all, (receiver->n + 1) * sizeof(*receiver->all));
    struct kv_test_received *one = &receiver->all[receiver->n];
    one->head = kv_memdup(in->bytes, head + 1);
    one->head[head] = '\0';
    one->body = (struct kv_slice){kv_memdup(in->bytes + head, body + 1), body};
    one->at_ms = kv_test_now_ms();
    one->answer = receiver->plan[0];
    if (receiver->plan[1] != '\0')
        receiver->plan++;
    receiver->n++;
    char answer = one->answer;
    pthread_mutex_unlock(&receiver->lock);
    return answer;
}

#define EMPTY "Content-Length: 0\r\n\r\n"

static const char *text_of(char letter, struct kv_slice body)
{
    switch (letter) {
    case 'f':
        return "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nsorry";
    case 'r':
        return "HTTP/1.1 503 Later\r\nRetry-After: 1\r\n" EMPTY;
    case 'm':
        return "HTTP/1.1 302 There\r\nLocation: /there\r\n" EMPTY;
    case 'g':
        return "HTTP/1.1 410 Gone\r\n" EMPTY;
    case 'b':
    case 'h':
        return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning";
    case 'j':
        if (memmem(body.bytes, body.len, "\"bad\"", 5) != NULL)
            return "HTTP/1.1 422 No\r\n" EMPTY;
        break;
    case 'l':
        if (body.len > 1000)
            return "HTTP/1.1 413 No\r\n" EMPTY;
        break;
    default:
        break;
    }
    return "HTTP/1.1 204 No Content\r\n\r\n";
}

static void await_close(int fd)
{
    char byte;
    while (read(fd, &byte, 1) > 0)
        continue;
}

/* Returns: whether the connection goes on. */
static bool answer(int fd, char letter, struct kv_slice body)
{
    const char *text = text_of(letter, body);
    if (letter != 'c' && letter != 's' &&
        send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        return false;
    if (letter == 's' || letter == 'h')
        await_close(fd);
    return strchr("csbh", letter) == NULL;
}

static void serve(struct kv_test_receiver *receiver, int fd)
{
    struct kv_buffer in = {0};
    size_t head, body;
    bool goes_on = true;
    while (goes_on && receive(fd, &in, &head, &body)) {
        char letter = keep(receiver, &in, head, body);
        goes_on = answer(fd, letter, (struct kv_slice){in.bytes + head, body});
        memmove(in.bytes, in.bytes + head + body, in.len - head - body);
        in.len -= head + body;
        in.bytes[in.len] = '\0';
    }
    kv_buffer_fini(&in);
    close(fd);
}

static void *run(void *argument)
{
    struct kv_test_receiver *receiver = argument;
    int fd;
    while ((fd = accept(receiver->listener, NULL, NULL)) >= 0)
        serve(receiver, fd);
    return NULL;
}

void kv_test_receiver_start(struct kv_test_receiver *receiver, uint16_t port, const char *plan)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int yes = 1;
    *receiver = (struct kv_test_receiver){.plan = plan};
    receiver->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(receiver->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(receiver->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(receiver->listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(receiver->listener, 16), 0);
    receiver->port = ntohs(address.sin_port);
    pthread_mutex_init(&receiver->lock, NULL);
    assert_int_equal(pthread_create(&receiver->thread, NULL, run, receiver), 0);
}

/* The other side has gone, or goes when the listener does. */
void kv_test_receiver_stop(struct kv_test_receiver *receiver)
{
    shutdown(receiver->listener, SHUT_RDWR);
    pthread_join(receiver->thread, NULL);
    close(receiver->listener);
    for (size_t i = 0; i < receiver->n; i++) {
        free(receiver->all[i].head);
        free((void *)(uintptr_t)receiver->all[i].body.bytes);
    }
    free(receiver->all);
    pthread_mutex_destroy(&receiver->lock);
}

void kv_test_receiver_plan(struct kv_test_receiver *receiver, const char *plan)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->plan = plan;
    pthread_mutex_unlock(&receiver->lock);
}

static size_t count(struct kv_test_receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    size_t n = receiver->n;
    pthread_mutex_unlock(&receiver->lock);
    return n;
}

size_t kv_test_receiver_await(struct kv_test_receiver *receiver, size_t n)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    size_t now;
    while ((now = count(receiver)) < n) {
        if (kv_test_now_ms() > until_ms)
            fail_msg("%zu requests of %zu", now, n);
        kv_test_sleep_ms(2);
    }
    return now;
}

struct kv_test_received kv_test_receiver_get(struct kv_test_receiver *receiver, size_t i)
{
    pthread_mutex_lock(&receiver->lock);
    struct kv_test_received one = receiver->all[i];
    pthread_mutex_unlock(&receiver->lock);
    return one;
}

void kv_test_received_header(const struct kv_test_received *received, const char *name, char *ret,
                             size_t size)
{
    char line[128];
    snprintf(line, sizeof(line), "\r\n%s: ", name);
    const char *at = strcasestr(received->head, line);
    if (at == NULL)
        fail_msg("there is no header %s in %s", name, received->head);
    at += strlen(line);
    snprintf(ret, size, "%.*s", (int)strcspn(at, "\r"), at);
}
