/*
 * The sum in a reference (XXH3, as in segment.c) detects a damaged file.
 */
#include "value_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "folder.h"
#include "segment.h"

enum {
    PIECE = 2 << 20, /* bytes written before a sync */
    NAME_MAX_BYTES = 64
};

/* ---- names ---- */

static void write_name(uint64_t number, char name[NAME_MAX_BYTES])
{
    snprintf(name, NAME_MAX_BYTES, "%06" PRIu64 ".value", number);
}

/* A name is valid if it is exactly the one written for its number. */
static bool read_name(const char *name, uint64_t *ret_number)
{
    char written[NAME_MAX_BYTES];
    *ret_number = strtoull(name, NULL, 10);
    write_name(*ret_number, written);
    return strcmp(name, written) == 0;
}

static void write_logged_name(uint64_t number, uint64_t sequence, char name[NAME_MAX_BYTES])
{
    snprintf(name, NAME_MAX_BYTES, "%06" PRIu64 ".%" PRIu64 ".logged", number, sequence);
}

static bool read_logged_name(const char *name, uint64_t *ret_number, uint64_t *ret_sequence)
{
    char written[NAME_MAX_BYTES];
    char *end;
    *ret_number = strtoull(name, &end, 10);
    *ret_sequence = *end == '.' ? strtoull(end + 1, NULL, 10) : 0;
    write_logged_name(*ret_number, *ret_sequence, written);
    return strcmp(name, written) == 0;
}

/* Returns: NULL if memory runs out. Owns: the caller. */
static char *path_in(const struct value_files *files, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", files->folder, name) < 0 ? NULL : path;
}

static char *path_of(const struct value_files *files, uint64_t number)
{
    char name[NAME_MAX_BYTES];
    write_name(number, name);
    return path_in(files, name);
}

static char *logged_path_of(const struct value_files *files, uint64_t number, uint64_t sequence)
{
    char name[NAME_MAX_BYTES];
    write_logged_name(number, sequence, name);
    return path_in(files, name);
}

static void delete_file(const struct value_files *files, uint64_t number)
{
    char *path = path_of(files, number);
    if (path != NULL)
        unlink(path);
    free(path);
}

/* ---- references ---- */

void value_reference_write(const struct value_file *file, char bytes[VALUE_REFERENCE_BYTES])
{
    segment_put_u64(bytes, file->number);
    segment_put_u64(bytes + 8, file->len);
    segment_put_u64(bytes + 16, file->sum);
}

static bool read_reference(struct kv_slice bytes, struct value_file *ret)
{
    if (bytes.len != VALUE_REFERENCE_BYTES)
        return false;
    *ret = (struct value_file){.number = segment_get_u64(bytes.bytes),
                               .len = segment_get_u64(bytes.bytes + 8),
                               .sum = segment_get_u64(bytes.bytes + 16)};
    return true;
}

bool value_reference_len(struct kv_slice reference, size_t *ret)
{
    struct value_file file;
    if (!read_reference(reference, &file))
        return false;
    *ret = file.len;
    return true;
}

/* ---- files kept for the engine ---- */

static void add(struct value_files *files, struct value_file *file)
{
    pthread_mutex_lock(&files->lock);
    file->next = files->kept;
    files->kept = file;
    files->bytes += file->len;
    pthread_mutex_unlock(&files->lock);
}

void value_file_keep(struct value_file *file, uint64_t sequence)
{
    file->sequence = sequence;
    add(file->files, file);
}

void value_file_discard(struct value_file *file)
{
    if (file == NULL)
        return;
    delete_file(file->files, file->number);
    free(file);
}

/* Returns: those up to the record, chained. */
static struct value_file *take_out(struct value_files *files, uint64_t sequence)
{
    struct value_file *out = NULL;
    pthread_mutex_lock(&files->lock);
    for (struct value_file **at = &files->kept, *file; (file = *at) != NULL;) {
        if (file->sequence > sequence) {
            at = &file->next;
            continue;
        }
        *at = file->next;
        file->next = out;
        out = file;
        files->bytes -= file->len;
    }
    if (out != NULL)
        pthread_cond_broadcast(&files->fewer);
    pthread_mutex_unlock(&files->lock);
    return out;
}

/* ---- files kept for the log ---- */

/* In the order of their records, the oldest first. */
static void add_logged(struct value_files *files, struct value_file *file)
{
    pthread_mutex_lock(&files->lock);
    struct value_file **at = &files->logged;
    while (*at != NULL && (*at)->sequence <= file->sequence)
        at = &(*at)->next;
    file->next = *at;
    *at = file;
    files->logged_bytes += file->len;
    pthread_mutex_unlock(&files->lock);
}

