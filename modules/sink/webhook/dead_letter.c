#include "dead_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, struct kv_slice bytes)
{
    while (bytes.len != 0) {
        ssize_t n = write(fd, bytes.bytes, bytes.len);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            bytes = (struct kv_slice){bytes.bytes + n, bytes.len - (size_t)n};
    }
    return 0;
}

static int write_lines(int fd, const struct kv_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (write_all(fd, events[i].json) != 0 || write_all(fd, KV_SLICE("\n")) != 0)
            return -1;
    return fdatasync(fd) == 0 || errno == EINVAL ? 0 : -1; /* the target need not be a disk */
}

/* Writes all lines or, if the file can be truncated, none: otherwise the next line would be
 * appended to a partial one. */
static int append(int fd, const struct kv_event *events, size_t n)
{
    struct stat before;
    if (fstat(fd, &before) != 0)
        return -1;
    int result = write_lines(fd, events, n);
    int failure = errno;
    if (result != 0 && ftruncate(fd, before.st_size) != 0)
        failure = errno;
    errno = failure;
    return result;
}

int kv_dead_letter_append(const char *path, const struct kv_event *events, size_t n,
                          struct kv_error *reterr)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return kv_error_set(reterr, "dead_letter: cannot open %s: %s", path, strerror(errno));
    int result = append(fd, events, n);
    if (result != 0)
        kv_error_set(reterr, "dead_letter: cannot write %s: %s", path, strerror(errno));
    close(fd);
    return result;
}
