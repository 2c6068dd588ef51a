/*
 * Uploads of backups: a client sends the backup in parts, which are gathered in a file, and
 * finishes it; the place checks whether it is complete, and processes it.
 *
 * A file is written on a thread of its own, so no loop waits for the disk. One request is under way
 * at a time.
 */
#ifndef KV_ADMIN_UPLOADS_H
#define KV_ADMIN_UPLOADS_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "loop/loop.h"

/* The destination of the parts. Its functions are called on the thread of a request, and may block;
 * they return a status of HTTP: 200, or another one and *reterr. */
struct kv_upload_place {
    const char *path; /* of the file; NULL: uploads are impossible, because of `why` */
    const char *why;
    /* Takes the file, which is complete as far as the client knows. fd: at its beginning.
     * is_stopped: becomes true if the server ends. Returns 400 only if the file is at fault. */
    int (*finish)(struct kv_upload_place *place, int fd, const atomic_bool *is_stopped,
                  struct kv_error *reterr);
    /* Removes the file, and any upload that was finished before. */
    int (*discard)(struct kv_upload_place *place, struct kv_error *reterr);
};

/* Returns: 507 if the disk is full, otherwise 500. fault: an errno. */
int kv_upload_status_of(int fault);

struct kv_uploads;

/* place: lent. Owns: the caller. */
struct kv_uploads *kv_uploads_create(struct kv_upload_place *place);

/* Call after the loops have ended; waits for the request under way. Accepts NULL. */
void kv_uploads_destroy(struct kv_uploads *uploads);

/* Returns: NULL if uploads are possible, or the reason why not. */
const char *kv_uploads_impossible(const struct kv_uploads *uploads);

enum kv_upload_action {
    KV_UPLOAD_APPEND,
    KV_UPLOAD_FINISH,
    KV_UPLOAD_DISCARD,
};

struct kv_upload_request {
    enum kv_upload_action action;
    uint64_t offset;       /* APPEND: the length uploaded so far; 0 begins anew */
    struct kv_slice bytes; /* APPEND; copied */
};

struct kv_upload_outcome {
    int status;   /* of HTTP */
    uint64_t len; /* APPEND: of the file */
    struct kv_error why;
};

typedef void (*kv_upload_done_fn)(void *owner, const struct kv_upload_outcome *outcome);

/* Returns: false while another request is under way; otherwise `done` is called later, on the loop.
 * Threads: the loop's. */
bool kv_uploads_start(struct kv_uploads *uploads, struct kv_loop *loop,
                      const struct kv_upload_request *request, kv_upload_done_fn done, void *owner);

/* The owner of the request under way, which it started on this loop, no longer exists: `done` is
 * not called. */
void kv_uploads_forget(struct kv_uploads *uploads);

#endif