/* Renames the file to the name of a file kept for the log. Returns: false on failure. */
static bool rename_to_logged(const struct value_file *file)
{
    char *from = path_of(file->files, file->number);
    char *to = logged_path_of(file->files, file->number, file->sequence);
    bool is_renamed = from != NULL && to != NULL && rename(from, to) == 0;
    free(from);
    free(to);
    return is_renamed;
}

void value_files_forget(struct value_files *files, uint64_t sequence, size_t most)
{
    for (struct value_file *file = take_out(files, sequence), *next; file != NULL; file = next) {
        next = file->next;
        if (file->len <= most && rename_to_logged(file))
            add_logged(files, file);
        else
            value_file_discard(file);
    }
}

size_t value_files_logged_bytes(struct value_files *files)
{
    pthread_mutex_lock(&files->lock);
    size_t bytes = files->logged_bytes;
    pthread_mutex_unlock(&files->lock);
    return bytes;
}

uint64_t value_files_oldest_logged(struct value_files *files)
{
    pthread_mutex_lock(&files->lock);
    uint64_t sequence = files->logged == NULL ? 0 : files->logged->sequence;
    pthread_mutex_unlock(&files->lock);
    return sequence;
}

struct value_file *value_files_take_logged(struct value_files *files, struct value_file *former)
{
    pthread_mutex_lock(&files->lock);
    struct value_file *file = files->logged;
    files->logged = file->next;
    files->logged_bytes -= file->len;
    pthread_mutex_unlock(&files->lock);
    file->next = former;
    return file;
}

void value_files_delete(struct value_file *chain)
{
    for (struct value_file *file = chain, *next; file != NULL; file = next) {
        next = file->next;
        char *path = logged_path_of(file->files, file->number, file->sequence);
        if (path != NULL)
            unlink(path);
        free(path);
        free(file);
    }
}

/* ---- the bound of files that the engine may need ---- */

size_t value_files_bytes(struct value_files *files)
{
    pthread_mutex_lock(&files->lock);
    size_t bytes = files->bytes;
    pthread_mutex_unlock(&files->lock);
    return bytes;
}

void value_files_await_room(struct value_files *files, size_t most)
{
    pthread_mutex_lock(&files->lock);
    while (files->bytes > most && !files->is_released)
        pthread_cond_wait(&files->fewer, &files->lock);
    pthread_mutex_unlock(&files->lock);
}

void value_files_release(struct value_files *files, bool is_released)
{
    pthread_mutex_lock(&files->lock);
    files->is_released = is_released;
    pthread_cond_broadcast(&files->fewer);
    pthread_mutex_unlock(&files->lock);
}

/* ---- writing ---- */

