/*
 * Each port is a byte of one file, and a lock on the byte reserves it. The kernel removes the lock
 * with the process, and children do not inherit it. Tests in Python lock the same file
 * (../python/ports.py). The ports lie below the range from which Linux takes ports for connections:
 * there, a connection could take one before the server listens.
 */
#include "support/client/port.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LOWEST = 10000,
    LEAST_RANGE = 1000,
    MAX_ATTEMPTS = 100000,
};

static bool is_reserved[UINT16_MAX + 1]; /* by this process, which its own locks do not keep out */

/* The file stays open: closing any descriptor of it would remove the locks. A test that closes all
 * descriptors has no servers left. */
static int reservations(void)
{
    static int fd = -1;
    char path[64]; /* wherever TMPDIR is: ports are the machine's */
    if (fd >= 0 && fcntl(fd, F_GETFD) >= 0)
        return fd;
    snprintf(path, sizeof(path), "/tmp/kvserver-test-ports-%u", (unsigned)getuid());
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        fail_msg("cannot open %s", path);
    return fd;
}

static bool set_lock(uint16_t port, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = port, .l_len = 1};
    return fcntl(reservations(), F_SETLK, &lock) == 0;
}

static int highest(void)
{
    int first = 0;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &first), 1);
    fclose(file);
    return first - 1 < LOWEST + LEAST_RANGE ? LOWEST + LEAST_RANGE : first - 1;
}

/* On all addresses, as some servers listen on all. */
static bool is_free(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_ANY),
        .sin_port = htons(port),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return is_bound;
}

static bool take(uint16_t port)
{
    if (is_reserved[port] || !set_lock(port, F_WRLCK))
        return false;
    is_reserved[port] = is_free(port);
    if (!is_reserved[port])
        set_lock(port, F_UNLCK);
    return is_reserved[port];
}

uint16_t kv_test_port_reserve(void)
{
    static int n_ports;
    uint32_t number;
    if (n_ports == 0)
        n_ports = highest() - LOWEST + 1;
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        assert_int_equal(getrandom(&number, sizeof(number), 0), sizeof(number));
        uint16_t port = (uint16_t)(LOWEST + number % (uint32_t)n_ports);
        if (take(port))
            return port;
    }
    fail_msg("no port is free");
    return 0;
}

void kv_test_port_give_back(uint16_t port)
{
    is_reserved[port] = false;
    set_lock(port, F_UNLCK);
}
