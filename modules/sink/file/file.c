/*
 * Appends events to a file as lines of JSON. A line is complete or absent: a line truncated by a
 * full disk is removed before the error is reported, and a line truncated by a crash is ended by a
 * line end when the file is opened.
 */
#include <kvserver/sink.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    OPTION_PATH,
    OPTION_MAX_BYTES,
    OPTION_KEEP,
    OPTION_SYNC,
    N_OPTIONS
};

enum {
    LINES_A_WRITE = 128,
    LONGEST_NUMBER = 5 /* `.1000` */
};

struct kv_sink {
    const struct kv_sink_host *host;
    const char *path;
    int64_t max_bytes; /* 0: no limit */
    int64_t keep;
    bool is_synced;
    int fd;       /* -1: not open */
    int64_t size; /* of complete lines */
};

static const char *const syncs[] = {"none", "batch", NULL};

static const struct kv_option file_options[N_OPTIONS] = {
    [OPTION_PATH] = {.name = "path",
                     .type = KV_OPTION_PATH,
                     .flags = KV_OPTION_REQUIRED | KV_OPTION_WRITES,
                     .doc = "the file; made where it is missing"},
    [OPTION_MAX_BYTES] = {.name = "max_bytes",
                          .type = KV_OPTION_SIZE,
                          .fallback = "0",
                          .max = INT64_C(1) << 50,
                          .doc = "then it becomes <path>.1, and a new one begins; 0: never"},
    [OPTION_KEEP] = {.name = "keep",
                     .type = KV_OPTION_INT,
                     .fallback = "5",
                     .min = 1,
                     .max = 1000,
                     .doc = "how many of <path>.1, <path>.2 ... are kept"},
    [OPTION_SYNC] = {.name = "sync",
                     .type = KV_OPTION_CHOICE,
                     .choices = syncs,
                     .fallback = "none",
                     .doc = "batch: an event is delivered when it is on the disk"},
};

/* Whether the system accepts the path, also with a number appended. */
static bool is_file_name(struct kv_slice path)
{
    const char *slash = strrchr(path.bytes, '/');
    size_t name_len = slash == NULL ? path.len : strlen(slash + 1);
    return name_len != 0 && name_len <= NAME_MAX - LONGEST_NUMBER &&
           path.len < PATH_MAX - LONGEST_NUMBER;
}

static void file_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    struct kv_slice path = options[OPTION_PATH].string;
    struct stat status;
    if (!is_file_name(path))
        faults->add(faults, "path", "the name of a file is expected, of up to %d bytes",
                    NAME_MAX - LONGEST_NUMBER);
    else if (stat(path.bytes, &status) == 0 && !S_ISREG(status.st_mode))
        faults->add(faults, "path", "%s is not a regular file", path.bytes);
}

static int file_open(const struct kv_sink_host *host, const struct kv_option_value *options,
                     struct kv_sink **ret_sink, struct kv_error *reterr)
{
    struct kv_slice path = options[OPTION_PATH].string;
    struct kv_sink *sink = malloc(sizeof(*sink));
    if (sink == NULL)
        return kv_error_set(reterr, "no memory");
    *sink = (struct kv_sink){.host = host,
                             .path = path.bytes,
                             .max_bytes = options[OPTION_MAX_BYTES].integer,
                             .keep = options[OPTION_KEEP].integer,
                             .is_synced = options[OPTION_SYNC].integer != 0,
                             .fd = -1};
    *ret_sink = sink;
    return 0;
}

static int fail(const struct kv_sink *sink, const char *what, struct kv_error *reterr)
{
    return kv_error_set(reterr, "%s: %s: %s", sink->path, what, strerror(errno));
}

static void file_reopen(struct kv_sink *sink)
{
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = -1;
}

/* Ends a line that a crash has truncated. */
static int end_last_line(struct kv_sink *sink, struct kv_error *reterr)
{
    char last = '\n';
    if (sink->size > 0 && pread(sink->fd, &last, 1, sink->size - 1) != 1)
        return fail(sink, "cannot be read", reterr);
    if (last == '\n')
        return 0;
    if (write(sink->fd, "\n", 1) != 1)
        return fail(sink, "cannot be written", reterr);
    sink->size++;
    return 0;
}