/* Returns: an error number, or 0. */
static int write_piece(int fd, const char *bytes, size_t len, off_t at)
{
    while (len != 0) {
        ssize_t n = pwrite(fd, bytes, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? EIO : errno;
        bytes += n;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Each piece is synced before the next is written: hundreds of megabytes queued for the disk would
 * delay the sync of a short record. */
static int write_pieces(int fd, struct kv_slice value)
{
    int fault = 0;
    for (size_t at = 0; at < value.len && fault == 0; at += PIECE) {
        size_t len = value.len - at < PIECE ? value.len - at : PIECE;
        fault = write_piece(fd, value.bytes + at, len, (off_t)at);
        if (fault == 0)
            sync_file_range(fd, (off_t)at, (off_t)len,
                            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                SYNC_FILE_RANGE_WAIT_AFTER);
    }
    return fault == 0 && fsync(fd) != 0 ? errno : fault;
}

/* Returns: a descriptor; -1 and errno. Existing files are never overwritten. */
static int make_file(struct value_files *files, uint64_t *ret_number)
{
    int fd;
    do {
        pthread_mutex_lock(&files->lock);
        *ret_number = ++files->number;
        pthread_mutex_unlock(&files->lock);
        char *path = path_of(files, *ret_number);
        if (path == NULL)
            return -1;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        int fault = errno;
        free(path);
        errno = fault;
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

static int fill_file(struct value_files *files, int fd, struct kv_slice value)
{
    int fault = posix_fallocate(fd, 0, (off_t)value.len);
    if (fault == 0)
        fault = write_pieces(fd, value);
    close(fd);
    return fault == 0 && folder_sync(files->folder) != 0 ? errno : fault;
}

enum kv_engine_status value_file_write(struct value_files *files, struct kv_slice value,
                                       struct value_file **ret)
{
    struct value_file *file = malloc(sizeof(*file));
    if (file == NULL)
        return KV_ENGINE_FULL;
    *file = (struct value_file){
        .files = files, .len = value.len, .sum = XXH3_64bits(value.bytes, value.len)};
    int fd = make_file(files, &file->number);
    if (fd < 0) {
        free(file);
        return folder_status(errno);
    }
    int fault = fill_file(files, fd, value);
    if (fault == 0) {
        *ret = file;
        return KV_ENGINE_OK;
    }
    value_file_discard(file);
    return folder_status(fault);
}

/* ---- reading ---- */

static bool read_bytes(int fd, char *into, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = pread(fd, into + at, len - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* Returns: false if there is no such file, or it is damaged. */
static bool read_file(const char *path, const struct value_file *file, char *into)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read =
        fd >= 0 && read_bytes(fd, into, file->len) && XXH3_64bits(into, file->len) == file->sum;
    if (fd >= 0)
        close(fd);
    return is_read;
}

bool value_files_read(struct value_files *files, struct kv_slice reference, char *into)
{
    struct value_file file;
    if (!read_reference(reference, &file))
        return false;
    char *path = path_of(files, file.number);
    bool is_read = read_file(path, &file, into);
    free(path);
    return is_read;
}

/* The file may be renamed meanwhile. */
bool value_files_read_logged(struct value_files *files, struct kv_slice reference,
                             uint64_t sequence, char *into)
{
    struct value_file file;
    if (value_files_read(files, reference, into))
        return true;
    if (!read_reference(reference, &file))
        return false;
    char *path = logged_path_of(files, file.number, sequence);
    bool is_read = read_file(path, &file, into);
    free(path);
    return is_read;
}

/* ---- life ---- */

static bool is_kept(const struct value_files *files, uint64_t number)
{
    const struct value_file *file = files->kept;
    while (file != NULL && file->number != number)
        file = file->next;
    return file != NULL;
}

bool value_files_claim(struct value_files *files, struct kv_slice reference, uint64_t sequence)
{
    struct value_file found;
    if (!read_reference(reference, &found))
        return false;
    if (is_kept(files, found.number))
        return true;
    struct value_file *file = malloc(sizeof(*file));
    if (file == NULL)
        return false;
    *file = found;
    file->files = files;
    value_file_keep(file, sequence);
    return true;
}

typedef void (*name_fn)(struct value_files *files, const char *name);

static bool for_each_name(struct value_files *files, name_fn visit)
{
    DIR *names = opendir(files->folder);
    if (names == NULL)
        return false;
    for (struct dirent *name; (name = readdir(names)) != NULL;)
        visit(files, name->d_name);
    closedir(names);
    return true;
}

static void discard_unclaimed(struct value_files *files, const char *name)
{
    uint64_t number;
    if (read_name(name, &number) && !is_kept(files, number))
        delete_file(files, number);
}

void value_files_discard_unclaimed(struct value_files *files)
{
    for_each_name(files, discard_unclaimed);
}

static void note_number(struct value_files *files, uint64_t number)
{
    if (files->number < number)
        files->number = number;
}

/* If a file cannot be examined, or memory runs out, the file stays, and the log lacks it. */
static void find_logged(struct value_files *files, const char *name)
{
    struct value_file found = {.files = files};
    struct stat status;
    if (!read_logged_name(name, &found.number, &found.sequence))
        return;
    note_number(files, found.number);
    char *path = path_in(files, name);
    struct value_file *file = malloc(sizeof(*file));
    if (path != NULL && file != NULL && stat(path, &status) == 0) {
        *file = found;
        file->len = (uint64_t)status.st_size;
        add_logged(files, file);
        file = NULL;
    }
    free(path);
    free(file);
}

static void find(struct value_files *files, const char *name)
{
    uint64_t number;
    if (read_name(name, &number))
        note_number(files, number);
    else
        find_logged(files, name);
}

int value_files_open(struct value_files *files, const char *folder, struct kv_error *reterr)
{
    *files = (struct value_files){.folder = folder};
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->fewer, NULL);
    return for_each_name(files, find)
               ? 0
               : kv_error_set(reterr, "%s: cannot be opened: %s", folder, strerror(errno));
}

static void free_all(struct value_file *file)
{
    for (struct value_file *next; file != NULL; file = next) {
        next = file->next;
        free(file);
    }
}

void value_files_close(struct value_files *files)
{
    if (files->folder == NULL)
        return; /* it was never opened */
    free_all(files->kept);
    free_all(files->logged);
    pthread_cond_destroy(&files->fewer);
    pthread_mutex_destroy(&files->lock);
}
