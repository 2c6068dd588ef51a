/*
 * Sums are XXH3 (Yann Collet, https://xxhash.com) with the segment's generation as the seed: what
 * was there before does not match.
 */
#include "journal.h"

#include <dirent.h>
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

#define MAGIC    UINT64_C(0x6c6e72756a766b01) /* 1, "kvjurnl" */
#define FILE_FMT "%s/%06u.journal"

enum {
    SEGMENT_HEAD = 64,
    SUM = 8, /* bytes; ahead of what it is of */
    RECORD_HEAD = ROWS_ROOM,
    ALIGNMENT = 8,
    ZEROS = 1 << 20,      /* bytes written at a time */
    GENERATIONS_BITS = 32 /* those of one opening have the bits above in common */
};

struct journal_segment {
    struct journal_segment *next; /* the one before, in time */
    unsigned number;              /* of its file */
    int fd;
    size_t size;
    uint64_t generation;  /* 0: it never began, or is to be used again */
    uint64_t first, last; /* records that count; `last` of the current one is not kept */
};

/* ---- numbers ---- */

static void put_u64(char *at, uint64_t number)
{
    number = htole64(number);
    memcpy(at, &number, sizeof(number));
}

static uint64_t get_u64(const char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof(number));
    return le64toh(number);
}

