#include "committer.h"

enum {
    REVISIONS_AHEAD = 1 << 20, /* reserved at a time */
    APPLIED_TOGETHER = 16384,  /* changes; fewer cost the engine more each */
    MOST_WAITING = 4,          /* times as many may wait for the applier */
    APPLIED_PART = 4, /* of the journal's size: keys and values that are applied together, if they
                         are fewer */
    MOST_JOURNAL = 4  /* times the journal's size; then writes wait for the engine's disk */
};

void committer_init(struct committer *committer, struct base *base, struct queue *writes)
{
    *committer = (struct committer){.base = base};
    applier_init(&committer->applier, base, &committer->journal, writes);
}

void committer_fini(struct committer *committer)
{
    applier_fini(&committer->applier);
    changes_fini(&committer->changes);
    rows_fini(&committer->rows);
    journal_close(&committer->journal);
}

/* ---- appending ---- */

/* The journal need not keep records that the engine has persisted. */
enum kv_engine_status committer_persist(struct committer *committer)
{
    enum kv_engine_status status = committer_drain(committer);
    if (status == KV_ENGINE_OK)
        status = committer->base->ops->persist(committer->base->engine);
    if (status == KV_ENGINE_OK)
        journal_forget(&committer->journal, committer->applier.persisted = committer->published);
    else
        committer->has_engine_failed = true;
    return status;
}

/* A reservation of revisions is synced in every mode, so that none is ever assigned twice. */
enum kv_engine_status committer_append_head(struct committer *committer)
{
    struct record_store_head head = {.sequence = committer->journal.next,
                                     .revision = committer->revision,
                                     .reserved = committer->head.reserved,
                                     .seen_ms = base_store_ms(committer->base)};
    bool sets_aside = head.revision >= head.reserved;
    if (sets_aside)
        head.reserved = head.revision + REVISIONS_AHEAD;
    rows_put_head(&committer->rows, &head);
    if (committer->rows.is_short)
        return KV_ENGINE_FULL;
    committer->journal.base = committer->head.revision;
    enum kv_engine_status status = journal_append(&committer->journal, &committer->rows);
    if (status == KV_ENGINE_OK && sets_aside && committer->base->durability != DURABILITY_ALWAYS)
        status = journal_sync(&committer->journal);
    if (status == KV_ENGINE_OK)
        committer->head = head;
    return status;
}

size_t committer_most_journal(const struct base *base)
{
    return MOST_JOURNAL * base->journal_size;
}

enum kv_engine_status committer_append(struct committer *committer)
{
    uint64_t sequence = committer->journal.next;
    enum kv_engine_status status = KV_ENGINE_OK;
    if (journal_bytes(&committer->journal) > committer_most_journal(committer->base))
        status = committer_persist(committer);
    if (status == KV_ENGINE_OK)
        status = committer_append_head(committer);
    if (status != KV_ENGINE_OK)
        journal_refuse(&committer->journal, sequence);
    return status;
}

/* ---- applying ---- */

/* Write-ahead: an engine may persist commits at any time, table by table, and must not get ahead of
 * the journal. Otherwise, after a power cut, the journal's older rows would be redone over its
 * newer ones. A journal without a segment has failed: its records are persisted in the engine
 * before it starts again. */
static enum kv_engine_status sync_ahead(struct committer *committer)
{
    struct journal *journal = &committer->journal;
    if (committer->base->durability == DURABILITY_ALWAYS || journal->current == NULL ||
        journal->synced >= committer->published)
        return KV_ENGINE_OK;
    return journal_sync(journal);
}

/* The list returned has at least as much room: some of it may already be reserved. */
static enum kv_engine_status give(struct committer *committer)
{
    struct record_store_head head = committer->head;
    if (!changes_reserve(&committer->applier.changes, committer->changes.capacity))
        return KV_ENGINE_FULL;
    enum kv_engine_status status = sync_ahead(committer);
    if (status != KV_ENGINE_OK)
        return status;
    head.sequence = committer->published;
    applier_give(&committer->applier, &committer->changes, &head);
    return KV_ENGINE_OK;
}

static bool are_enough(struct committer *committer)
{
    if (value_files_bytes(&committer->journal.values) > committer->base->journal_size)
        return committer->changes.n != 0;
    return committer->changes.n >= APPLIED_TOGETHER ||
           committer->changes.bytes >= committer->base->journal_size / APPLIED_PART;
}

static bool are_too_many(const struct committer *committer)
{
    const struct changes *changes = &committer->changes;
    return changes->n >= MOST_WAITING * APPLIED_TOGETHER ||
           changes->bytes - changes->long_bytes >=
               MOST_WAITING * (committer->base->journal_size / APPLIED_PART);
}

enum kv_engine_status committer_apply(struct committer *committer)
{
    enum kv_engine_status status;
    if (!are_enough(committer))
        return KV_ENGINE_OK;
    bool is_idle = applier_is_idle(&committer->applier, &status);
    if (!is_idle && !are_too_many(committer))
        return KV_ENGINE_OK;
    if (!is_idle)
        status = applier_wait(&committer->applier);
    return status == KV_ENGINE_OK ? give(committer) : status;
}

enum kv_engine_status committer_drain(struct committer *committer)
{
    enum kv_engine_status status = applier_wait(&committer->applier);
    if (status == KV_ENGINE_OK && committer->changes.n != 0 &&
        (status = give(committer)) == KV_ENGINE_OK)
        status = applier_wait(&committer->applier);
    return status;
}
