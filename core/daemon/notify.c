#include "daemon/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    LONGEST_TEXT = 512,
    US_PER_MS = 1000
};

static struct sockaddr_un manager;
static socklen_t manager_len; /* 0: there is none */
static int64_t watchdog_ms;

/* Sets the path of the socket; one that begins with `@` is an abstract socket. */
static void find_manager(const char *path)
{
    size_t len = path == NULL ? 0 : strlen(path);
    if (len < 2 || len >= sizeof(manager.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    manager.sun_family = AF_UNIX;
    memcpy(manager.sun_path, path, len);
    if (path[0] == '@')
        manager.sun_path[0] = '\0';
    manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* The watchdog may be meant for another process. */
static void find_watchdog(const char *interval_us, const char *pid)
{
    if (interval_us != NULL && (pid == NULL || strtoll(pid, NULL, 10) == getpid()))
        watchdog_ms = strtoll(interval_us, NULL, 10) / US_PER_MS;
}

void kv_notify_open(void)
{
    find_manager(getenv("NOTIFY_SOCKET"));
    find_watchdog(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* Sends a datagram, from a new socket, as this is rare. Errors are ignored: the manager may no
 * longer exist. */
static void send_text(const char *text, size_t len)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    ssize_t sent =
        sendto(fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&manager, manager_len);
    (void)sent;
    close(fd);
}

void kv_notify(const char *format, ...)
{
    char text[LONGEST_TEXT];
    va_list args;
    if (manager_len == 0)
        return;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0)
        send_text(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

void kv_notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    kv_notify("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading",
              (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

int64_t kv_notify_watchdog_ms(void)
{
    return manager_len == 0 ? 0 : watchdog_ms;
}