static size_t align(size_t at)
{
    return (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- what is in a file ---- */

static uint64_t sum_of(const char *bytes, size_t len, uint64_t generation)
{
    return XXH3_64bits_withSeed(bytes + SUM, len - SUM, generation);
}

static void write_segment_head(const struct journal_segment *segment, char head[SEGMENT_HEAD])
{
    memset(head, 0, SEGMENT_HEAD);
    put_u64(head + SUM, MAGIC);
    put_u64(head + 16, segment->generation);
    put_u64(head + 24, segment->first);
    put_u64(head + 32, segment->size);
    put_u64(head, sum_of(head, SEGMENT_HEAD, 0));
}

/* A segment that never began, which may be short, has no generation then. Returns: false where it
 * is damaged: a head is in one sector of the disk, which is written wholly or not at all. */
static bool read_segment_head(struct journal_segment *segment)
{
    static const char none[SEGMENT_HEAD];
    char head[SEGMENT_HEAD];
    ssize_t n = pread(segment->fd, head, SEGMENT_HEAD, 0);
    if (n >= 0 && (n < SEGMENT_HEAD || memcmp(head, none, SEGMENT_HEAD) == 0))
        return true;
    if (n < 0 || get_u64(head) != sum_of(head, SEGMENT_HEAD, 0) || get_u64(head + SUM) != MAGIC ||
        get_u64(head + 32) != segment->size)
        return false;
    segment->generation = get_u64(head + 16);
    segment->first = get_u64(head + 24);
    return true;
}

struct record {
    uint64_t sequence;
    uint64_t synced; /* the last one known to be synced when this one was written */
    struct kv_slice rows;
};

static void write_record_head(struct rows *rows, const struct record *record, uint64_t generation)
{
    put_u64(rows->bytes + SUM, rows->len);
    put_u64(rows->bytes + 16, record->sequence);
    put_u64(rows->bytes + 24, record->synced);
    put_u64(rows->bytes, sum_of(rows->bytes, rows->len, generation));
}

/* Returns: the length; 0 where there is no record of that generation. */
static size_t read_record(struct kv_slice bytes, size_t at, uint64_t generation, struct record *ret)
{
    const char *record = bytes.bytes + at;
    if (bytes.len < at + RECORD_HEAD)
        return 0;
    uint64_t len = get_u64(record + SUM);
    if (len < RECORD_HEAD || len > bytes.len - at ||
        get_u64(record) != sum_of(record, len, generation))
        return 0;
    *ret = (struct record){.sequence = get_u64(record + 16),
                           .synced = get_u64(record + 24),
                           .rows = {.bytes = record + RECORD_HEAD, .len = len - RECORD_HEAD}};
    return len;
}

/* ---- files ---- */

static enum kv_engine_status why(int fault)
{
    return fault == ENOSPC || fault == EDQUOT ? KV_ENGINE_FULL : KV_ENGINE_FAILED;
}

static char *path_of(const struct journal *journal, unsigned number)
{
    char *path = NULL;
    return asprintf(&path, FILE_FMT, journal->folder, number) < 0 ? NULL : path;
}

static void drop_segment(struct journal *journal, struct journal_segment *segment, bool is_deleted)
{
    char *path = is_deleted ? path_of(journal, segment->number) : NULL;
    if (segment->fd >= 0)
        close(segment->fd);
    if (path != NULL)
        unlink(path);
    free(path);
    free(segment);
}

/* Returns: NULL and errno. */
static struct journal_segment *open_segment(const struct journal *journal, unsigned number,
                                            int flags)
{
    char *path = path_of(journal, number);
    struct journal_segment *segment = calloc(1, sizeof(*segment));
    if (segment != NULL && path != NULL) {
        *segment = (struct journal_segment){.number = number,
                                            .fd = open(path, O_RDWR | O_CLOEXEC | flags, 0640)};
    }
    free(path);
    if (segment != NULL && segment->fd >= 0)
        return segment;
    free(segment);
    return NULL;
}

static bool write_all(int fd, const char *bytes, size_t len, size_t at)
{
    while (len != 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)at);
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

/* Written, and not only set aside: blocks that never were are written down in the file system's own
 * journal at the first sync. */
static bool fill_with_zeros(int fd, size_t size)
{
    char *zeros = calloc(1, ZEROS);
    bool is_filled = zeros != NULL;
    for (size_t at = 0; at < size && is_filled; at += ZEROS)
        is_filled = write_all(fd, zeros, size - at < ZEROS ? size - at : ZEROS, at);
    free(zeros);
    return is_filled && fsync(fd) == 0;
}

/* Returns: NULL and errno. Owns: the caller. */
static struct journal_segment *make_segment(struct journal *journal, size_t size)
{
    pthread_mutex_lock(&journal->lock);
    unsigned number = ++journal->number;
    pthread_mutex_unlock(&journal->lock);
    struct journal_segment *segment = open_segment(journal, number, O_CREAT | O_TRUNC);
    if (segment == NULL)
        return NULL;
    segment->size = size;
    if (fill_with_zeros(segment->fd, size) && folder_sync(journal->folder) == 0)
        return segment;
    int fault = errno;
    drop_segment(journal, segment, true);
    errno = fault;
    return NULL;
}

/* ---- the list ---- */

/* Among the others of its age: the youngest stand first, those without a generation last. */
static void insert(struct journal *journal, struct journal_segment *segment)
{
    struct journal_segment **at = &journal->segments;
    while (*at != NULL && (*at)->generation > segment->generation)
        at = &(*at)->next;
    segment->next = *at;
    *at = segment;
}

static void take_out(struct journal *journal, struct journal_segment *segment)
{
    struct journal_segment **at = &journal->segments;
    while (*at != segment)
        at = &(*at)->next;
    *at = segment->next;
}

/* Under the lock. Returns: NULL where there is none. */
static struct journal_segment *find_unused(struct journal *journal)
{
    struct journal_segment *segment = journal->segments;
    while (segment != NULL && (segment->generation != 0 || segment->size != journal->segment_size))
        segment = segment->next;
    return segment;
}

/* Returns: one that is not in the list; NULL and errno. */
static struct journal_segment *get_segment(struct journal *journal, size_t size)
{
    struct journal_segment *segment = NULL;
    pthread_mutex_lock(&journal->lock);
    if (size == journal->segment_size && (segment = find_unused(journal)) != NULL)
        take_out(journal, segment);
    pthread_mutex_unlock(&journal->lock);
    return segment != NULL ? segment : make_segment(journal, size);
}

static void give_back(struct journal *journal, struct journal_segment *segment)
{
    segment->generation = 0;
    if (segment->size != journal->segment_size)
        drop_segment(journal, segment, true);
    else
        insert(journal, segment);
}

void journal_prepare(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool is_needed = find_unused(journal) == NULL;
    pthread_mutex_unlock(&journal->lock);
    struct journal_segment *segment =
        is_needed ? make_segment(journal, journal->segment_size) : NULL;
    if (segment == NULL)
        return;
    pthread_mutex_lock(&journal->lock);
    insert(journal, segment);
    pthread_mutex_unlock(&journal->lock);
}

void journal_forget(struct journal *journal, uint64_t sequence)
{
    pthread_mutex_lock(&journal->lock);
    for (struct journal_segment *segment = journal->segments, *next; segment != NULL;
         segment = next) {
        next = segment->next;
        if (segment == journal->current || segment->generation == 0 || segment->last > sequence)
            continue;
        take_out(journal, segment);
        give_back(journal, segment);
        next = journal->segments; /* wherever it stands now */
    }
    pthread_mutex_unlock(&journal->lock);
}

size_t journal_bytes(struct journal *journal)
{
    size_t bytes = 0;
    pthread_mutex_lock(&journal->lock);
    for (const struct journal_segment *segment = journal->segments; segment != NULL;
         segment = segment->next)
        bytes += segment->generation == 0 ? 0 : segment->size;
    pthread_mutex_unlock(&journal->lock);
    return bytes;
}

/* ---- writing ---- */

/* The segment of the present is no more written to. */
static void end_segment(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    if (journal->current != NULL)
        journal->current->last = journal->next - 1;
    journal->current = NULL;
    pthread_mutex_unlock(&journal->lock);
}

static enum kv_engine_status begin_segment(struct journal *journal, size_t size)
{
    char head[SEGMENT_HEAD];
    struct journal_segment *segment = get_segment(journal, size);
    if (segment == NULL)
        return why(errno);
    pthread_mutex_lock(&journal->lock);
    segment->generation = ++journal->generation;
    pthread_mutex_unlock(&journal->lock);
    segment->first = journal->next;
    segment->last = UINT64_MAX;
    write_segment_head(segment, head);
    bool is_written = write_all(segment->fd, head, SEGMENT_HEAD, 0);
    int fault = errno;
    pthread_mutex_lock(&journal->lock);
    if (is_written) {
        insert(journal, segment);
        journal->current = segment;
        journal->at = SEGMENT_HEAD;
    } else {
        give_back(journal, segment);
    }
    pthread_mutex_unlock(&journal->lock);
    return is_written ? KV_ENGINE_OK : why(fault);
}

enum kv_engine_status journal_begin(struct journal *journal)
{
    end_segment(journal);
    return begin_segment(journal, journal->segment_size);
}

/* With the one before on the disk, so that where this one is, nothing ahead of it is missing. */
static enum kv_engine_status begin_next_segment(struct journal *journal, size_t len)
{
    size_t size = SEGMENT_HEAD + align(len);
    enum kv_engine_status status = journal_sync(journal);
    if (status != KV_ENGINE_OK)
        return status;
    end_segment(journal);
    return begin_segment(journal, size < journal->segment_size ? journal->segment_size : size);
}

enum kv_engine_status journal_append(struct journal *journal, struct rows *rows)
{
    if (journal->current == NULL)
        return KV_ENGINE_FAILED;
    if (journal->at + rows->len > journal->current->size) {
        enum kv_engine_status status = begin_next_segment(journal, rows->len);
        if (status != KV_ENGINE_OK)
            return status;
    }
    struct record record = {.sequence = journal->next, .synced = journal->synced};
    write_record_head(rows, &record, journal->current->generation);
    if (!write_all(journal->current->fd, rows->bytes, rows->len, journal->at))
        return why(errno);
    journal->at = align(journal->at + rows->len);
    journal->next++;
    return KV_ENGINE_OK;
}

enum kv_engine_status journal_sync(struct journal *journal)
{
    if (journal->current == NULL)
        return KV_ENGINE_FAILED;
    uint64_t last = journal->next - 1;
    if (fdatasync(journal->current->fd) != 0)
        return why(errno);
    journal->synced = last;
    return KV_ENGINE_OK;
}

void journal_refuse(struct journal *journal, uint64_t next)
{
    journal->next = next;
    end_segment(journal);
}

/* ---- reading ---- */

bool journal_is_there(const struct journal *journal)
{
    return journal->segments != NULL && journal->segments->generation != 0;
}

static int fail(const struct journal *journal, unsigned number, const char *what,
                struct kv_error *reterr)
{
    return kv_error_set(reterr, FILE_FMT ": %s: %s", journal->folder, number, what,
                        strerror(errno));
}

/* A reading of the records from `expected` on. */
struct reading {
    const struct journal *journal;
    uint64_t expected;
    journal_take_fn take;
    void *context;
    struct kv_error *reterr;
};

/* Returns: the bytes of the file, for free(); NULL and errno. */
static char *read_file(const struct journal_segment *segment)
{
    char *bytes = malloc(segment->size);
    for (size_t len = 0; bytes != NULL && len < segment->size;) {
        ssize_t n = pread(segment->fd, bytes + len, segment->size - len, (off_t)len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            free(bytes);
            return NULL;
        }
        len += (size_t)n;
    }
    return bytes;
}

/* Whether the record `sequence`, which is none, once was one: a later one says so. */
static bool was_synced(const struct journal_segment *segment, struct kv_slice bytes, size_t at,
                       uint64_t sequence)
{
    struct record record;
    for (; at + RECORD_HEAD <= bytes.len; at += ALIGNMENT) {
        uint64_t distance = get_u64(bytes.bytes + at + 16) - sequence;
        if (distance != 0 && distance < bytes.len / RECORD_HEAD &&
            read_record(bytes, at, segment->generation, &record) != 0 && record.synced >= sequence)
            return true;
    }
    return false;
}

static int refuse(struct reading *reading, const struct journal_segment *segment, uint64_t sequence,
                  const char *why)
{
    return kv_error_set(reading->reterr, FILE_FMT ": %s: record %" PRIu64, reading->journal->folder,
                        segment->number, why, sequence);
}

/* Takes the records of a segment up to `end`, the first that is not of it: 0 where there is no
 * later segment. */
static int read_records(struct reading *reading, const struct journal_segment *segment,
                        uint64_t end, struct kv_slice bytes)
{
    size_t at = SEGMENT_HEAD;
    size_t len;
    uint64_t sequence = segment->first;
    struct record record;
    while (sequence != end && (len = read_record(bytes, at, segment->generation, &record)) != 0 &&
           record.sequence == sequence) {
        if (sequence == reading->expected) {
            if (!reading->take(reading->context, record.rows))
                return refuse(reading, segment, sequence, "cannot be brought into the database");
            reading->expected++;
        }
        sequence++;
        at = align(at + len);
    }
    if (sequence != end && (end != 0 || was_synced(segment, bytes, at, sequence)))
        return refuse(reading, segment, sequence, "damaged");
    return 0;
}

/* Returns: their number; the youngest first, those that never began left out. */
static size_t list_segments(struct journal *journal, struct journal_segment ***ret)
{
    size_t n = 0;
    struct journal_segment *segment;
    pthread_mutex_lock(&journal->lock);
    for (segment = journal->segments; segment != NULL; segment = segment->next)
        n++;
    *ret = calloc(n + 1, sizeof(segment));
    n = 0;
    for (segment = journal->segments; *ret != NULL && segment != NULL; segment = segment->next)
        if (segment->generation != 0)
            (*ret)[n++] = segment;
    pthread_mutex_unlock(&journal->lock);
    return n;
}

static int read_segment(struct reading *reading, const struct journal_segment *segment,
                        uint64_t end)
{
    if (segment->first > reading->expected)
        return kv_error_set(reading->reterr,
                            "%s: damaged: the records %" PRIu64 " to %" PRIu64 " are missing",
                            reading->journal->folder, reading->expected, segment->first - 1);
    char *bytes = read_file(segment);
    if (bytes == NULL)
        return fail(reading->journal, segment->number, "cannot be read", reading->reterr);
    int result = read_records(reading, segment, end,
                              (struct kv_slice){.bytes = bytes, .len = segment->size});
    free(bytes);
    return result;
}

/* The oldest first. */
static int read_segments(struct reading *reading, struct journal_segment **segments, size_t n)
{
    for (size_t i = n; i-- != 0;) {
        uint64_t end = i == 0 ? reading->journal->next : segments[i - 1]->first;
        if ((end == 0 || end > reading->expected) && read_segment(reading, segments[i], end) != 0)
            return -1;
    }
    return 0;
}

/* What was found is on the disk, before anything comes behind it. */
static int keep_what_was_read(struct journal *journal, struct journal_segment **segments, size_t n,
                              struct kv_error *reterr)
{
    for (size_t i = 0; i < n; i++)
        segments[i]->last = (i == 0 ? journal->next : segments[i - 1]->first) - 1;
    if (n != 0 && fdatasync(segments[0]->fd) != 0)
        return fail(journal, segments[0]->number, "cannot be synced", reterr);
    journal->synced = journal->next - 1;
    return 0;
}

int journal_read(struct journal *journal, uint64_t after, journal_take_fn take, void *context,
                 struct kv_error *reterr)
{
    struct reading reading = {.journal = journal,
                              .expected = after + 1,
                              .take = take,
                              .context = context,
                              .reterr = reterr};
    struct journal_segment **segments;
    size_t n = list_segments(journal, &segments);
    if (segments == NULL)
        return kv_error_set(reterr, "%s: no memory", journal->folder);
    int result = read_segments(&reading, segments, n);
    if (result == 0 && journal->next == 0) {
        journal->next = reading.expected;
        result = keep_what_was_read(journal, segments, n, reterr);
    }
    free(segments);
    return result;
}

void journal_skip(struct journal *journal, uint64_t after)
{
    journal_forget(journal, UINT64_MAX);
    journal->next = after + 1;
    journal->synced = after;
}

/* ---- life ---- */

/* A power cut may have left records of a generation, but not its head. No generation of this
 * opening was one before. */
static void begin_generations(struct journal *journal)
{
    journal->generation = ((journal->generation >> GENERATIONS_BITS) + 1) << GENERATIONS_BITS;
}

static int add_file(struct journal *journal, unsigned number, struct kv_error *reterr)
{
    struct stat status;
    struct journal_segment *segment = open_segment(journal, number, 0);
    if (segment == NULL || fstat(segment->fd, &status) != 0) {
        fail(journal, number, "cannot be opened", reterr);
        if (segment != NULL)
            drop_segment(journal, segment, false);
        return -1;
    }
    segment->size = (size_t)status.st_size;
    if (!read_segment_head(segment)) {
        drop_segment(journal, segment, false);
        return kv_error_set(reterr, FILE_FMT ": damaged: its head or its length", journal->folder,
                            number);
    }
    if (journal->number < number)
        journal->number = number;
    if (segment->generation == 0) {
        if (segment->size == journal->segment_size)
            insert(journal, segment);
        else
            drop_segment(journal, segment, true);
        return 0;
    }
    if (journal->generation < segment->generation)
        journal->generation = segment->generation;
    insert(journal, segment);
    return 0;
}

int journal_open(struct journal *journal, const char *folder, size_t segment_size,
                 struct kv_error *reterr)
{
    *journal = (struct journal){.folder = folder, .segment_size = segment_size};
    pthread_mutex_init(&journal->lock, NULL);
    DIR *names = opendir(folder);
    if (names == NULL)
        return kv_error_set(reterr, "%s: cannot be opened: %s", folder, strerror(errno));
    int result = 0;
    unsigned number;
    char end;
    for (struct dirent *name; result == 0 && (name = readdir(names)) != NULL;)
        if (sscanf(name->d_name, "%6u.journa%c", &number, &end) == 2 && end == 'l')
            result = add_file(journal, number, reterr);
    closedir(names);
    begin_generations(journal);
    return result;
}

void journal_close(struct journal *journal)
{
    if (journal->folder == NULL)
        return; /* it was never opened */
    while (journal->segments != NULL) {
        struct journal_segment *segment = journal->segments;
        journal->segments = segment->next;
        drop_segment(journal, segment, false);
    }
    pthread_mutex_destroy(&journal->lock);
}
