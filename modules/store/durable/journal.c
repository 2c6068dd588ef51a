#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "journal_record.h"
#include "queue.h"
#include "segment.h"
#include "segment_identify.h"

enum {
    MOST_KEPT = 512,      /* segments kept for the log: each has a descriptor */
    FEW = 2,              /* segments kept for reuse if there is little room */
    PART_OF_VALUE = 4,    /* of the log's size that one long value may take */
    GENERATIONS_BITS = 32 /* the higher bits are the same for one opening */
};

/* ---- the list ---- */

/* Inserts it by age: the youngest first, those without a generation last. */
static void insert(struct journal *journal, struct segment *segment)
{
    struct segment **at = &journal->segments;
    while (*at != NULL && (*at)->generation > segment->generation)
        at = &(*at)->next;
    segment->next = *at;
    *at = segment;
}

static void take_out(struct journal *journal, struct segment *segment)
{
    struct segment **at = &journal->segments;
    while (*at != segment) /* NOLINT(clang-analyzer-core.NullDereference): it is in the list */
        at = &(*at)->next;
    *at = segment->next;
}

/* Under the lock. Returns: NULL if there is none. */
static struct segment *find_unused(struct journal *journal)
{
    struct segment *segment = journal->segments;
    while (segment != NULL && (segment->generation != 0 || segment->size != journal->segment_size))
        segment = segment->next;
    return segment;
}

/* Returns: NULL and errno. Owns: the caller. */
static struct segment *make_segment(struct journal *journal, size_t size)
{
    pthread_mutex_lock(&journal->lock);
    uint64_t above = journal->number;
    pthread_mutex_unlock(&journal->lock);
    struct segment *segment = segment_make(journal->folder, above, size);
    if (segment == NULL)
        return NULL;
    pthread_mutex_lock(&journal->lock);
    if (journal->number < segment->number)
        journal->number = segment->number;
    pthread_mutex_unlock(&journal->lock);
    return segment;
}

/* Returns: one that is not in the list; NULL and errno. */
static struct segment *get_segment(struct journal *journal, size_t size)
{
    struct segment *segment = NULL;
    pthread_mutex_lock(&journal->lock);
    if (size == journal->segment_size && (segment = find_unused(journal)) != NULL)
        take_out(journal, segment);
    pthread_mutex_unlock(&journal->lock);
    return segment != NULL ? segment : make_segment(journal, size);
}

static void give_back(struct journal *journal, struct segment *segment)
{
    segment->generation = 0;
    segment->is_forgotten = false;
    if (segment->size != journal->segment_size)
        segment_delete(segment, journal->folder);
    else
        insert(journal, segment);
}

void journal_prepare(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool is_needed = find_unused(journal) == NULL;
    pthread_mutex_unlock(&journal->lock);
    struct segment *segment = is_needed ? make_segment(journal, journal->segment_size) : NULL;
    if (segment == NULL)
        return;
    pthread_mutex_lock(&journal->lock);
    insert(journal, segment);
    pthread_mutex_unlock(&journal->lock);
}

/* Returns: how many segments are kept for the log alone. */
static size_t count_log(const struct journal *journal, size_t *ret_bytes)
{
    size_t n = 0;
    *ret_bytes = 0;
    for (const struct segment *segment = journal->segments; segment != NULL;
         segment = segment->next) {
        if (segment->generation == 0 || !segment->is_forgotten)
            continue;
        *ret_bytes += segment->size;
        n++;
    }
    return n;
}

/* The oldest segment that is kept for the log, unless somebody reads it. Returns: NULL if there is
 * none. */
static struct segment *find_oldest(const struct journal *journal)
{
    struct segment *oldest = NULL;
    for (struct segment *segment = journal->segments; segment != NULL; segment = segment->next)
        if (segment->generation != 0 && segment->is_forgotten)
            oldest = segment;
    return oldest == NULL || oldest->n_pins != 0 ? NULL : oldest;
}

/* Under the lock. Whether the oldest is too old, too many are kept, or so much is left without it.
 */
