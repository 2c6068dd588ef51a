/*
 * The way of a batch's rows. The journal has them first, in one record; when that is safe the batch
 * takes effect. The engine has them later, with those of many other batches (applier.h), and has
 * them on its disk later still; until then the journal keeps them. The head, a row of every record
 * and every commit, says up to which record that is.
 */
#include "commit.h"

#include <sys/random.h>

#define EPOCH KV_SLICE("epoch")

enum {
    REVISIONS_AHEAD = 1 << 20, /* set aside at a time */
    APPLIED_TOGETHER = 16384,  /* changes; fewer cost the engine more each */
    MOST_WAITING = 4,          /* times as many may wait for the applier */
    REDONE_TOGETHER = 1 << 20, /* bytes of rows in a commit */
    TICK_US = 50,              /* so far apart the clocks' ticks may be */
    MOST_LOOKS = 10000,        /* at the clocks; a fraction of a millisecond */
    /* Parts of the journal's size: */
    APPLIED_PART = 4, /* keys and values that are applied together, if they are fewer */
    SEGMENT_PART = 8,
    LONGEST_SEGMENT = 4 << 20, /* bytes */
    MOST_JOURNAL = 4, /* times the journal's size; then writes wait for the engine's disk */
    /* The reserve, in bytes: for files of the engine, and for all that it may lack. */
    RESERVED_FOR_FILES = 8 << 20,
    MOST_RESERVE = 1 << 30
};

/* ---- appending ---- */

static int64_t store_now_ms(const struct kv_store *store)
{
    return store->host->base.now_ms(&store->host->base) + store->clock.offset_ms;
}

/* What the engine has on its disk, the journal need not keep. */
static enum kv_engine_status persist(struct kv_store *store)
{
    enum kv_engine_status status = commit_drain(store);
    if (status == KV_ENGINE_OK)
        status = store->ops->persist(store->engine);
    if (status == KV_ENGINE_OK)
        journal_forget(&store->journal, store->applier.persisted = store->published);
    else
        store->has_engine_failed = true;
    return status;
}

/* Revisions beyond what the disk has set aside are synced whatever the mode, so that none is ever
 * given out twice. */
static enum kv_engine_status append(struct kv_store *store)
{
    struct record_store_head head = {.sequence = store->journal.next,
                                     .revision = store->revision,
                                     .reserved = store->head.reserved,
                                     .seen_ms = store_now_ms(store)};
    bool sets_aside = head.revision >= head.reserved;
    if (sets_aside)
        head.reserved = head.revision + REVISIONS_AHEAD;
    rows_put_head(&store->rows, &head);
    if (store->rows.is_short)
        return KV_ENGINE_FULL;
    enum kv_engine_status status = journal_append(&store->journal, &store->rows);
    if (status == KV_ENGINE_OK && sets_aside && store->durability != DURABILITY_ALWAYS)
        status = journal_sync(&store->journal);
    if (status == KV_ENGINE_OK)
        store->head = head;
    return status;
}

size_t commit_most_journal(const struct kv_store *store)
{
    return MOST_JOURNAL * store->journal_size;
}

enum kv_engine_status commit_append(struct kv_store *store)
{
    uint64_t sequence = store->journal.next;
    enum kv_engine_status status = KV_ENGINE_OK;
    if (journal_bytes(&store->journal) > commit_most_journal(store))
        status = persist(store);
    if (status == KV_ENGINE_OK)
        status = append(store);
    if (status != KV_ENGINE_OK)
        journal_refuse(&store->journal, sequence);
    return status;
}

/* ---- applying ---- */

/* What is given back has at least as much room: some of it may be reserved already. */
static enum kv_engine_status give(struct kv_store *store)
{
    struct record_store_head head = store->head;
    if (!changes_reserve(&store->applier.changes, store->changes.capacity))
        return KV_ENGINE_FULL;
    head.sequence = store->published;
    applier_give(&store->applier, &store->changes, &head);
    return KV_ENGINE_OK;
}

static bool are_enough(struct kv_store *store)
{
    if (value_files_bytes(&store->journal.values) > store->journal_size)
        return store->changes.n != 0;
    return store->changes.n >= APPLIED_TOGETHER ||
           store->changes.bytes >= store->journal_size / APPLIED_PART;
}

static bool are_too_many(const struct kv_store *store)
{
    const struct changes *changes = &store->changes;
    return changes->n >= MOST_WAITING * APPLIED_TOGETHER ||
           changes->bytes - changes->long_bytes >=
               MOST_WAITING * (store->journal_size / APPLIED_PART);
}

enum kv_engine_status commit_apply(struct kv_store *store)
{
    enum kv_engine_status status;
    if (!are_enough(store))
        return KV_ENGINE_OK;
    bool is_idle = applier_is_idle(&store->applier, &status);
    if (!is_idle && !are_too_many(store))
        return KV_ENGINE_OK;
    if (!is_idle)
        status = applier_wait(&store->applier);
    return status == KV_ENGINE_OK ? give(store) : status;
}

