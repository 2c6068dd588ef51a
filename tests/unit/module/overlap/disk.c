#include "disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LONGEST_RECORD = 4096, /* longer regions are zeros */
    PATIENCE_S = 20
};

pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t disk_moved = PTHREAD_COND_INITIALIZER;
struct disk disk;

/* The bytes that an unsynced write has overwritten. */
struct unsynced {
    struct unsynced *earlier;
    char path[PATH_MAX];
    off_t at;
    size_t len;
    char former[];
};
static struct unsynced *unsynced;

static void forget_first(struct unsynced **at)
{
    struct unsynced *gone = *at;
    *at = gone->earlier;
    free(gone);
}

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
    while (unsynced != NULL)
        forget_first(&unsynced);
    disk.write = disk.sync = disk.commit = KV_ENGINE_OK;
    disk.n_allowed = SIZE_MAX;
    disk_held_up_ns = disk_held_up_each_time_ns = 0;
}

/* ---- unsynced writes; under the lock ---- */

static void path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    path[len < 0 ? 0 : len] = '\0';
}

static void note_unsynced(int fd, size_t len, off_t at)
{
    struct unsynced *fresh = malloc(sizeof(*fresh) + len);
    assert_non_null(fresh);
    if (pread(fd, fresh->former, len, at) != (ssize_t)len) {
        free(fresh);
        return;
    }
    path_of(fd, fresh->path);
    fresh->at = at;
    fresh->len = len;
    fresh->earlier = unsynced;
    unsynced = fresh;
}

static void note_synced(int fd)
{
    char path[PATH_MAX];
    path_of(fd, path);
    for (struct unsynced **at = &unsynced; *at != NULL;) {
        if (strcmp((*at)->path, path) == 0)
            forget_first(at);
        else
            at = &(*at)->earlier;
    }
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);

/* The latest first. */
void disk_cut_power(const char *from, const char *to)
{
    size_t n = strlen(from);
    pthread_mutex_lock(&disk_lock);
    while (unsynced != NULL) {
        char path[2 * PATH_MAX];
        if (strncmp(unsynced->path, from, n) == 0 && unsynced->path[n] == '/') {
            snprintf(path, sizeof(path), "%s%s", to, unsynced->path + n);
            int fd = open(path, O_WRONLY);
            assert_true(fd >= 0);
            assert_true(__real_pwrite(fd, unsynced->former, unsynced->len, unsynced->at) ==
                        (ssize_t)unsynced->len);
            close(fd);
        }
        forget_first(&unsynced);
    }
    pthread_mutex_unlock(&disk_lock);
}

/* ---- the journal's file: the linker redirects the real calls here ---- */

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
    if (status == KV_ENGINE_OK)
        note_unsynced(fd, len, at);
    pthread_cond_broadcast(&disk_moved);
    pthread_mutex_unlock(&disk_lock);
    return end_with(status) == 0 ? __real_pwrite(fd, bytes, len, at) : -1;
}

int __wrap_fdatasync(int fd)
{
    pthread_mutex_lock(&disk_lock);
    size_t number = ++disk.n_syncs;
    pthread_cond_broadcast(&disk_moved);
    while (disk.n_allowed < number)
        disk_wait();
    enum kv_engine_status status = disk.sync;
    if (status == KV_ENGINE_OK)
        note_synced(fd);
    pthread_mutex_unlock(&disk_lock);
    return end_with(status);
}

/* ---- the clock of the store's threads, likewise: they may be delayed at any time ---- */

int64_t __real_queue_now_ns(void);
int64_t __wrap_queue_now_ns(void);

_Atomic int64_t disk_held_up_ns, disk_held_up_each_time_ns;

int64_t __wrap_queue_now_ns(void)
{
    int64_t each_time_ns = disk_held_up_each_time_ns;
    return __real_queue_now_ns() + atomic_fetch_add(&disk_held_up_ns, each_time_ns) + each_time_ns;
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