static bool may_go(struct journal *journal, const struct segment *oldest, size_t least_bytes)
{
    size_t bytes;
    size_t n = count_log(journal, &bytes);
    bytes += value_files_logged_bytes(&journal->values);
    return n > MOST_KEPT || bytes - oldest->size >= least_bytes ||
           queue_now_ms() - oldest->ended_ms >= journal->log_ms;
}

/* Under the lock. The first record that is in a segment. */
static uint64_t first_record(const struct journal *journal)
{
    uint64_t first = UINT64_MAX;
    for (const struct segment *segment = journal->segments; segment != NULL;
         segment = segment->next)
        if (segment->generation != 0)
            first = segment->first;
    return first;
}

/* Under the lock. Whether the oldest value file's record is gone, or the log has more than `most`
 * bytes and begins with it: a segment may refer to more than the log may have. */
static bool may_value_go(struct journal *journal, const struct segment *oldest, size_t most)
{
    size_t bytes;
    uint64_t sequence = value_files_oldest_logged(&journal->values);
    count_log(journal, &bytes);
    if (sequence == 0)
        return false;
    return sequence < first_record(journal) ||
           (bytes + value_files_logged_bytes(&journal->values) > most &&
            (oldest == NULL || sequence <= oldest->last));
}

/* Under the lock. Returns: the value files that are to be deleted. */
static struct value_file *trim_log(struct journal *journal, size_t least_bytes)
{
    struct value_file *gone = NULL;
    while (true) {
        struct segment *oldest = find_oldest(journal);
        if (oldest != NULL && may_go(journal, oldest, least_bytes)) {
            take_out(journal, oldest);
            give_back(journal, oldest);
        } else if (may_value_go(journal, oldest, least_bytes)) {
            gone = value_files_take_logged(&journal->values, gone);
        } else {
            return gone;
        }
    }
}

void journal_forget(struct journal *journal, uint64_t sequence)
{
    value_files_forget(&journal->values, sequence, journal->log_bytes / PART_OF_VALUE);
    pthread_mutex_lock(&journal->lock);
    for (struct segment *segment = journal->segments; segment != NULL; segment = segment->next)
        if (segment != journal->current && segment->generation != 0 && segment->last <= sequence)
            segment->is_forgotten = true;
    struct value_file *gone = trim_log(journal, journal->log_bytes);
    pthread_mutex_unlock(&journal->lock);
    value_files_delete(gone);
}

void journal_shrink(struct journal *journal)
{
    size_t n_kept = 0;
    pthread_mutex_lock(&journal->lock);
    struct value_file *gone = trim_log(journal, 0);
    for (struct segment *segment = journal->segments, *next; segment != NULL; segment = next) {
        next = segment->next;
        if (segment->generation != 0 || n_kept++ < FEW)
            continue;
        take_out(journal, segment);
        segment_delete(segment, journal->folder);
    }
    pthread_mutex_unlock(&journal->lock);
    value_files_delete(gone);
}

size_t journal_bytes(struct journal *journal)
{
    size_t bytes = 0;
    pthread_mutex_lock(&journal->lock);
    for (const struct segment *segment = journal->segments; segment != NULL;
         segment = segment->next)
        bytes += segment->generation == 0 || segment->is_forgotten ? 0 : segment->size;
    pthread_mutex_unlock(&journal->lock);
    return bytes;
}

/* ---- writing ---- */

/* Closes the current segment for writing. */
static void end_segment(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    if (journal->current != NULL)
        journal->current->last = journal->next - 1;
    if (journal->current != NULL)
        journal->current->ended_ms = queue_now_ms();
    journal->current = NULL;
    pthread_mutex_unlock(&journal->lock);
}

static enum kv_engine_status begin_segment(struct journal *journal, size_t size)
{
    if (journal->generation == UINT64_MAX)
        return KV_ENGINE_FAILED; /* journal_open() has seen to it that this is far away */
    struct segment *segment = get_segment(journal, size);
    if (segment == NULL)
        return folder_status(errno);
    pthread_mutex_lock(&journal->lock);
    segment->generation = ++journal->generation;
    pthread_mutex_unlock(&journal->lock);
    segment->first = journal->next;
    segment->base = journal->base;
    segment->last = UINT64_MAX;
    bool is_written = segment_write_head(segment);
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
    return is_written ? KV_ENGINE_OK : folder_status(fault);
}

