#include "recovery.h"

#include "redo.h"

enum {
    FIRST_WAIT_MS = 200, /* before the first retry of a failed store; then doubled */
    LONGEST_WAIT_MS = 2000,
    /* The size of the reserve: for files of the engine, and for all rows that it may lack. */
    RESERVED_FOR_FILES = 8 << 20,
    LEAST_RESERVE = 1 << 20, /* less is of no use */
    MOST_RESERVE = 1 << 30
};

static const char disk_is_full[] =
    "%s: the disk is full: deletes and expiries are taken, and nothing else";

void recovery_init(struct recovery *recovery, struct committer *committer)
{
    *recovery = (struct recovery){.committer = committer, .failure = KV_ENGINE_OK};
}

void recovery_fini(struct recovery *recovery)
{
    reserve_fini(&recovery->reserve);
}

static void set_room(struct recovery *recovery, bool is_disk_full)
{
    const struct base *base = recovery->committer->base;
    room_init(&recovery->room, base->ops, base->engine, is_disk_full);
}

/* ---- the reserve ---- */

/* The number of bytes that a recovery may need. */
static size_t reserve_size(const struct recovery *recovery)
{
    size_t size = RESERVED_FOR_FILES + committer_most_journal(recovery->committer->base);
    return size < MOST_RESERVE ? size : MOST_RESERVE;
}

/* Takes as much of it as the disk has room for. */
static void make_reserve(struct recovery *recovery)
{
    const struct base *base = recovery->committer->base;
    size_t size = reserve_size(recovery);
    size_t made = size;
    while (reserve_make(&recovery->reserve, made) == KV_ENGINE_FULL && made / 2 >= LEAST_RESERVE)
        made /= 2;
    if (!recovery->reserve.is_held)
        base_log(
            base, KV_LOG_WARN,
            "%s: the disk has no room for a reserve: if it gets full, deletes are refused, too",
            base->path);
    else if (made != size)
        base_log(base, KV_LOG_WARN, "%s: the disk has room for a reserve of %zu MiB instead of %zu",
                 base->path, made >> 20, size >> 20);
}

/* The engine is not open yet. */
void recovery_open_reserve(struct recovery *recovery)
{
    const struct base *base = recovery->committer->base;
    reserve_init(&recovery->reserve, base->path);
    recovery->room.is_disk_full = recovery->reserve.is_held &&
                                  folder_try_room(base->path) == KV_ENGINE_FULL &&
                                  reserve_give_up(&recovery->reserve);
    if (recovery->room.is_disk_full)
        base_log(base, KV_LOG_WARN, disk_is_full, base->path);
    else
        make_reserve(recovery);
}

bool recovery_give_up_reserve(struct recovery *recovery)
{
    const struct base *base = recovery->committer->base;
    if (recovery->room.is_disk_full)
        return true; /* some of it may be left */
    if (!reserve_give_up(&recovery->reserve))
        return false;
    set_room(recovery, true);
    base_log(base, KV_LOG_WARN, disk_is_full, base->path);
    return true;
}

/* ---- recovering ---- */

static enum kv_engine_status recover_engine(struct committer *committer)
{
    const struct base *base = committer->base;
    enum kv_engine_status status = base->ops->recover(base->engine, redo_refill, committer);
    if (status != KV_ENGINE_OK)
        return status;
    states_applied(base->states, committer->published);
    overlay_applied(base->overlay, committer->published, overlay_more_keys(base->overlay));
    changes_clear(&committer->changes);
    applier_reset(&committer->applier);
    committer->has_engine_failed = false;
    return KV_ENGINE_OK;
}