enum kv_engine_status commit_drain(struct kv_store *store)
{
    enum kv_engine_status status = applier_wait(&store->applier);
    if (status == KV_ENGINE_OK && store->changes.n != 0 && (status = give(store)) == KV_ENGINE_OK)
        status = applier_wait(&store->applier);
    return status;
}

/* ---- doing it again ---- */

struct redo {
    struct kv_store *store;
    size_t bytes, n_rows; /* since the last commit */
    enum kv_engine_status status;
};

static void commit_redone(struct redo *redo)
{
    redo->status = redo->store->ops->commit(redo->store->engine);
    redo->bytes = redo->n_rows = 0;
}

static bool redo_row(struct kv_store *store, uint64_t sequence, const struct row *row)
{
    struct value_files *values = &store->journal.values;
    return (row->reference.len == 0 || value_files_claim(values, row->reference, sequence)) &&
           row_give(row, values, store->ops, store->engine);
}

static size_t file_len(const struct row *row)
{
    size_t len;
    return value_reference_len(row->reference, &len) ? len : 0;
}

/* A record may be parted, as its head is the last of its rows. */
static bool redo_record(void *context, uint64_t sequence, struct kv_slice rows)
{
    struct redo *redo = context;
    struct kv_store *store = redo->store;
    struct row row;
    uint32_t most_rows = kv_engine_commit_limit(store->ops, store->engine);
    while (rows.len != 0 && redo->status == KV_ENGINE_OK) {
        size_t len = rows.len;
        if (!rows_take(&rows, &row) || !redo_row(store, sequence, &row)) {
            redo->status = KV_ENGINE_FAILED;
            break;
        }
        redo->bytes += len - rows.len + file_len(&row);
        if (redo->bytes >= REDONE_TOGETHER || ++redo->n_rows >= most_rows)
            commit_redone(redo);
    }
    return redo->status == KV_ENGINE_OK;
}

/* Gives the engine what the journal has behind the record `after`. Returns: FULL or FAILED and
 * *reterr. */
static enum kv_engine_status redo(struct kv_store *store, uint64_t after, struct kv_error *reterr)
{
    struct redo redo = {.store = store, .status = KV_ENGINE_OK};
    int result = journal_read(&store->journal, after, redo_record, &redo, reterr);
    if (result == 0 && redo.bytes != 0)
        commit_redone(&redo);
    if (result == 0 && redo.status == KV_ENGINE_OK)
        return KV_ENGINE_OK;
    if (result == 0 || redo.status == KV_ENGINE_FULL)
        kv_error_set(reterr, "%s: cannot be written to: %s", store->path,
                     redo.status == KV_ENGINE_FULL ? "there is no room" : "the disk fails");
    return redo.status == KV_ENGINE_FULL ? KV_ENGINE_FULL : KV_ENGINE_FAILED;
}

static enum kv_engine_status refill(void *context)
{
    struct kv_store *store = context;
    struct kv_error error;
    enum kv_engine_status status = redo(store, store->applier.persisted, &error);
    if (status == KV_ENGINE_FAILED)
        store->host->base.log(&store->host->base, KV_LOG_ERROR, "%s", error.text);
    return status;
}

static enum kv_engine_status recover_engine(struct kv_store *store)
{
    enum kv_engine_status status = store->ops->recover(store->engine, refill, store);
    if (status != KV_ENGINE_OK)
        return status;
    states_applied(store->states, store->published);
    changes_clear(&store->changes);
    applier_reset(&store->applier);
    store->has_engine_failed = false;
    return KV_ENGINE_OK;
}

static enum kv_engine_status begin_anew(struct kv_store *store)
{
    enum kv_engine_status status = KV_ENGINE_OK;
    if (commit_drain(store) != KV_ENGINE_OK || store->has_engine_failed)
        status = recover_engine(store);
    if (status == KV_ENGINE_OK)
        status = persist(store);
    if (status == KV_ENGINE_OK && store->room.is_disk_full)
        journal_shrink(&store->journal); /* the engine needs it more, to compact */
    if (status == KV_ENGINE_OK)
        status = journal_begin(&store->journal);
    return status;
}

/* From here on the store takes what makes it smaller. Returns: false where there is no reserve. */
static bool give_up_reserve(struct kv_store *store)
{
    if (store->room.is_disk_full)
        return true; /* some of it may be left */
    if (!reserve_give_up(&store->reserve))
        return false;
    room_init(&store->room, store->ops, store->engine, true);
    store->host->base.log(&store->host->base, KV_LOG_WARN,
                          "%s: the disk is full: deletes and expiries are taken, and nothing else",
                          store->path);
    return true;
}