enum kv_engine_status journal_begin(struct journal *journal)
{
    end_segment(journal);
    return begin_segment(journal, journal->segment_size);
}

/* The previous one is on the disk first, so that if this one exists, nothing before it is
 * missing. */
static enum kv_engine_status begin_next_segment(struct journal *journal, size_t len)
{
    size_t size = SEGMENT_HEAD + journal_record_align(len) + SEGMENT_COPY;
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
    if (journal->at + rows->len > segment_end(journal->current)) {
        enum kv_engine_status status = begin_next_segment(journal, rows->len);
        if (status != KV_ENGINE_OK)
            return status;
    }
    struct journal_record record = {.sequence = journal->next, .synced = journal->synced};
    journal_record_finish(rows, &record, journal->current->generation);
    if (!segment_write(journal->current, rows->bytes, rows->len, journal->at))
        return folder_status(errno);
    journal->at = journal_record_align(journal->at + rows->len);
    journal->next++;
    kv_counter_add(&journal->records, 1);
    kv_counter_add(&journal->record_bytes, rows->len);
    return KV_ENGINE_OK;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

enum kv_engine_status journal_sync(struct journal *journal)
{
    if (journal->current == NULL)
        return KV_ENGINE_FAILED;
    uint64_t last = journal->next - 1;
    int64_t began_ns = now_ns();
    if (fdatasync(journal->current->fd) != 0)
        return folder_status(errno);
    kv_histogram_add_shared(&journal->syncs, now_ns() - began_ns);
    journal->synced = last;
    return KV_ENGINE_OK;
}

void journal_metrics(const struct journal *journal, struct kv_metrics_out *out)
{
    static const struct kv_metric syncs = {"kvserver_store_sync_duration_seconds",
                                           KV_METRIC_HISTOGRAM, "seconds", "Syncs of the journal"};
    static const struct kv_metric records = {
        "kvserver_store_commits", KV_METRIC_COUNTER, NULL,
        "Records of the journal: one for each group of writes"};
    static const struct kv_metric bytes = {"kvserver_store_journal_written_bytes",
                                           KV_METRIC_COUNTER, "bytes", "Bytes of those records"};
    out->durations(out, &syncs, &journal->syncs);
    out->number(out, &records, kv_counter_read(&journal->records));
    out->number(out, &bytes, kv_counter_read(&journal->record_bytes));
}

void journal_refuse(struct journal *journal, uint64_t next)
{
    journal->next = next;
    end_segment(journal);
}

/* ---- reading ---- */

bool journal_is_there(const struct journal *journal)
{
    return journal->damaged != NULL ||
           (journal->segments != NULL && journal->segments->generation != 0);
}

/* format: of what is wrong with the file. */
static int fail(const struct journal *journal, uint64_t number, struct kv_error *reterr,
                const char *format, ...) KV_PRINTF(4, 5);
static int fail(const struct journal *journal, uint64_t number, struct kv_error *reterr,
                const char *format, ...)
{
    char name[SEGMENT_NAME_MAX];
    char what[192];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    segment_name_write(number, name);
    return kv_error_set(reterr, "%s/%s: %s", journal->folder, name, what);
}

/* A reading of the records from `expected` on. */
struct reading {
    const struct journal *journal;
    uint64_t expected;
    journal_take_fn take;
    void *context;
    struct kv_error *reterr;
};

/* Whether the unreadable record `sequence` was once complete, as a later record shows. */
static bool was_synced(const struct segment *segment, struct kv_slice bytes, size_t at,
                       uint64_t sequence)
{
    struct journal_record record;
    for (; at + JOURNAL_RECORD_HEAD <= bytes.len; at += JOURNAL_RECORD_ALIGNMENT) {
        uint64_t distance = segment_get_u64(bytes.bytes + at + 16) - sequence;
        if (distance != 0 && distance < bytes.len / JOURNAL_RECORD_HEAD &&
            journal_record_read(bytes, at, segment->generation, &record) != 0 &&
            record.synced >= sequence)
            return true;
    }
    return false;
}

/* format: of what is damaged, and needed. */
static int refuse(const struct reading *reading, const struct segment *segment, const char *format,
                  ...) KV_PRINTF(3, 4);
static int refuse(const struct reading *reading, const struct segment *segment, const char *format,
                  ...)
{
    char what[96];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return fail(reading->journal, segment->number, reading->reterr,
                "damaged: %s: the store needs it; restore the store's folder from a backup", what);
}

/* Reads the records of a segment before `end`, the first record of the next one; 0: there is no
 * later segment. */
static int read_records(struct reading *reading, const struct segment *segment, uint64_t end,
                        struct kv_slice bytes)
{
    size_t at = SEGMENT_HEAD;
    size_t len;
    uint64_t sequence = segment->first;
    struct journal_record record;
    while (sequence != end &&
           (len = journal_record_read(bytes, at, segment->generation, &record)) != 0 &&
           record.sequence == sequence) {
        if (sequence == reading->expected) {
            if (!reading->take(reading->context, sequence, record.rows))
                return fail(reading->journal, segment->number, reading->reterr,
                            "cannot be brought into the database: record %" PRIu64, sequence);
            reading->expected++;
        }
        sequence++;
        at = journal_record_align(at + len);
    }
    if (sequence != end && (end != 0 || was_synced(segment, bytes, at, sequence)))
        return refuse(reading, segment, "record %" PRIu64, sequence);
    return 0;
}

/* Returns: their number; the youngest first, without those that were never started. */
static size_t list_segments(struct journal *journal, struct segment ***ret)
{
    size_t n = 0;
    struct segment *segment;
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

static int read_segment(struct reading *reading, const struct segment *segment, uint64_t end)
{
    if (segment->first > reading->expected)
        return kv_error_set(reading->reterr,
                            "%s: damaged: the records %" PRIu64 " to %" PRIu64 " are missing",
                            reading->journal->folder, reading->expected, segment->first - 1);
    if (segment->is_cut)
        return refuse(reading, segment, "its length");
    if (segment->lacks_start)
        return refuse(reading, segment, "its head and its first record");
    char *bytes = segment_read(segment);
    if (bytes == NULL)
        return fail(reading->journal, segment->number, reading->reterr, "cannot be read: %s",
                    strerror(errno));
    int result = read_records(reading, segment, end,
                              (struct kv_slice){.bytes = bytes, .len = segment->size});
    free(bytes);
    return result;
}

/* The oldest first. */
static int read_segments(struct reading *reading, struct segment **segments, size_t n)
{
    for (size_t i = n; i-- != 0;) {
        uint64_t end = i == 0 ? reading->journal->next : segments[i - 1]->first;
        if ((end == 0 || end > reading->expected) && read_segment(reading, segments[i], end) != 0)
            return -1;
    }
    return 0;
}

/* Makes sure that the records found are on the disk before anything is appended. */
static int keep_what_was_read(struct journal *journal, struct segment **segments, size_t n,
                              struct kv_error *reterr)
{
    for (size_t i = 0; i < n; i++)
        segments[i]->last = (i == 0 ? journal->next : segments[i - 1]->first) - 1;
    if (n != 0 && fdatasync(segments[0]->fd) != 0)
        return fail(journal, segments[0]->number, reterr, "cannot be synced: %s", strerror(errno));
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
    struct segment **segments;
    if (journal->damaged != NULL)
        return refuse(&reading, journal->damaged, "its head, the head's copy and its first record");
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

/* Their generations are not known, so they are not used again. */
static void delete_damaged(struct journal *journal)
{
    while (journal->damaged != NULL) {
        struct segment *segment = journal->damaged;
        journal->damaged = segment->next;
        segment_delete(segment, journal->folder);
    }
}

int journal_end_at(struct journal *journal, uint64_t last, struct kv_error *reterr)
{
    struct segment **segments;
    delete_damaged(journal);
    size_t n = list_segments(journal, &segments);
    if (segments == NULL)
        return kv_error_set(reterr, "%s: no memory", journal->folder);
    journal->next = last + 1;
    int result = keep_what_was_read(journal, segments, n, reterr);
    free(segments);
    return result;
}

void journal_skip(struct journal *journal, uint64_t after)
{
    delete_damaged(journal);
    journal_forget(journal, UINT64_MAX);
    journal->next = after + 1;
    journal->synced = after;
}

/* ---- life ---- */

/* A power cut may have left records of a generation without its head. The generations of this
 * opening have never been used, not even by the openings of damaged segments. */
static int begin_generations(struct journal *journal, struct kv_error *reterr)
{
    uint64_t opening = (journal->generation >> GENERATIONS_BITS) + 1 + journal->n_damaged;
    if (opening > UINT32_MAX)
        return kv_error_set(reterr, "%s: damaged: its generations are used up", journal->folder);
    journal->generation = opening << GENERATIONS_BITS;
    return 0;
}

/* A segment that was never started is used next, if it has the right size. */
static void keep_unbegun(struct journal *journal, struct segment *segment)
{
    if (segment->size == journal->segment_size)
        insert(journal, segment);
    else
        segment_delete(segment, journal->folder);
}

static void add_segment(struct journal *journal, struct segment *segment)
{
    if (journal->generation < segment->generation)
        journal->generation = segment->generation;
    if (segment->generation == 0)
        keep_unbegun(journal, segment);
    else
        insert(journal, segment);
}

static void add_damaged(struct journal *journal, struct segment *segment)
{
    segment->next = journal->damaged;
    journal->damaged = segment;
}

static int add_file(struct journal *journal, uint64_t number, struct kv_error *reterr)
{
    struct segment *segment = segment_open(journal->folder, number);
    if (segment == NULL)
        return fail(journal, number, reterr, "cannot be opened: %s", strerror(errno));
    if (journal->number < number)
        journal->number = number;
    segment->ended_ms = queue_now_ms();
    bool is_known = segment_read_head(segment);
    journal->n_damaged += !is_known || segment->is_cut ? 1 : 0;
    if (is_known)
        add_segment(journal, segment);
    else
        add_damaged(journal, segment);
    return 0;
}

/* Returns: whether one more is known, next to which another may be. */
static bool identify_one(struct journal *journal)
{
    for (struct segment **at = &journal->damaged; *at != NULL; at = &(*at)->next) {
        struct segment *segment = *at;
        if (!segment_identify(segment, journal->segments))
            continue;
        *at = segment->next;
        add_segment(journal, segment);
        return true;
    }
    return false;
}

static int add_files(struct journal *journal, struct kv_error *reterr)
{
    DIR *names = opendir(journal->folder);
    if (names == NULL)
        return kv_error_set(reterr, "%s: cannot be opened: %s", journal->folder, strerror(errno));
    int result = 0;
    uint64_t number;
    for (struct dirent *name; result == 0 && (name = readdir(names)) != NULL;)
        if (segment_name_read(name->d_name, &number))
            result = add_file(journal, number, reterr);
    closedir(names);
    return result;
}

int journal_open(struct journal *journal, const char *folder, size_t segment_size, size_t log_bytes,
                 int64_t log_ms, struct kv_error *reterr)
{
    *journal = (struct journal){
        .folder = folder, .segment_size = segment_size, .log_bytes = log_bytes, .log_ms = log_ms};
    pthread_mutex_init(&journal->lock, NULL);
    if (value_files_open(&journal->values, folder, reterr) != 0 || add_files(journal, reterr) != 0)
        return -1;
    while (identify_one(journal))
        ;
    return begin_generations(journal, reterr);
}

static void close_all(struct segment **segments)
{
    while (*segments != NULL) {
        struct segment *segment = *segments;
        *segments = segment->next;
        segment_close(segment);
    }
}

void journal_close(struct journal *journal)
{
    if (journal->folder == NULL)
        return; /* it was never opened */
    close_all(&journal->segments);
    close_all(&journal->damaged);
    value_files_close(&journal->values);
    pthread_mutex_destroy(&journal->lock);
}
