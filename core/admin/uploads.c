#include "admin/uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    FILE_MODE = 0600
};

struct kv_uploads {
    struct kv_upload_place *place;
    atomic_bool is_busy;
    atomic_bool is_stopped;
    bool has_thread; /* has to be joined */
    pthread_t thread;
    /* Of the request under way: belongs to the thread, until it is posted; then to the loop. */
    struct kv_post post;
    struct kv_loop *loop;
    enum kv_upload_action action;
    uint64_t offset;
    struct kv_buffer bytes;
    struct kv_upload_outcome outcome;
    /* Belongs to the loop. */
    kv_upload_done_fn done;
    void *owner; /* NULL: it no longer exists */
};

int kv_upload_status_of(int fault)
{
    return fault == ENOSPC || fault == EDQUOT ? 507 : 500;
}

/* ---- on the thread ---- */

static void fail(struct kv_uploads *uploads, int status, const char *what)
{
    uploads->outcome.status = status;
    kv_error_set(&uploads->outcome.why, "%s", what);
}

static void fail_by_errno(struct kv_uploads *uploads)
{
    uploads->outcome.status = kv_upload_status_of(errno);
    kv_error_set(&uploads->outcome.why, "%s: %s", uploads->place->path, strerror(errno));
}

/* Returns: 0, or -1 and errno. */
static int write_all(int fd, const struct kv_buffer *bytes, uint64_t offset)
{
    for (size_t n = 0; n < bytes->len;) {
        ssize_t written = pwrite(fd, bytes->bytes + n, bytes->len - n, (off_t)(offset + n));
        if (written < 0 && errno != EINTR)
            return -1;
        n += written < 0 ? 0 : (size_t)written;
    }
    return 0;
}

/* Part of a write that failed is overwritten when the client repeats it. */
static void append_to(struct kv_uploads *uploads, int fd)
{
    uint64_t offset = uploads->offset;
    if (write_all(fd, &uploads->bytes, offset) == 0) {
        uploads->outcome =
            (struct kv_upload_outcome){.status = 200, .len = offset + uploads->bytes.len};
        return;
    }
    fail_by_errno(uploads);
    if (ftruncate(fd, (off_t)offset) != 0)
        fail_by_errno(uploads);
}

static void append_at(struct kv_uploads *uploads, int fd)
{
    struct stat status;
    if ((uploads->offset == 0 && ftruncate(fd, 0) != 0) || fstat(fd, &status) != 0) {
        fail_by_errno(uploads);
    } else if ((uint64_t)status.st_size != uploads->offset) {
        uploads->outcome.status = 409;
        kv_error_set(&uploads->outcome.why, "%lld bytes have been uploaded, not %llu",
                     (long long)status.st_size, (unsigned long long)uploads->offset);
    } else {
        append_to(uploads, fd);
    }
}

static void append(struct kv_uploads *uploads)
{
    int fd = open(uploads->place->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0) {
        fail_by_errno(uploads);
        return;
    }
    append_at(uploads, fd);
    if (close(fd) != 0)
        fail_by_errno(uploads);
}

static void finish(struct kv_uploads *uploads)
{
    struct kv_upload_place *place = uploads->place;
    int fd = open(place->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        fail(uploads, 409, "nothing has been uploaded");
    else if (fd < 0)
        fail_by_errno(uploads);
    else
        uploads->outcome.status =
            place->finish(place, fd, &uploads->is_stopped, &uploads->outcome.why);
    if (fd >= 0)
        close(fd);
}

static void discard(struct kv_uploads *uploads)
{
    struct kv_upload_place *place = uploads->place;
    uploads->outcome.status = place->discard(place, &uploads->outcome.why);
}

static void *run(void *argument)
{
    struct kv_uploads *uploads = argument;
    if (uploads->action == KV_UPLOAD_APPEND)
        append(uploads);
    else if (uploads->action == KV_UPLOAD_FINISH)
        finish(uploads);
    else
        discard(uploads);
    kv_loop_post(uploads->loop, &uploads->post);
    return NULL;
}

/* ---- on the loop ---- */

static void end(struct kv_uploads *uploads)
{
    struct kv_upload_outcome outcome = uploads->outcome;
    kv_upload_done_fn done = uploads->done;
    void *owner = uploads->owner;
    atomic_store(&uploads->is_busy, false); /* from here on another loop may begin */
    if (owner != NULL)
        done(owner, &outcome);
}

static void on_posted(struct kv_post *post)
{
    struct kv_uploads *uploads = KV_CONTAINER(post, struct kv_uploads, post);
    pthread_join(uploads->thread, NULL);
    uploads->has_thread = false;
    end(uploads);
}

/* If the server has no thread left, the client has to try again. */
static void refuse(struct kv_post *post)
{
    end(KV_CONTAINER(post, struct kv_uploads, post));
}

bool kv_uploads_start(struct kv_uploads *uploads, struct kv_loop *loop,
                      const struct kv_upload_request *request, kv_upload_done_fn done, void *owner)
{
    if (atomic_exchange(&uploads->is_busy, true))
        return false;
    uploads->loop = loop;
    uploads->done = done;
    uploads->owner = owner;
    uploads->action = request->action;
    uploads->offset = request->offset;
    uploads->outcome = (struct kv_upload_outcome){.status = 500};
    uploads->bytes.len = 0;
    if (request->bytes.len != 0)
        kv_buffer_append(&uploads->bytes, request->bytes);
    uploads->post.run = on_posted;
    uploads->has_thread = pthread_create(&uploads->thread, NULL, run, uploads) == 0;
    if (!uploads->has_thread) {
        fail(uploads, 503, "no thread can be had: try again");
        uploads->post.run = refuse;
        kv_loop_post(loop, &uploads->post);
    }
    return true;
}

void kv_uploads_forget(struct kv_uploads *uploads)
{
    uploads->owner = NULL;
}

/* ---- creating and destroying ---- */

struct kv_uploads *kv_uploads_create(struct kv_upload_place *place)
{
    struct kv_uploads *uploads = kv_calloc(1, sizeof(*uploads));
    uploads->place = place;
    return uploads;
}

void kv_uploads_destroy(struct kv_uploads *uploads)
{
    if (uploads == NULL)
        return;
    atomic_store(&uploads->is_stopped, true);
    if (uploads->has_thread)
        pthread_join(uploads->thread, NULL);
    kv_buffer_fini(&uploads->bytes);
    free(uploads);
}

const char *kv_uploads_impossible(const struct kv_uploads *uploads)
{
    return uploads->place->path == NULL ? uploads->place->why : NULL;
}
