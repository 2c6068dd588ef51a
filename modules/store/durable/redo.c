#include "redo.h"

enum {
    REDONE_TOGETHER = 1 << 20 /* bytes of rows in a commit */
};

struct redo {
    struct committer *committer;
    size_t bytes, n_rows; /* since the last commit */
    enum kv_engine_status status;
};

static void commit_redone(struct redo *redo)
{
    const struct base *base = redo->committer->base;
    redo->status = base->ops->commit(base->engine);
    redo->bytes = redo->n_rows = 0;
}

static bool redo_row(struct committer *committer, uint64_t sequence, const struct row *row)
{
    const struct base *base = committer->base;
    struct value_files *values = &committer->journal.values;
    return (row->reference.len == 0 || value_files_claim(values, row->reference, sequence)) &&
           row_give(row, values, base->ops, base->engine);
}

static size_t file_len(const struct row *row)
{
    size_t len;
    return value_reference_len(row->reference, &len) ? len : 0;
}

/* A record may be split, as its head is the last of its rows. */
static bool redo_record(void *context, uint64_t sequence, struct kv_slice rows)
{
    struct redo *redo = context;
    struct committer *committer = redo->committer;
    struct row row;
    uint32_t most_rows = kv_engine_commit_limit(committer->base->ops, committer->base->engine);
    while (rows.len != 0 && redo->status == KV_ENGINE_OK) {
        size_t len = rows.len;
        if (!rows_take(&rows, &row) || !redo_row(committer, sequence, &row)) {
            redo->status = KV_ENGINE_FAILED;
            break;
        }
        redo->bytes += len - rows.len + file_len(&row);
        if (redo->bytes >= REDONE_TOGETHER || ++redo->n_rows >= most_rows)
            commit_redone(redo);
    }
    return redo->status == KV_ENGINE_OK;
}

enum kv_engine_status redo_journal(struct committer *committer, uint64_t after,
                                   struct kv_error *reterr)
{
    struct redo redo = {.committer = committer, .status = KV_ENGINE_OK};
    int result = journal_read(&committer->journal, after, redo_record, &redo, reterr);
    if (result == 0 && redo.bytes != 0)
        commit_redone(&redo);
    if (result == 0 && redo.status == KV_ENGINE_OK)
        return KV_ENGINE_OK;
    if (result == 0 || redo.status == KV_ENGINE_FULL)
        kv_error_set(reterr, "%s: cannot be written to: %s", committer->base->path,
                     redo.status == KV_ENGINE_FULL ? "there is no room" : "the disk fails");
    return redo.status == KV_ENGINE_FULL ? KV_ENGINE_FULL : KV_ENGINE_FAILED;
}

enum kv_engine_status redo_refill(void *context)
{
    struct committer *committer = context;
    struct kv_error error;
    enum kv_engine_status status = redo_journal(committer, committer->applier.persisted, &error);
    if (status == KV_ENGINE_FAILED)
        base_log(committer->base, KV_LOG_ERROR, "%s", error.text);
    return status;
}