/* Persists all changes that have taken effect, and starts the journal anew. */
static enum kv_engine_status begin_anew(struct recovery *recovery)
{
    struct committer *committer = recovery->committer;
    enum kv_engine_status status = KV_ENGINE_OK;
    if (committer_drain(committer) != KV_ENGINE_OK || committer->has_engine_failed)
        status = recover_engine(committer);
    if (status == KV_ENGINE_OK)
        status = committer_persist(committer);
    if (status == KV_ENGINE_OK && recovery->room.is_disk_full)
        journal_shrink(&committer->journal); /* the engine needs the room more, to compact */
    committer->journal.base = committer->revision;
    if (status == KV_ENGINE_OK)
        status = journal_begin(&committer->journal);
    return status;
}

enum kv_engine_status recovery_run(struct recovery *recovery)
{
    const struct base *base = recovery->committer->base;
    if (base->is_read_only)
        return KV_ENGINE_FAILED;
    enum kv_engine_status status = folder_try_room(base->path);
    if (status == KV_ENGINE_OK)
        status = begin_anew(recovery);
    if (status == KV_ENGINE_FULL && recovery_give_up_reserve(recovery))
        status = begin_anew(recovery);
    return status;
}

/* ---- failing and trying again ---- */

static void wait_longer(struct recovery *recovery)
{
    recovery->retry_at_ms = queue_now_ms() + recovery->wait_ms;
    if (recovery->wait_ms < LONGEST_WAIT_MS)
        recovery->wait_ms *= 2;
}

/* A full disk has many symptoms: a database that could write half of a page reports a failure. */
static enum kv_engine_status diagnose(const struct base *base, enum kv_engine_status why)
{
    return why == KV_ENGINE_FAILED && folder_try_room(base->path) == KV_ENGINE_FULL ? KV_ENGINE_FULL
                                                                                    : why;
}

/* If there is a reserve, the recovery is tried at once with that. */
static void begin_first(struct recovery *recovery, enum kv_engine_status why)
{
    const struct base *base = recovery->committer->base;
    recovery->failure = diagnose(base, why);
    base_log(base, KV_LOG_ERROR, "%s: %s: writes are refused", base->path,
             recovery->failure == KV_ENGINE_FULL ? "there is no room" : "the disk fails");
    recovery->wait_ms = FIRST_WAIT_MS;
    wait_longer(recovery);
    if (recovery->failure == KV_ENGINE_FULL && recovery->reserve.is_held)
        recovery->retry_at_ms = queue_now_ms();
}

void recovery_begin(struct recovery *recovery, enum kv_engine_status why)
{
    if (recovery_is_over(recovery)) {
        begin_first(recovery, why);
        return;
    }
    recovery->failure = why;
    wait_longer(recovery);
}

bool recovery_try(struct recovery *recovery)
{
    const struct base *base = recovery->committer->base;
    if (recovery_is_over(recovery))
        return true;
    if (queue_now_ms() < recovery->retry_at_ms)
        return false;
    enum kv_engine_status status = recovery_run(recovery);
    if (status != KV_ENGINE_OK) {
        recovery_begin(recovery, status);
        return false;
    }
    recovery->failure = KV_ENGINE_OK;
    recovery->wait_ms = FIRST_WAIT_MS;
    wait_longer(recovery);
    set_room(recovery, recovery->room.is_disk_full);
    if (!recovery->room.is_disk_full)
        base_log(base, KV_LOG_INFO, "%s: writes are taken again", base->path);
    return true;
}

void recovery_look_for_room(struct recovery *recovery)
{
    const struct base *base = recovery->committer->base;
    if (recovery->reserve.is_held || !recovery_is_over(recovery) ||
        queue_now_ms() < recovery->retry_at_ms)
        return;
    wait_longer(recovery);
    if (reserve_make(&recovery->reserve, reserve_size(recovery)) != KV_ENGINE_OK ||
        !recovery->room.is_disk_full)
        return;
    set_room(recovery, false);
    base_log(base, KV_LOG_INFO, "%s: there is room again: writes are taken", base->path);
}

int64_t recovery_next_ms(const struct recovery *recovery)
{
    return !recovery_is_over(recovery) || recovery->room.is_disk_full ? recovery->retry_at_ms
                                                                      : KV_NEVER;
}
