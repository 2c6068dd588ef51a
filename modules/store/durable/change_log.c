#include "change_log.h"

#include <stdlib.h>

#include "journal_record.h"
#include "reader.h"
#include "segment.h"

enum {
    CHUNK = 256 << 10,   /* bytes per read */
    MOST_READ = 4 << 20, /* per page; a longer record is read nevertheless */
    RECORD_LEAST = 64    /* bytes; shorter rests are not worth keeping */
};

/* A page in the making. */
struct reading {
    struct change_log *log;
    struct kv_log_page *page;
    uint64_t newest;
    struct journal_place place;
    uint64_t sequence; /* of the record at `at` */
    size_t at;
    uint64_t last;            /* of the last change found; without one, the segment's base */
    struct kv_slice rest;     /* the bytes read, from `at` on */
    bool rest_is_handed_down; /* read by another page */
    struct kv_slice rows;     /* of the record at `at`, those left */
    size_t record_len;
    char *bytes;
    size_t capacity;
    size_t n_read;
    size_t n_bytes; /* of the page's entries */
    enum kv_status status;
};

void change_log_init(struct change_log *log, const struct base *base, struct journal *journal,
                     atomic_uint_fast64_t *newest)
{
    *log = (struct change_log){.base = base, .journal = journal, .newest = newest};
    pthread_mutex_init(&log->lock, NULL);
}

void change_log_fini(struct change_log *log)
{
    for (size_t i = 0; i < CHANGE_LOG_STARTED; i++)
        free(log->started[i].bytes);
    pthread_mutex_destroy(&log->lock);
}

/* ---- places ---- */

static void set_bookmark(const struct reading *reading)
{
    struct change_log *log = reading->log;
    pthread_mutex_lock(&log->lock);
    log->bookmarks[log->next_bookmark] =
        (struct bookmark){.generation = reading->place.segment->generation,
                          .upto = reading->last,
                          .sequence = reading->sequence,
                          .at = reading->at};
    log->next_bookmark = (log->next_bookmark + 1) % CHANGE_LOG_BOOKMARKS;
    pthread_mutex_unlock(&log->lock);
}

static void start_at(struct reading *reading, const struct bookmark *bookmark)
{
    reading->last = bookmark->upto;
    reading->sequence = bookmark->sequence;
    reading->at = bookmark->at;
    reading->rest = (struct kv_slice){0};
    reading->rest_is_handed_down = false;
}

/* The segment's start, or the last known place in it that precedes all wanted changes. */
static void start_segment(struct reading *reading)
{
    struct change_log *log = reading->log;
    const struct segment *segment = reading->place.segment;
    struct bookmark best = {.upto = segment->base, .sequence = segment->first, .at = SEGMENT_HEAD};
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < CHANGE_LOG_BOOKMARKS; i++) {
        const struct bookmark *bookmark = &log->bookmarks[i];
        if (bookmark->generation == segment->generation && bookmark->upto <= reading->page->after &&
            bookmark->at > best.at)
            best = *bookmark;
    }
    pthread_mutex_unlock(&log->lock);
    start_at(reading, &best);
}

/* Keeps the bytes of the record in which the page ended, for the next page. */
static void leave_record(struct reading *reading)
{
    struct change_log *log = reading->log;
    struct started_record started = {.generation = reading->place.segment->generation,
                                     .upto = reading->last,
                                     .sequence = reading->sequence,
                                     .at = reading->at,
                                     .len = reading->record_len,
                                     .rest = reading->rest,
                                     .rows_left = reading->rows,
                                     .bytes = reading->bytes,
                                     .capacity = reading->capacity};
    pthread_mutex_lock(&log->lock);
    struct started_record *place = &log->started[log->next_started];
    log->next_started = (log->next_started + 1) % CHANGE_LOG_STARTED;
    char *former = place->bytes;
    *place = started;
    pthread_mutex_unlock(&log->lock);
    reading->bytes = NULL;
    free(former);
}

/* Takes the record in which the previous page ended. Its slot is the next to be filled. */
static struct started_record take_started(const struct reading *reading)
{
    struct change_log *log = reading->log;
    struct started_record started = {0};
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < CHANGE_LOG_STARTED && started.bytes == NULL; i++) {
        struct started_record *place = &log->started[i];
        if (place->bytes == NULL || place->upto != reading->page->after ||
            place->generation != reading->place.segment->generation)
            continue;
        started = *place;
        *place = (struct started_record){0};
        log->next_started = i;
    }
    pthread_mutex_unlock(&log->lock);
    return started;
}

/* Returns: false if the previous page did not end within a record, or too many others have
 * since. */
static bool return_to_record(struct reading *reading)
{
    struct started_record started = take_started(reading);
    if (started.bytes == NULL)
        return false;
    reading->last = started.upto;
    reading->sequence = started.sequence;
    reading->at = started.at;
    reading->rest = started.rest;
    reading->rest_is_handed_down = true;
    reading->rows = started.rows_left;
    reading->record_len = started.len;
    reading->bytes = started.bytes;
    reading->capacity = started.capacity;
    return true;
}

