#include "base/last_line.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kv_slice kv_last_line_read(int fd, char *room, size_t size)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return (struct kv_slice){0};
    off_t from = status.st_size > (off_t)size ? status.st_size - (off_t)size : 0;
    ssize_t n_read = pread(fd, room, size, from);
    size_t len = n_read > 0 ? (size_t)n_read : 0;
    if (len != 0 && room[len - 1] == '\n')
        len--;
    const char *before = len == 0 ? NULL : memrchr(room, '\n', len);
    if (before == NULL)
        return (struct kv_slice){room, from == 0 ? len : 0};
    return (struct kv_slice){before + 1, (size_t)(room + len - before - 1)};
}
