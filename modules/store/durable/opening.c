#include "opening.h"

#include "redo.h"

#define EPOCH KV_SLICE("epoch")

enum {
    TICK_US = 50,       /* the largest difference of the clocks' ticks */
    MOST_LOOKS = 10000, /* readings of the clocks, each a fraction of a millisecond */
    SEGMENT_PART = 8,   /* of the journal's size */
    LONGEST_SEGMENT = 4 << 20
};

struct meta {
    struct record_store_head head;
    bool has_head;
    char epoch[KV_EPOCH_MAX];
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

static enum kv_engine_status committer_head(struct committer *committer,
                                            const struct record_store_head *head)
{
    rows_clear(&committer->rows);
    rows_put_head(&committer->rows, head);
    rows_give(rows_slice(&committer->rows), committer->base->ops, committer->base->engine);
    enum kv_engine_status status = committer->base->ops->commit(committer->base->engine);
    return status == KV_ENGINE_OK ? committer->base->ops->persist(committer->base->engine) : status;
}

static enum kv_engine_status refill_nothing(void *context)
{
    (void)context;
    return KV_ENGINE_OK;
}

/* With the rows that the engine was given before; it has room for those at least. */
static enum kv_engine_status put_head(struct committer *committer,
                                      const struct record_store_head *head)
{
    enum kv_engine_status status = committer_head(committer, head);
    if (status == KV_ENGINE_FULL && committer->base->ops->room_option != NULL &&
        committer->base->ops->recover(committer->base->engine, refill_nothing, committer) ==
            KV_ENGINE_OK)
        status = committer_head(committer, head);
    return status;
}

/* Starts a new store: its revisions start above those of any earlier store of this server. */
static int make_meta(struct committer *committer, struct meta *meta, struct kv_error *reterr)
{
    const struct kv_host *host = &committer->base->host->base;
    if (!kv_epoch_make(meta->epoch))
        return kv_error_set(reterr, "%s: the system has no random bytes for the epoch",
                            committer->base->path);
    uint64_t revision = kv_revision_start(host->wall_us(host));
    meta->head = (struct record_store_head){.revision = revision, .reserved = revision};
    struct kv_slice epoch = kv_slice_of(meta->epoch);
    committer->base->ops->put(committer->base->engine, KV_ENGINE_META, EPOCH, epoch);
    return put_head(committer, &meta->head) == KV_ENGINE_OK
               ? 0
               : kv_error_set(reterr, "%s: cannot be written to", committer->base->path);
}

static int read_meta(struct committer *committer, struct meta *meta, struct kv_error *reterr)
{
    enum kv_engine_status head =
        committer->base->ops->get(committer->base->engine, KV_ENGINE_META, RECORD_STORE_HEAD_KEY,
                                  KV_ENGINE_ANYWHERE, take_head, meta);
    enum kv_engine_status epoch = committer->base->ops->get(
        committer->base->engine, KV_ENGINE_META, EPOCH, KV_ENGINE_ANYWHERE, take_epoch, meta);
    if (head == KV_ENGINE_ABSENT && epoch == KV_ENGINE_ABSENT && committer->base->folder.is_new)
        return make_meta(committer, meta, reterr);
    if (head == KV_ENGINE_OK && epoch == KV_ENGINE_OK && meta->has_head && meta->epoch[0] != '\0')
        return 0;
    return kv_error_set(reterr, "%s: damaged: its database is empty, or cannot be read",
                        committer->base->path);
}

static bool is_near_a_tick(int64_t time_us)
{
    return time_us % 1000 < TICK_US || time_us % 1000 >= 1000 - TICK_US;
}

/* Reads both clocks within one millisecond. They reach the next one almost together (host.h), so
 * their difference is the same at each opening, and no deadline moves by it. */
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

/* The store's clock continues from the wall clock, or from its own last time if that is later: a
 * wall clock that was set back does not postpone deadlines. */
static void start_clock(struct committer *committer, const struct meta *meta)
{
    int64_t wall_ms, now_ms;
    read_clocks(&committer->base->host->base, &wall_ms, &now_ms);
    int64_t start_ms = meta->head.seen_ms > wall_ms ? meta->head.seen_ms : wall_ms;
    committer->base->clock.offset_ms = start_ms - now_ms;
}

static size_t segment_size(const struct base *base)
{
    size_t size = base->journal_size / SEGMENT_PART;
    return (size < LONGEST_SEGMENT ? size : LONGEST_SEGMENT) & ~(size_t)4095;
}

static void warn_of_damage(const struct committer *committer)
{
    const struct base *base = committer->base;
    size_t n = committer->journal.n_damaged;
    if (n != 0)
        base_log(base, KV_LOG_WARN,
                 "%s: damaged: the head or the length of %zu of its files; no key is lost, but the "
                 "change log begins after them",
                 base->folder.journal, n);
}

/* Brings the engine up to the journal. */
static int read_journal(struct recovery *recovery, struct meta *meta, struct kv_error *reterr)
{
    struct committer *committer = recovery->committer;
    struct base *base = committer->base;
    if (journal_open(&committer->journal, base->folder.journal, segment_size(base),
                     (size_t)base->host->log_bytes, base->host->log_ms, reterr) != 0)
        return -1;
    committer->applier.persisted = meta->head.sequence;
    if (base->folder.format == FOLDER_FORMAT_WITHOUT_JOURNAL) {
        journal_skip(&committer->journal, meta->head.sequence);
        return 0;
    }
    if (!journal_is_there(&committer->journal) && !base->folder.is_new && !meta->head.is_clean)
        return kv_error_set(reterr, "%s: damaged: there is nothing in it", base->folder.journal);
    enum kv_engine_status status = KV_ENGINE_OK;
    if (meta->head.is_clean &&
        journal_end_at(&committer->journal, meta->head.sequence, reterr) != 0)
        return -1;
    if (!meta->head.is_clean)
        status = redo_journal(committer, meta->head.sequence, reterr);
    if (status == KV_ENGINE_FULL)
        status = base->ops->recover(base->engine, redo_refill, committer);
    if (status == KV_ENGINE_FULL && recovery_give_up_reserve(recovery))
        status = base->ops->recover(base->engine, redo_refill, committer);
    if (status != KV_ENGINE_OK)
        return -1;
    warn_of_damage(committer);
    value_files_discard_unclaimed(&committer->journal.values);
    journal_forget(&committer->journal,
                   meta->head.sequence); /* so that nothing new has to be made */
    return read_meta(committer, meta, reterr);
}

/* The first record reserves revisions. From here on the journal is needed, and the engine records
 * that. */
static enum kv_engine_status begin_journal(struct committer *committer, bool was_clean)
{
    committer->journal.base = committer->head.revision = committer->revision;
    enum kv_engine_status status = journal_begin(&committer->journal);
    rows_clear(&committer->rows);
    if (status == KV_ENGINE_OK)
        status = committer_append_head(committer);
    if (status == KV_ENGINE_OK)
        status = journal_sync(&committer->journal);
    if (status == KV_ENGINE_OK && was_clean)
        status = put_head(committer, &committer->head);
    return status;
}

static void go_on_from(struct committer *committer, const struct meta *meta)
{
    memcpy(committer->base->epoch, meta->epoch, sizeof(committer->base->epoch));
    start_clock(committer, meta);
    committer->revision = meta->head.is_clean ? meta->head.revision : meta->head.reserved;
    atomic_store(&committer->newest, committer->revision);
}

int opening_run_to_read(struct committer *committer, struct kv_error *reterr)
{
    struct meta meta = {0};
    if (read_meta(committer, &meta, reterr) != 0)
        return -1;
    if (!meta.head.is_clean && committer->base->folder.format != FOLDER_FORMAT_WITHOUT_JOURNAL)
        return 1;
    go_on_from(committer, &meta);
    return 0;
}

int opening_run(struct recovery *recovery, struct kv_error *reterr)
{
    struct committer *committer = recovery->committer;
    const struct base *base = committer->base;
    struct meta meta = {0};
    if (read_meta(committer, &meta, reterr) != 0 || read_journal(recovery, &meta, reterr) != 0)
        return -1;
    go_on_from(committer, &meta);
    enum kv_engine_status status = begin_journal(committer, meta.head.is_clean);
    if (status == KV_ENGINE_FULL && recovery_give_up_reserve(recovery) &&
        base->ops->recover(base->engine, redo_refill, committer) == KV_ENGINE_OK)
        status = begin_journal(committer, meta.head.is_clean);
    committer->published = committer->journal.next - 1;
    states_applied(base->states, committer->published);
    room_init(&recovery->room, base->ops, base->engine, recovery->room.is_disk_full);
    if (status == KV_ENGINE_OK)
        return 0;
    return kv_error_set(reterr, "%s: cannot be written to: %s", committer->base->path,
                        status == KV_ENGINE_FULL ? "there is no room"
                                                 : "the disk fails, or the files are damaged");
}

/* Afterwards the engine has everything, and the journal is not needed. */
static enum kv_engine_status write_last_head(struct committer *committer)
{
    struct record_store_head head = {.sequence = committer->published,
                                     .revision = committer->revision,
                                     .reserved = committer->revision,
                                     .seen_ms = base_store_ms(committer->base),
                                     .is_clean = true};
    return put_head(committer, &head);
}

void opening_undo(struct recovery *recovery)
{
    struct committer *committer = recovery->committer;
    const struct base *base = committer->base;
    if (base->is_read_only)
        return;
    enum kv_engine_status status =
        recovery_is_over(recovery) ? committer_drain(committer) : recovery_run(recovery);
    if (status == KV_ENGINE_OK)
        status = write_last_head(committer);
    if (status == KV_ENGINE_OK)
        journal_forget(&committer->journal, committer->published);
    if (status != KV_ENGINE_OK)
        base_log(base, KV_LOG_ERROR, "%s: closed without a last write: the disk is full or fails",
                 base->path);
}