/* Returns: false if there is none. */
static bool go_to_next_segment(struct reading *reading)
{
    struct journal *journal = reading->log->journal;
    struct journal_place next;
    if (!journal_pin_next(journal, &reading->place, &next))
        return false;
    journal_unpin(journal, &reading->place);
    reading->place = next;
    start_segment(reading);
    return true;
}

/* ---- records ---- */

/* Reads until `rest` has at least `len` bytes of the segment from `at` on, if there are that
 * many. */
static bool read_ahead(struct reading *reading, size_t len)
{
    const struct segment *segment = reading->place.segment;
    size_t left = segment->size - reading->at;
    if (reading->rest.len >= len || reading->rest.len == left)
        return true;
    size_t wanted = len < CHUNK ? CHUNK : len;
    if (wanted > left)
        wanted = left;
    if (wanted > reading->capacity) {
        char *more = realloc(reading->bytes, wanted);
        if (more == NULL)
            return false;
        reading->bytes = more;
        reading->capacity = wanted;
    }
    if (!segment_read_at(segment, reading->bytes, wanted, reading->at))
        return false;
    reading->n_read += wanted;
    reading->rest_is_handed_down = false;
    reading->rest = (struct kv_slice){.bytes = reading->bytes, .len = wanted};
    return true;
}

/* Returns: false if there is none at the place, or it cannot be read. */
static bool parse_record(struct reading *reading)
{
    size_t left = reading->place.segment->size - reading->at;
    if (left < RECORD_LEAST || !read_ahead(reading, RECORD_LEAST))
        return false;
    size_t len = journal_record_len(reading->rest);
    if (len > left || !read_ahead(reading, len))
        return false;
    reading->record_len =
        journal_parse(reading->place.segment, reading->rest, reading->sequence, &reading->rows);
    return reading->record_len != 0;
}

/* The same. The previous page may have read the bytes after its record before they were written. */
static bool read_record(struct reading *reading)
{
    if (parse_record(reading))
        return true;
    if (!reading->rest_is_handed_down)
        return false;
    reading->rest = (struct kv_slice){0};
    return parse_record(reading);
}

static void pass_record(struct reading *reading)
{
    size_t len = reading->record_len;
    if (len > reading->rest.len)
        len = reading->rest.len; /* its alignment is beyond the end */
    reading->at += reading->record_len;
    reading->sequence++;
    reading->rest.bytes += len;
    reading->rest.len -= len;
    reading->record_len = 0;
}

/* ---- changes ---- */

struct change_row {
    struct row row;
    uint64_t revision;
    enum kv_reason reason;
};

/* Returns: false if the row is no change. */
static bool read_change(const struct reading *reading, const struct row *row,
                        struct change_row *ret)
{
    struct removal removal;
    *ret = (struct change_row){.row = *row, .reason = KV_REASON_SET};
    if (row->table != KV_ENGINE_RECORDS)
        return false;
    if (!row->is_erased) {
        ret->revision = record_revision(row->value);
    } else if (row_read_removal(row, &removal)) {
        ret->revision = removal.revision;
        ret->reason = removal.reason;
    }
    return ret->revision > reading->last;
}

static bool is_wanted(const struct reading *reading, const struct change_row *change)
{
    const struct kv_log_page *page = reading->page;
    return change->revision > page->after &&
           (page->wants == NULL || page->wants(page, change->row.key));
}

/* The part of the value that is in a file. */
static size_t long_len(const struct change_row *change)
{
    size_t len;
    return value_reference_len(change->row.reference, &len) ? len : 0;
}

/* The key's present state, if it is the wanted one. Returns: NULL if it is not. */
static struct entry *find_present(const struct base *base, const struct change_row *change)
{
    struct kv_cmd get = {.op = KV_OP_GET,
                         .key = change->row.key,
                         .hash = base->host->hash(base->host, change->row.key)};
    if (reader_get(base, &get, true) != GLANCE_FOUND)
        return NULL;
    if (get.item.revision == change->revision)
        return get.item.ref;
    entry_unref(get.item.ref);
    return NULL;
}

/* The value is in a file of its own while the log has room for it. Returns: NULL and
 * *ret_is_trimmed, or NULL alone if memory runs out. */
static struct entry *read_long_value(const struct reading *reading, const struct change_row *change,
                                     bool *ret_is_trimmed)
{
    const struct base *base = reading->log->base;
    size_t len = long_len(change);
    struct entry *entry = record_read_unfilled(change->row.key, 0, change->row.value, len,
                                               base->clock, ret_is_trimmed);
    if (entry == NULL)
        return NULL;
    char *into = entry->bytes + entry->key_len + entry->value_len - len;
    if (value_files_read_logged(&reading->log->journal->values, change->row.reference,
                                reading->sequence, into))
        return entry;
    entry_unref(entry);
    entry = find_present(base, change);
    *ret_is_trimmed = entry == NULL;
    return entry;
}

