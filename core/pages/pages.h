/*
 * A folder of files that the server serves. Separate threads open and read the files, so no loop
 * waits for a slow disk.
 *
 * No path leads out of the folder: the kernel resolves it beneath the folder (openat2), so a link
 * that leads out is refused even if it was made a moment ago.
 */
#ifndef KV_PAGES_PAGES_H
#define KV_PAGES_PAGES_H

#include "base/budget.h"
#include "loop/loop.h"

struct kv_pages;

enum {
    KV_FILE_PART = 64 << 10 /* bytes: files up to here are read at once, longer ones in parts */
};

/* folder: an absolute path. Owns: the caller, by kv_pages_close(). Returns: NULL, and *reterr, if
 * it cannot be used. */
struct kv_pages *kv_pages_open(const char *folder, struct kv_error *reterr);

/* After the loops have ended. Accepts NULL. */
void kv_pages_close(struct kv_pages *pages);

enum kv_page_file_status {
    KV_FILE_READ,       /* it exists, and the requested part has been read */
    KV_FILE_FOLDER,     /* a folder */
    KV_FILE_MISSING,    /* no regular file */
    KV_FILE_LEADS_OUT,  /* a link leads out of the folder */
    KV_FILE_DENIED,     /* the server may not read it */
    KV_FILE_NO_MEANS,   /* no descriptor, or no memory, is available */
    KV_FILE_UNREADABLE, /* the disk fails, or the file has become shorter */
};

/* A file that is being read. Its members may be accessed only while no read is in progress. */
struct kv_page_file {
    enum kv_page_file_status status;
    uint64_t size;
    int64_t modified_ns;  /* since 1970 */
    struct kv_slice part; /* the last part read; all of a file of up to KV_FILE_PART bytes */
    void *user;           /* the caller's */
};

typedef void (*kv_page_file_fn)(struct kv_page_file *page);

/* Opens the file at a path, relative to the folder and without NUL, and reads it if it is short;
 * `on_read` is called later, on the loop. tally: of the loop, lent. Owns: the caller, by
 * kv_page_file_close(). */
struct kv_page_file *kv_page_file_open(struct kv_pages *pages, struct kv_loop *loop,
                                       struct kv_tally *tally, struct kv_slice path,
                                       kv_page_file_fn on_read, void *user);

/* Reads a part of a file that is longer than KV_FILE_PART, and replaces the previous part. len: at
 * most KV_FILE_PART. Not while a read is in progress. */
void kv_page_file_read(struct kv_page_file *page, uint64_t offset, size_t len);

/* Closes it, at any time; `on_read` is not called afterwards. Accepts NULL. */
void kv_page_file_close(struct kv_page_file *page);

#endif
