#include "disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LONGEST_RECORD = 4096, /* what is longer are zeros */
    PATIENCE_S = 20
};

pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t disk_moved = PTHREAD_COND_INITIALIZER;
struct disk disk;

void disk_wait(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    if (pthread_cond_timedwait(&disk_moved, &disk_lock, &until) != 0) {
        pthread_mutex_unlock(&disk_lock);
        fail_msg("waited in vain");
    }
}

void disk_init(void)
{
    table_clear(&disk.persisted);
    memset(&disk, 0, sizeof(disk));
    disk.write = disk.sync = disk.commit = KV_ENGINE_OK;
    disk.n_allowed = SIZE_MAX;
    disk_held_up_ns = disk_held_up_each_time_ns = 0;
}

/* ---- the journal's file: the linker has these called instead of the real ones ---- */

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
int __wrap_fdatasync(int fd);

static int end_with(enum kv_engine_status status)
{
    errno = status == KV_ENGINE_FULL ? ENOSPC : EIO;
    return status == KV_ENGINE_OK ? 0 : -1;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    bool is_record = at != 0 && len < LONGEST_RECORD;
    pthread_mutex_lock(&disk_lock);
    enum kv_engine_status status = disk.write;
    disk.n_writes += is_record ? 1 : 0;
    pthread_cond_broadcast(&disk_moved);
    pthread_mutex_unlock(&disk_lock);
    return end_with(status) == 0 ? __real_pwrite(fd, bytes, len, at) : -1;
}

int __wrap_fdatasync(int fd)
{
    (void)fd;
    pthread_mutex_lock(&disk_lock);
    size_t number = ++disk.n_syncs;
    pthread_cond_broadcast(&disk_moved);
    while (disk.n_allowed < number)
        disk_wait();
    enum kv_engine_status status = disk.sync;
    pthread_mutex_unlock(&disk_lock);
    return end_with(status);
}

/* ---- the clock of the store's threads, likewise: they may be held up at any time ---- */

int64_t __real_queue_now_ns(void);
int64_t __wrap_queue_now_ns(void);

_Atomic int64_t disk_held_up_ns, disk_held_up_each_time_ns;

int64_t __wrap_queue_now_ns(void)
{
    return __real_queue_now_ns() + (disk_held_up_ns += disk_held_up_each_time_ns);
}

void disk_say(enum kv_engine_status write, enum kv_engine_status sync)
{
    pthread_mutex_lock(&disk_lock);
    disk.write = write;
    disk.sync = sync;
    pthread_mutex_unlock(&disk_lock);
}

void disk_say_of_engine(enum kv_engine_status commit)
{
    pthread_mutex_lock(&disk_lock);
    disk.commit = commit;
    pthread_mutex_unlock(&disk_lock);
}

void disk_allow(size_t n)
{
    pthread_mutex_lock(&disk_lock);
    disk.n_allowed = n;
    pthread_cond_broadcast(&disk_moved);
    pthread_mutex_unlock(&disk_lock);
}

void disk_await(const size_t *counter, size_t n)
{
    pthread_mutex_lock(&disk_lock);
    while (*counter < n)
        disk_wait();
    pthread_mutex_unlock(&disk_lock);
}
