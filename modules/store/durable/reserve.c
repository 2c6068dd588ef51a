#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "folder.h"

void reserve_init(struct reserve *reserve, const char *path)
{
    struct stat status;
    *reserve = (struct reserve){.path = path};
    if (asprintf(&reserve->file, "%s/reserve", path) < 0) {
        reserve->file = NULL;
        return;
    }
    reserve->is_held = stat(reserve->file, &status) == 0 && status.st_size != 0 &&
                       status.st_blocks >= status.st_size / 512;
}

void reserve_fini(struct reserve *reserve)
{
    free(reserve->file);
    *reserve = (struct reserve){0};
}

/* Cheap, and takes nothing. The result may be too high, as there are quotas. */
static bool may_have_room(int file, size_t size)
{
    struct statvfs disk;
    struct stat status;
    if (fstatvfs(file, &disk) != 0 || fstat(file, &status) != 0)
        return true;
    return (uint64_t)disk.f_bavail * disk.f_frsize + (uint64_t)status.st_blocks * 512 >= size;
}

static int set_aside(const struct reserve *reserve, size_t size)
{
    int file = open(reserve->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (file < 0)
        return errno;
    int fault = may_have_room(file, size) ? posix_fallocate(file, 0, (off_t)size) : ENOSPC;
    if (fault == 0 && (ftruncate(file, (off_t)size) != 0 || fsync(file) != 0))
        fault = errno;
    close(file);
    return fault;
}

/* If nothing else is left, the space that it takes would be missed at once. */
enum kv_engine_status reserve_make(struct reserve *reserve, size_t size)
{
    if (reserve->file == NULL)
        return KV_ENGINE_FAILED;
    enum kv_engine_status status = folder_status(set_aside(reserve, size));
    if (status == KV_ENGINE_OK)
        status = folder_try_room(reserve->path);
    reserve->is_held = status == KV_ENGINE_OK;
    if (!reserve->is_held)
        unlink(reserve->file);
    return status;
}

bool reserve_give_up(struct reserve *reserve)
{
    if (!reserve->is_held)
        return false;
    reserve->is_held = false;
    return unlink(reserve->file) == 0;
}