static int ensure_open(struct kv_sink *sink, struct kv_error *reterr)
{
    struct stat status;
    if (sink->fd >= 0)
        return 0;
    sink->fd = open(sink->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (sink->fd < 0)
        return fail(sink, "cannot be opened", reterr);
    if (fstat(sink->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        kv_error_set(reterr, "%s is not a regular file", sink->path);
        file_reopen(sink);
        return -1;
    }
    sink->size = status.st_size;
    if (end_last_line(sink, reterr) != 0) {
        file_reopen(sink);
        return -1;
    }
    return 0;
}

static void number_path(const struct kv_sink *sink, int64_t number, char *ret, size_t size)
{
    if (number == 0)
        snprintf(ret, size, "%s", sink->path);
    else
        snprintf(ret, size, "%s.%lld", sink->path, (long long)number);
}

/* Each file gets the next number; the last one is deleted. */
static int rotate(struct kv_sink *sink, struct kv_error *reterr)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (int64_t number = sink->keep - 1; number >= 0; number--) {
        number_path(sink, number, from, sizeof(from));
        number_path(sink, number + 1, to, sizeof(to));
        if (rename(from, to) != 0 && errno != ENOENT)
            return fail(sink, "cannot be renamed", reterr);
    }
    file_reopen(sink);
    return ensure_open(sink, reterr);
}

/* The number of events that fit into the current file; at least one into an empty file. */
static size_t count_fitting(const struct kv_sink *sink, const struct kv_event *events, size_t n)
{
    size_t fitting = 0;
    int64_t size = sink->size;
    while (fitting < n && fitting < LINES_A_WRITE) {
        size += (int64_t)events[fitting].json.len + 1;
        if (sink->max_bytes != 0 && size > sink->max_bytes && (fitting != 0 || sink->size != 0))
            break;
        fitting++;
    }
    return fitting;
}

/* Skips the parts that were written completely. */
static int write_all(int fd, struct iovec *parts, int n)
{
    while (n > 0) {
        ssize_t written = writev(fd, parts, n);
        if (written < 0 && errno != EINTR)
            return -1;
        while (n > 0 && written >= 0 && (size_t)written >= parts->iov_len) {
            written -= (ssize_t)parts->iov_len;
            parts++;
            n--;
        }
        if (n > 0 && written > 0) {
            parts->iov_base = (char *)parts->iov_base + written;
            parts->iov_len -= (size_t)written;
        }
    }
    return 0;
}

/* Writes complete lines, or removes what it has written. */
static int write_lines(struct kv_sink *sink, const struct kv_event *events, size_t n,
                       struct kv_error *reterr)
{
    static const char line_end[] = "\n";
    struct iovec parts[2 * LINES_A_WRITE];
    int64_t len = 0;
    for (size_t i = 0; i < n; i++) {
        parts[2 * i] = (struct iovec){(void *)(uintptr_t)events[i].json.bytes, events[i].json.len};
        parts[2 * i + 1] = (struct iovec){(void *)(uintptr_t)line_end, 1};
        len += (int64_t)events[i].json.len + 1;
    }
    if (write_all(sink->fd, parts, (int)(2 * n)) != 0) {
        int failure = errno;
        fail(sink, "cannot be written", reterr);
        if (ftruncate(sink->fd, sink->size) != 0)
            file_reopen(sink); /* this ends the line instead */
        errno = failure;
        return -1;
    }
    sink->size += len;
    return 0;
}

/* The system limits the length of a file. Lines that fit into a file are written one by one; a line
 * longer than a whole file is dropped. Returns: the number of events settled. */
static size_t judge(struct kv_sink *sink, const struct kv_event *events, size_t n,
                    const struct kv_error *error)
{
    if (errno != EFBIG || (n == 1 && sink->size != 0))
        return 0;
    if (n == 1)
        sink->host->drop(sink->host, events, "%s", error->text);
    else
        sink->host->refused(sink->host);
    return n == 1;
}

static size_t file_deliver(struct kv_sink *sink, const struct kv_event *events, size_t n,
                           struct kv_error *reterr)
{
    size_t settled = 0;
    if (ensure_open(sink, reterr) != 0)
        return 0;
    while (settled < n) {
        size_t fitting = count_fitting(sink, events + settled, n - settled);
        if (fitting == 0) {
            if (rotate(sink, reterr) != 0)
                break;
            continue;
        }
        if (write_lines(sink, events + settled, fitting, reterr) != 0)
            fitting = judge(sink, events + settled, fitting, reterr);
        if (fitting == 0)
            break;
        settled += fitting;
    }
    if (settled == 0 || !sink->is_synced || fdatasync(sink->fd) == 0)
        return settled;
    fail(sink, "cannot be synced", reterr);
    return 0;
}

static void file_close(struct kv_sink *sink)
{
    file_reopen(sink);
    free(sink);
}

static const struct kv_sink_ops file_ops = {
    .size = sizeof(file_ops),
    .open = file_open,
    .deliver = file_deliver,
    .reopen = file_reopen,
    .close = file_close,
    .check = file_check,
};

static const struct kv_module file_module = {
    KV_MODULE_IDENTITY,      .kind = KV_MODULE_SINK, .name = "file",   .version = "1.0",
    .options = file_options, .n_options = N_OPTIONS, .ops = &file_ops,
};

KV_MODULE_EXPORT(&file_module)
