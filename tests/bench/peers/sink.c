/*
 * The limit of the load generator: a server that only counts requests, and answers each with the
 * same bytes, many in one write.  sink PORT http|ws
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\n\r\n"

static const char http_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n"
                                  "{\"value\":\"abcdefghijklmnopqrstuvwxyz0123\"}";
static const char ws_payload[] = "{\"type\":\"value\",\"payload\":{\"key\":\"key:123456789012\","
                                 "\"value\":\"abcdefghijklmnopqrstuvwxyz0123\"}}";

enum {
    ROOM = 65536,
    MOST_ANSWERS = 1024
};

struct peer {
    int fd;
    bool is_upgraded;
    size_t n;
    char bytes[ROOM];
};

static bool is_ws;
static char answers[MOST_ANSWERS * 128];
static size_t answer_len;

static void say(int fd, const char *bytes, size_t len)
{
    if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
        perror("sink");
}

/* Returns: the length of the request at the start of the bytes; 0: incomplete. */
static size_t request_len(const struct peer *peer, size_t at)
{
    size_t left = peer->n - at;
    if (!is_ws || !peer->is_upgraded) {
        const char *end = memmem(peer->bytes + at, left, "\r\n\r\n", 4);
        return end == NULL ? 0 : (size_t)(end - peer->bytes) - at + 4;
    }
    if (left < 8)
        return 0;
    size_t len = (unsigned char)peer->bytes[at + 1] & 0x7f;
    len = len == 126 ? 8 + ((size_t)(unsigned char)peer->bytes[at + 2] << 8 |
                            (unsigned char)peer->bytes[at + 3])
                     : 6 + len;
    return left < len ? 0 : len;
}

static void answer(struct peer *peer)
{
    size_t at = 0;
    size_t n = 0;
    for (size_t len; n < MOST_ANSWERS && (len = request_len(peer, at)) != 0; at += len) {
        if (is_ws && !peer->is_upgraded) {
            peer->is_upgraded = true;
            say(peer->fd, UPGRADED, sizeof(UPGRADED) - 1);
        } else {
            n++;
        }
    }
    if (n > 0)
        say(peer->fd, answers, n * answer_len);
    peer->n -= at;
    memmove(peer->bytes, peer->bytes + at, peer->n);
}

static void receive(struct peer *peer)
{
    ssize_t got = recv(peer->fd, peer->bytes + peer->n, ROOM - peer->n, 0);
    if (got <= 0) {
        close(peer->fd);
        free(peer);
        return;
    }
    peer->n += (size_t)got;
    answer(peer);
}

static void admit(int epoll, int listener)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    peer->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd,
              &(struct epoll_event){.events = EPOLLIN, .data.ptr = peer});
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0) {
        perror("sink");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    is_ws = strcmp(argv[2], "ws") == 0;
    char frame[sizeof(ws_payload) + 2];
    snprintf(frame, sizeof(frame), "\x81%c%s", (char)(sizeof(ws_payload) - 1), ws_payload);
    const char *text = is_ws ? frame : http_answer;
    answer_len = strlen(text);
    for (size_t i = 0; i < MOST_ANSWERS; i++)
        memcpy(answers + i * answer_len, text, answer_len);
    int listener = listen_on((uint16_t)atoi(argv[1]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN});
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                admit(epoll, listener);
            else
                receive(events[i].data.ptr);
        }
    }
}
