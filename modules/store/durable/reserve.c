#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void reserve_init(struct reserve *reserve, const char *path, size_t size)
{
    struct stat status;
    *reserve = (struct reserve){.size = size};
    if (asprintf(&reserve->file, "%s/reserve", path) < 0) {
        reserve->file = NULL;
        return;
    }
    reserve->is_held = stat(reserve->file, &status) == 0 && (size_t)status.st_blocks * 512 >= size;
}

void reserve_fini(struct reserve *reserve)
{
    free(reserve->file);
    *reserve = (struct reserve){0};
}

/* Cheaply, and without taking anything. What it says may be too much: there are quotas. */
static bool may_have_room(const struct reserve *reserve, int file)
{
    struct statvfs disk;
    struct stat status;
    if (fstatvfs(file, &disk) != 0 || fstat(file, &status) != 0)
        return true;
    return (uint64_t)disk.f_bavail * disk.f_frsize + (uint64_t)status.st_blocks * 512 >=
           reserve->size;
}

static int set_aside(const struct reserve *reserve)
{
    int file = open(reserve->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (file < 0)
        return errno;
    int fault =
        may_have_room(reserve, file) ? posix_fallocate(file, 0, (off_t)reserve->size) : ENOSPC;
    if (fault == 0 && fsync(file) != 0)
        fault = errno;
    close(file);
    return fault;
}

enum kv_engine_status reserve_make(struct reserve *reserve)
{
    if (reserve->file == NULL)
        return KV_ENGINE_FAILED;
    int fault = set_aside(reserve);
    reserve->is_held = fault == 0;
    if (fault == 0)
        return KV_ENGINE_OK;
    unlink(reserve->file); /* what of it there is would be missed elsewhere */
    return fault == ENOSPC || fault == EDQUOT ? KV_ENGINE_FULL : KV_ENGINE_FAILED;
}

bool reserve_give_up(struct reserve *reserve)
{
    if (!reserve->is_held)
        return false;
    reserve->is_held = false;
    return unlink(reserve->file) == 0;
}
