/* The substitute for a closed stream is opened in the wrong direction, so that using it is an
 * error. */
#include "daemon/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool is_open_other_than(int fd, int mode)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != mode;
}

int kv_streams_occupy(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* open() returns the lowest free number, which is this one */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return -1;
    }
    return 0;
}

bool kv_streams_have_input(void)
{
    return is_open_other_than(STDIN_FILENO, O_WRONLY);
}

bool kv_streams_have_output(void)
{
    return is_open_other_than(STDOUT_FILENO, O_RDONLY);
}