enum kv_engine_status commit_recover(struct kv_store *store)
{
    if (store->is_only_read)
        return KV_ENGINE_FAILED;
    enum kv_engine_status status = folder_try_room(store->path);
    if (status == KV_ENGINE_OK)
        status = begin_anew(store);
    if (status == KV_ENGINE_FULL && give_up_reserve(store))
        status = begin_anew(store);
    return status;
}

size_t commit_reserve_size(const struct kv_store *store)
{
    size_t size = RESERVED_FOR_FILES + commit_most_journal(store);
    return size < MOST_RESERVE ? size : MOST_RESERVE;
}

/* ---- opening and closing ---- */

struct meta {
    struct record_store_head head;
    bool has_head;
    char epoch[33];
};

static void take_head(void *context, struct kv_slice value)
{
    struct meta *meta = context;
    meta->has_head = record_store_head_read(value, &meta->head);
}

static void take_epoch(void *context, struct kv_slice value)
{
    struct meta *meta = context;
    if (value.len == sizeof(meta->epoch) - 1)
        memcpy(meta->epoch, value.bytes, value.len);
}

static int make_epoch(char epoch[33], struct kv_error *reterr)
{
    unsigned char random[16];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return kv_error_set(reterr, "the system has no random bytes for the epoch");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(epoch + 2 * i, 3, "%02x", random[i]);
    return 0;
}

static enum kv_engine_status commit_head(struct kv_store *store,
                                         const struct record_store_head *head)
{
    rows_clear(&store->rows);
    rows_put_head(&store->rows, head);
    rows_give(rows_slice(&store->rows), store->ops, store->engine);
    enum kv_engine_status status = store->ops->commit(store->engine);
    return status == KV_ENGINE_OK ? store->ops->persist(store->engine) : status;
}

static enum kv_engine_status refill_nothing(void *context)
{
    (void)context;
    return KV_ENGINE_OK;
}

/* With what the engine was given before; it has room for that at least. */
static enum kv_engine_status put_head(struct kv_store *store, const struct record_store_head *head)
{
    enum kv_engine_status status = commit_head(store, head);
    if (status == KV_ENGINE_FULL && store->ops->room_option != NULL &&
        store->ops->recover(store->engine, refill_nothing, store) == KV_ENGINE_OK)
        status = commit_head(store, head);
    return status;
}

/* Begins anew: revisions start where no other store's of this server can have been. */
static int make_meta(struct kv_store *store, struct meta *meta, struct kv_error *reterr)
{
    const struct kv_host *host = &store->host->base;
    if (make_epoch(meta->epoch, reterr) != 0)
        return -1;
    uint64_t revision = kv_revision_start(host->wall_us(host));
    meta->head = (struct record_store_head){.revision = revision, .reserved = revision};
    struct kv_slice epoch = kv_slice_of(meta->epoch);
    store->ops->put(store->engine, KV_ENGINE_META, EPOCH, epoch);
    return put_head(store, &meta->head) == KV_ENGINE_OK
               ? 0
               : kv_error_set(reterr, "%s: cannot be written to", store->path);
}

static int read_meta(struct kv_store *store, struct meta *meta, struct kv_error *reterr)
{
    enum kv_engine_status head = store->ops->get(
        store->engine, KV_ENGINE_META, RECORD_STORE_HEAD_KEY, KV_ENGINE_ANYWHERE, take_head, meta);
    enum kv_engine_status epoch =
        store->ops->get(store->engine, KV_ENGINE_META, EPOCH, KV_ENGINE_ANYWHERE, take_epoch, meta);
    if (head == KV_ENGINE_ABSENT && epoch == KV_ENGINE_ABSENT && store->folder.is_new)
        return make_meta(store, meta, reterr);
    if (head == KV_ENGINE_OK && epoch == KV_ENGINE_OK && meta->has_head && meta->epoch[0] != '\0')
        return 0;
    return kv_error_set(reterr, "%s: damaged: its database is empty, or cannot be read",
                        store->path);
}

static bool is_near_a_tick(int64_t time_us)
{
    return time_us % 1000 < TICK_US || time_us % 1000 >= 1000 - TICK_US;
}

/* Reads both clocks within one millisecond. They turn to the next one together, all but (host.h);
 * so their difference is the same in every life of the store, and no deadline moves by it. */
static void read_clocks(const struct kv_host *host, int64_t *ret_wall_ms, int64_t *ret_now_ms)
{
    for (int i = 0; i < MOST_LOOKS; i++) {
        *ret_now_ms = host->now_ms(host);
        int64_t wall_us = host->wall_us(host);
        *ret_wall_ms = wall_us / 1000;
        if (!is_near_a_tick(wall_us) && host->now_ms(host) == *ret_now_ms)
            return;
    }
}

