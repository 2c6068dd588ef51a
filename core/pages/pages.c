#include "pages/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/workers.h"

enum {
    MOST_THREADS = 4 /* threads that wait for the disk at a time */
};

struct kv_pages {
    int folder;
    struct kv_workers *workers;
};

/* A page, and the work in progress for it. While `is_busy`, it belongs to the worker, except for
 * the members marked as the loop's. */
struct page {
    struct kv_page_file base;
    struct kv_job job;
    struct kv_pages *pages;
    struct kv_loop *loop;
    kv_page_file_fn on_read;
    struct kv_charge charge; /* for the bytes; the loop's */
    bool is_busy;            /* the loop's */
    bool is_closed;          /* the loop's: it is freed when no work is in progress */
    int file;                /* -1: not open */
    uint64_t offset;
    size_t len;
    char *bytes;
    char path[];
};

/* ---- the folder ---- */

/* Opens without blocking, as it may turn out to be a pipe. */
static int open_beneath(int folder, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int file;
    do /* repeated after a rename during the kernel's walk */
        file = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
    while (file < 0 && (errno == EAGAIN || errno == EINTR));
    return file;
}

/* Whether the kernel supports this. */
static int try_folder(int folder, const char *path, struct kv_error *reterr)
{
    int file = open_beneath(folder, ".");
    if (file < 0 && (errno == ENOSYS || errno == EPERM))
        return kv_error_set(reterr, "%s: the kernel has no openat2, which keeps paths inside of it",
                            path);
    if (file < 0)
        return kv_error_set(reterr, "%s: %s", path, strerror(errno));
    close(file);
    return 0;
}

struct kv_pages *kv_pages_open(const char *path, struct kv_error *reterr)
{
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        kv_error_set(reterr, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (try_folder(folder, path, reterr) != 0) {
        close(folder);
        return NULL;
    }
    struct kv_pages *pages = kv_alloc(sizeof(*pages));
    *pages = (struct kv_pages){.folder = folder, .workers = kv_workers_create(MOST_THREADS)};
    return pages;
}

void kv_pages_close(struct kv_pages *pages)
{
    if (pages == NULL)
        return;
    kv_workers_destroy(pages->workers);
    close(pages->folder);
    free(pages);
}

/* ---- on a worker ---- */

static enum kv_page_file_status status_of_error(int error)
{
    switch (error) {
    case EXDEV:
        return KV_FILE_LEADS_OUT;
    case EACCES:
    case EPERM:
        return KV_FILE_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return KV_FILE_NO_MEANS;
    case EIO:
        return KV_FILE_UNREADABLE;
    default: /* missing, a loop of links, a name too long, a socket */
        return KV_FILE_MISSING;
    }
}

static void close_file(struct page *page)
{
    if (page->file >= 0)
        close(page->file);
    page->file = -1;
}

/* Reads up to `len` bytes from `offset` on. Returns: how many there were; -1 if it fails. */
static ssize_t read_bytes(struct page *page)
{
    size_t n = 0;
    while (n < page->len) {
        ssize_t got = pread(page->file, page->bytes + n, page->len - n, (off_t)(page->offset + n));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

/* If a file is read at once, and has become shorter since it was opened, it ends where it ends. */
static void read_part(struct page *page)
{
    bool is_all = page->base.size <= KV_FILE_PART;
    ssize_t got = read_bytes(page);
    if (got < 0 || (!is_all && (size_t)got < page->len)) {
        page->base.status = KV_FILE_UNREADABLE;
        return;
    }
    page->base.part = (struct kv_slice){page->bytes, (size_t)got};
    if (is_all) {
        page->base.size = (uint64_t)got;
        close_file(page);
    }
}

static void prepare_bytes(struct page *page)
{
    size_t size = page->base.size < KV_FILE_PART ? (size_t)page->base.size : KV_FILE_PART;
    page->bytes = malloc(size + 1);
    if (page->bytes == NULL)
        page->base.status = KV_FILE_NO_MEANS;
    else if (page->base.size <= KV_FILE_PART) {
        page->len = size;
        read_part(page);
    }
}

static void look_at(struct page *page)
{
    struct stat status;
    if (fstat(page->file, &status) != 0) {
        page->base.status = KV_FILE_UNREADABLE;
    } else if (S_ISDIR(status.st_mode)) {
        page->base.status = KV_FILE_FOLDER;
    } else if (!S_ISREG(status.st_mode)) {
        page->base.status = KV_FILE_MISSING;
    } else {
        page->base.status = KV_FILE_READ;
        page->base.size = (uint64_t)status.st_size;
        page->base.modified_ns =
            status.st_mtim.tv_sec * INT64_C(1000000000) + status.st_mtim.tv_nsec;
        prepare_bytes(page);
    }
}

static void open_on_worker(struct kv_job *job)
{
    struct page *page = KV_CONTAINER(job, struct page, job);
    page->file = open_beneath(page->pages->folder, page->path);
    if (page->file < 0)
        page->base.status = status_of_error(errno);
    else
        look_at(page);
    if (page->base.status != KV_FILE_READ)
        close_file(page);
}

static void read_on_worker(struct kv_job *job)
{
    read_part(KV_CONTAINER(job, struct page, job));
}

/* ---- on the loop ---- */

static void destroy(struct page *page)
{
    kv_charge_set(&page->charge, 0);
    close_file(page);
    free(page->bytes);
    free(page);
}

static void on_done(struct kv_job *job)
{
    struct page *page = KV_CONTAINER(job, struct page, job);
    page->is_busy = false;
    if (page->is_closed)
        destroy(page);
    else
        page->on_read(&page->base);
}

static void begin(struct page *page, void (*work)(struct kv_job *job))
{
    page->is_busy = true;
    page->job.work = work;
    page->job.done = on_done;
    kv_workers_run(page->pages->workers, page->loop, &page->job);
}

struct kv_page_file *kv_page_file_open(struct kv_pages *pages, struct kv_loop *loop,
                                       struct kv_tally *tally, struct kv_slice path,
                                       kv_page_file_fn on_read, void *user)
{
    struct page *page = kv_calloc(1, sizeof(*page) + path.len + 1);
    page->base.user = user;
    page->pages = pages;
    page->loop = loop;
    page->on_read = on_read;
    page->file = -1;
    page->charge.tally = tally;
    memcpy(page->path, path.bytes, path.len);
    kv_charge_set(&page->charge, sizeof(*page) + path.len + KV_FILE_PART);
    begin(page, open_on_worker);
    return &page->base;
}

void kv_page_file_read(struct kv_page_file *base, uint64_t offset, size_t len)
{
    struct page *page = KV_CONTAINER(base, struct page, base);
    page->offset = offset;
    page->len = len;
    begin(page, read_on_worker);
}

void kv_page_file_close(struct kv_page_file *base)
{
    if (base == NULL)
        return;
    struct page *page = KV_CONTAINER(base, struct page, base);
    page->is_closed = true;
    if (!page->is_busy)
        destroy(page);
}