/* Returns: NULL and the reading's status. */
static struct entry *make_entry(struct reading *reading, const struct change_row *change)
{
    const struct base *base = reading->log->base;
    struct entry *entry;
    bool is_trimmed = false;
    if (change->row.is_erased)
        entry = entry_create_absent(change->row.key, 0);
    else if (change->row.reference.len != 0)
        entry = read_long_value(reading, change, &is_trimmed);
    else
        entry = record_read(change->row.key, 0, change->row.value, base->clock, &is_trimmed);
    if (entry == NULL)
        reading->status = is_trimmed ? KV_TRIMMED : KV_FULL;
    return entry;
}

static bool is_full(const struct reading *reading, const struct change_row *change)
{
    const struct kv_log_page *page = reading->page;
    size_t len = change->row.key.len + change->row.value.len + long_len(change);
    return page->n == page->capacity || (page->n != 0 && reading->n_bytes + len > page->most_bytes);
}

/* Returns: false if the page ends before the change. */
static bool add_change(struct reading *reading, const struct change_row *change)
{
    struct kv_log_page *page = reading->page;
    if (is_full(reading, change))
        return false;
    struct entry *entry = make_entry(reading, change);
    if (entry == NULL)
        return false;
    page->entries[page->n++] = (struct kv_log_entry){.reason = change->reason,
                                                     .revision = change->revision,
                                                     .key = entry_key(entry),
                                                     .after = entry_item(entry),
                                                     .ref = entry};
    reading->n_bytes += entry->key_len + entry->value_len;
    return true;
}

/* Returns: false if the page ends before the row. */
static bool add_row(struct reading *reading, const struct row *row)
{
    struct change_row change;
    if (!read_change(reading, row, &change))
        return true;
    if (change.revision > reading->newest ||
        (is_wanted(reading, &change) && !add_change(reading, &change)))
        return false;
    reading->last = change.revision;
    return true;
}

/* Returns: false if the page ends within the record, or before it. */
static bool add_record(struct reading *reading)
{
    struct row row;
    struct kv_slice rows = reading->rows;
    while (rows.len != 0 && rows_take(&rows, &row)) {
        if (!add_row(reading, &row))
            return false;
        reading->rows = rows;
    }
    return true;
}

/* ---- the page ---- */

static void trim(struct reading *reading)
{
    reading->status = KV_TRIMMED;
}

/* Revisions between the last change and the next segment's base were lost in a crash, or never
 * told: the changes after one of them cannot be determined. */
static bool is_in_a_hole(const struct reading *reading)
{
    uint64_t after = reading->page->after;
    return after > reading->last && after < reading->place.next_base;
}

/* All records of the segment have been read. Returns: whether to continue with another. */
static bool end_segment(struct reading *reading)
{
    bool is_whole = reading->place.end == 0 || reading->sequence == reading->place.end;
    if (!is_whole || is_in_a_hole(reading)) {
        trim(reading);
        return false;
    }
    uint64_t last = reading->last;
    if (reading->place.end == 0 || !go_to_next_segment(reading)) {
        trim(reading); /* a published change is missing */
        return false;
    }
    if (reading->last < last)
        reading->last = last;
    return true;
}

/* Whether there is a record at the place, with rows that may be unread. */
static bool has_record(struct reading *reading)
{
    if (reading->record_len != 0)
        return true;
    bool is_end = reading->place.end != 0 && reading->sequence == reading->place.end;
    return !is_end && read_record(reading);
}

/* `last`: the change before the record at the place. */
static void end_within_record(struct reading *reading, uint64_t last)
{
    set_bookmark(&(struct reading){.log = reading->log,
                                   .place = reading->place,
                                   .sequence = reading->sequence,
                                   .at = reading->at,
                                   .last = last});
    leave_record(reading);
}

static void read_on(struct reading *reading)
{
    while (reading->last < reading->newest && reading->status == KV_OK &&
           reading->n_read < MOST_READ) {
        uint64_t last = reading->last;
        if (!has_record(reading)) {
            if (!end_segment(reading))
                return;
        } else if (add_record(reading)) {
            pass_record(reading);
        } else {
            end_within_record(reading, last);
            return;
        }
    }
    set_bookmark(reading);
}

static void drop_entries(struct kv_log_page *page)
{
    while (page->n != 0)
        entry_unref(page->entries[--page->n].ref);
}

static void read_page(struct reading *reading)
{
    struct kv_log_page *page = reading->page;
    if (!journal_pin(reading->log->journal, page->after, &reading->place)) {
        trim(reading);
        return;
    }
    if (!return_to_record(reading))
        start_segment(reading);
    read_on(reading);
    journal_unpin(reading->log->journal, &reading->place);
    page->upto = reading->last > page->after ? reading->last : page->after;
    page->is_last = page->upto == reading->newest;
}

void change_log_fill(struct change_log *log, struct kv_log_page *page)
{
    struct reading reading = {
        .log = log, .page = page, .newest = atomic_load(log->newest), .status = KV_OK};
    page->n = 0;
    page->upto = page->after;
    page->is_last = page->after == reading.newest;
    if (page->after > reading.newest)
        trim(&reading);
    else
        read_page(&reading);
    page->status = reading.status;
    if (page->status != KV_OK)
        drop_entries(page);
    free(reading.bytes);
}