/* The store's clock goes on from the wall clock, or from where it was, if that is later: a wall
 * clock that was set back makes no deadline later than it was. */
static void start_clock(struct kv_store *store, const struct meta *meta)
{
    int64_t wall_ms, now_ms;
    read_clocks(&store->host->base, &wall_ms, &now_ms);
    int64_t start_ms = meta->head.seen_ms > wall_ms ? meta->head.seen_ms : wall_ms;
    store->clock.offset_ms = start_ms - now_ms;
}

/* Brings the engine up to the journal. */
static int read_journal(struct kv_store *store, struct meta *meta, struct kv_error *reterr)
{
    size_t segment = store->journal_size / SEGMENT_PART;
    if (segment > LONGEST_SEGMENT)
        segment = LONGEST_SEGMENT;
    if (journal_open(&store->journal, store->folder.journal, segment & ~(size_t)4095, reterr) != 0)
        return -1;
    store->applier.persisted = meta->head.sequence;
    if (store->folder.format == FOLDER_FORMAT_WITHOUT_JOURNAL) {
        journal_skip(&store->journal, meta->head.sequence);
        return 0;
    }
    if (!journal_is_there(&store->journal) && !store->folder.is_new && !meta->head.is_clean)
        return kv_error_set(reterr, "%s: damaged: there is nothing in it", store->folder.journal);
    enum kv_engine_status status = redo(store, meta->head.sequence, reterr);
    if (status == KV_ENGINE_FULL)
        status = store->ops->recover(store->engine, refill, store);
    if (status == KV_ENGINE_FULL && give_up_reserve(store))
        status = store->ops->recover(store->engine, refill, store);
    if (status != KV_ENGINE_OK)
        return -1;
    value_files_discard_unclaimed(&store->journal.values);
    journal_forget(&store->journal, meta->head.sequence); /* so that nothing new has to be made */
    return read_meta(store, meta, reterr);
}

/* The first record sets revisions aside. From here on the journal is needed, and the engine says
 * so.
 */
static enum kv_engine_status begin_journal(struct kv_store *store, bool was_clean)
{
    enum kv_engine_status status = journal_begin(&store->journal);
    rows_clear(&store->rows);
    if (status == KV_ENGINE_OK)
        status = append(store);
    if (status == KV_ENGINE_OK)
        status = journal_sync(&store->journal);
    if (status == KV_ENGINE_OK && was_clean)
        status = put_head(store, &store->head);
    return status;
}

static void go_on_from(struct kv_store *store, const struct meta *meta)
{
    memcpy(store->epoch, meta->epoch, sizeof(store->epoch));
    start_clock(store, meta);
    store->revision = meta->head.is_clean ? meta->head.revision : meta->head.reserved;
}

int commit_open_to_read(struct kv_store *store, struct kv_error *reterr)
{
    struct meta meta = {0};
    if (read_meta(store, &meta, reterr) != 0)
        return -1;
    if (!meta.head.is_clean && store->folder.format != FOLDER_FORMAT_WITHOUT_JOURNAL)
        return 1;
    go_on_from(store, &meta);
    return 0;
}

int commit_open(struct kv_store *store, struct kv_error *reterr)
{
    struct meta meta = {0};
    if (read_meta(store, &meta, reterr) != 0 || read_journal(store, &meta, reterr) != 0)
        return -1;
    go_on_from(store, &meta);
    enum kv_engine_status status = begin_journal(store, meta.head.is_clean);
    if (status == KV_ENGINE_FULL && give_up_reserve(store) &&
        store->ops->recover(store->engine, refill, store) == KV_ENGINE_OK)
        status = begin_journal(store, meta.head.is_clean);
    store->published = store->journal.next - 1;
    states_applied(store->states, store->published);
    if (status == KV_ENGINE_OK)
        return 0;
    return kv_error_set(reterr, "%s: cannot be written to: %s", store->path,
                        status == KV_ENGINE_FULL ? "there is no room"
                                                 : "the disk fails, or the files are damaged");
}

/* The engine has everything then, and the journal is not needed. */
static enum kv_engine_status write_last_head(struct kv_store *store)
{
    struct record_store_head head = {.sequence = store->published,
                                     .revision = store->revision,
                                     .reserved = store->revision,
                                     .seen_ms = store_now_ms(store),
                                     .is_clean = true};
    return put_head(store, &head);
}

void commit_close(struct kv_store *store)
{
    if (store->is_only_read)
        return;
    enum kv_engine_status status =
        store->ill == KV_ENGINE_OK ? commit_drain(store) : commit_recover(store);
    if (status == KV_ENGINE_OK)
        status = write_last_head(store);
    if (status != KV_ENGINE_OK)
        store->host->base.log(&store->host->base, KV_LOG_ERROR,
                              "%s: closed without a last write: the disk is full or fails",
                              store->path);
}
