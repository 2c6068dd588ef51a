/*
 * Sums are XXH3 (Yann Collet, https://xxhash.com) with the segment's generation as the seed: former
 * content does not match.
 */
#include "segment.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "folder.h"

#define MAGIC      UINT64_C(0x6c6e72756a766b01) /* 1, "kvjurnl" */
#define COPY_MAGIC UINT64_C(0x6c6e72756a766b02) /* 2, the same */

enum {
    SUM = 8,        /* bytes; ahead of the data it covers */
    ZEROS = 1 << 20 /* bytes written at a time */
};

/* ---- names ---- */

void segment_name_write(uint64_t number, char name[SEGMENT_NAME_MAX])
{
    snprintf(name, SEGMENT_NAME_MAX, "%06" PRIu64 ".journal", number);
}

/* A name is valid if it is exactly the one written for its number. */
bool segment_name_read(const char *name, uint64_t *ret_number)
{
    char written[SEGMENT_NAME_MAX];
    errno = 0;
    uint64_t number = strtoull(name, NULL, 10);
    if (errno != 0)
        return false; /* beyond 64 bits */
    segment_name_write(number, written);
    if (strcmp(name, written) != 0)
        return false;
    *ret_number = number;
    return true;
}

/* ---- numbers and sums ---- */

void segment_put_u64(char *at, uint64_t number)
{
    number = htole64(number);
    memcpy(at, &number, sizeof(number));
}

uint64_t segment_get_u64(const char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof(number));
    return le64toh(number);
}

uint64_t segment_sum(const char *bytes, size_t len, uint64_t generation)
{
    return XXH3_64bits_withSeed(bytes + SUM, len - SUM, generation);
}

/* ---- heads ---- */

static bool write_head(const struct segment *segment, uint64_t magic, size_t at)
{
    char head[SEGMENT_HEAD] = {0};
    segment_put_u64(head + SUM, magic);
    segment_put_u64(head + 16, segment->generation);
    segment_put_u64(head + 24, segment->first);
    segment_put_u64(head + 32, segment->size);
    segment_put_u64(head + 40, segment->base);
    segment_put_u64(head, segment_sum(head, SEGMENT_HEAD, 0));
    return segment_write(segment, head, SEGMENT_HEAD, at);
}

bool segment_write_head(const struct segment *segment)
{
    return write_head(segment, COPY_MAGIC, segment_end(segment)) && write_head(segment, MAGIC, 0);
}

uint64_t segment_head_generation(const char head[SEGMENT_HEAD])
{
    return segment_get_u64(head + 16);
}

static bool is_head(const char head[SEGMENT_HEAD], uint64_t magic)
{
    return segment_get_u64(head) == segment_sum(head, SEGMENT_HEAD, 0) &&
           segment_get_u64(head + SUM) == magic;
}

static void take_head(struct segment *segment, const char head[SEGMENT_HEAD])
{
    segment->is_cut = segment_get_u64(head + 32) != segment->size;
    segment->generation = segment_head_generation(head);
    segment->first = segment_get_u64(head + 24);
    segment->base = segment_get_u64(head + 40);
}

bool segment_read_head(struct segment *segment)
{
    static const char none[SEGMENT_HEAD];
    char head[SEGMENT_HEAD];
    ssize_t n = pread(segment->fd, head, SEGMENT_HEAD, 0);
    if (n >= 0 && (n < SEGMENT_HEAD || memcmp(head, none, SEGMENT_HEAD) == 0))
        return true;
    if (n < 0 || !is_head(head, MAGIC))
        return false;
    take_head(segment, head);
    return true;
}

bool segment_read_copy(struct segment *segment)
{
    char head[SEGMENT_HEAD];
    if (segment->size < SEGMENT_HEAD + SEGMENT_COPY ||
        !segment_read_at(segment, head, SEGMENT_HEAD, segment_end(segment)) ||
        !is_head(head, COPY_MAGIC) || segment_get_u64(head + 32) != segment->size)
        return false;
    take_head(segment, head);
    return true;
}

/* ---- files ---- */

static char *path_of(const char *folder, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];
    char *path = NULL;
    segment_name_write(number, name);
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* Returns: NULL and errno. */
static struct segment *open_file(const char *folder, uint64_t number, int flags)
{
    char *path = path_of(folder, number);
    struct segment *segment = calloc(1, sizeof(*segment));
    if (segment != NULL)
        *segment = (struct segment){.number = number, .fd = -1};
    if (segment != NULL && path != NULL)
        segment->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0640);
    int fault = errno;
    free(path);
    if (segment != NULL && segment->fd >= 0)
        return segment;
    free(segment);
    errno = fault;
    return NULL;
}

struct segment *segment_open(const char *folder, uint64_t number)
{
    struct stat status;
    struct segment *segment = open_file(folder, number, 0);
    if (segment == NULL)
        return NULL;
    if (fstat(segment->fd, &status) == 0) {
        segment->size = (size_t)status.st_size;
        return segment;
    }
    int fault = errno;
    segment_close(segment);
    errno = fault;
    return NULL;
}

bool segment_write(const struct segment *segment, const char *bytes, size_t len, size_t at)
{
    while (len != 0) {
        ssize_t n = pwrite(segment->fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return true;
}

bool segment_read_at(const struct segment *segment, char *bytes, size_t len, size_t at)
{
    while (len != 0) {
        ssize_t n = pread(segment->fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return false;
        }
        bytes += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return true;
}

char *segment_read(const struct segment *segment)
{
    char *bytes = malloc(segment->size);
    if (bytes != NULL && segment_read_at(segment, bytes, segment->size, 0))
        return bytes;
    int fault = errno;
    free(bytes);
    errno = fault;
    return NULL;
}

/* Written, and not only allocated: a first write to an allocated block makes the next sync update
 * the file system's own journal. */
static bool fill_with_zeros(const struct segment *segment)
{
    char *zeros = calloc(1, ZEROS);
    bool is_filled = zeros != NULL;
    for (size_t at = 0; at < segment->size && is_filled; at += ZEROS)
        is_filled = segment_write(segment, zeros,
                                  segment->size - at < ZEROS ? segment->size - at : ZEROS, at);
    free(zeros);
    return is_filled && fsync(segment->fd) == 0;
}

/* Existing files are never overwritten. Numbers may wrap around: they only name files; generations
 * determine the order. */
struct segment *segment_make(const char *folder, uint64_t above, size_t size)
{
    struct segment *segment;
    do
        segment = open_file(folder, ++above, O_CREAT | O_EXCL);
    while (segment == NULL && errno == EEXIST);
    if (segment == NULL)
        return NULL;
    segment->size = size;
    if (fill_with_zeros(segment) && folder_sync(folder) == 0)
        return segment;
    int fault = errno;
    segment_delete(segment, folder);
    errno = fault;
    return NULL;
}

void segment_close(struct segment *segment)
{
    close(segment->fd);
    free(segment);
}

void segment_delete(struct segment *segment, const char *folder)
{
    char *path = path_of(folder, segment->number);
    if (path != NULL)
        unlink(path);
    free(path);
    segment_close(segment);
}
