#include "writer.h"

#include <stdlib.h>

#include "opening.h"

enum {
    RETRY_MS = 200 /* before deadlines that could not be judged are retried */
};

/* ---- turns ---- */

static struct turn *other_turn(struct writer *writer)
{
    return writer->open == &writer->turns[0] ? &writer->turns[1] : &writer->turns[0];
}

/* Wakes the part when its next deadline is due. */
static void end_expiry(struct writer *writer, struct job *job)
{
    const struct kv_store_host *host = writer->base->host;
    uint32_t part = job->expire.part;
    int64_t now_ms = base_now_ms(writer->base);
    int64_t next_ms = deadlines_next(&writer->deadlines, part);
    bool is_stuck = !recovery_is_over(&writer->recovery) || job->expire.n_decided == 0;
    if (is_stuck && next_ms <= now_ms)
        next_ms = now_ms + RETRY_MS;
    free(job);
    atomic_store(&writer->is_expiring[part], false);
    host->wake_at(host, part, next_ms);
}

static void give_back(struct writer *writer, struct turn *turn)
{
    for (struct job *job = turn_take_expiries(turn), *next; job != NULL; job = next) {
        next = job->next;
        end_expiry(writer, job);
    }
    turn_give_back(writer->base->host, turn_take_commands(turn));
}

/* While writes are refused, nothing is applied: the engine gets the changes when it recovers. */
static void apply(struct writer *writer)
{
    enum kv_engine_status status =
        recovery_is_over(&writer->recovery) ? committer_apply(&writer->committer) : KV_ENGINE_OK;
    if (status != KV_ENGINE_OK)
        recovery_begin(&writer->recovery, status);
}

static void publish(struct writer *writer, struct turn *turn, struct turn *behind)
{
    if (batch_has_changes(&turn->batch)) {
        writer->committer.published = turn->sequence;
        room_forget(&writer->recovery.room);
    }
    batch_publish(&turn->batch, turn->sequence, &writer->committer.changes,
                  behind == NULL ? NULL : &behind->batch);
    give_back(writer, turn);
    apply(writer);
}

static void refuse(struct writer *writer, struct turn *turn, enum kv_engine_status why)
{
    room_forget(&writer->recovery.room);
    batch_refuse(&turn->batch, why);
    give_back(writer, turn);
}

/* ---- syncs at intervals ---- */

static void note_unsynced(struct writer *writer)
{
    if (writer->base->durability != DURABILITY_INTERVAL || writer->is_unsynced)
        return;
    writer->is_unsynced = true;
    writer->sync_at_ms = queue_now_ms() + writer->base->interval_ms;
}

/* A recovery persists everything. */
static bool try_to_recover(struct writer *writer)
{
    bool was_over = recovery_is_over(&writer->recovery);
    bool is_over = recovery_try(&writer->recovery);
    if (is_over && !was_over)
        writer->is_unsynced = false;
    return is_over;
}

static void sync_if_due(struct writer *writer)
{
    if (!writer->is_unsynced || queue_now_ms() < writer->sync_at_ms)
        return;
    enum kv_engine_status status = try_to_recover(writer) ? journal_sync(&writer->committer.journal)
                                                          : writer->recovery.failure;
    writer->is_unsynced = writer->is_unsynced && status != KV_ENGINE_OK;
    if (status == KV_ENGINE_OK)
        return;
    recovery_begin(&writer->recovery, status);
    writer->sync_at_ms = writer->recovery.retry_at_ms;
}

/* ---- committing ---- */

/* The open turn has been written: starts its sync, and lets the other turn, which is empty, accept
 * commands. */
static void begin_sync(struct writer *writer)
{
    struct turn *written = writer->open;
    writer->is_syncing = true;
    writer->sync_began_ns = queue_now_ns();
    syncer_begin(&writer->syncer);
    writer->open = other_turn(writer);
    writer->open->batch.ahead = &written->batch;
}

/* Later commands cannot take effect either. */
static void fail_sync(struct writer *writer, enum kv_engine_status why)
{
    journal_refuse(&writer->committer.journal, other_turn(writer)->sequence);
    recovery_begin(&writer->recovery, why);
    refuse(writer, other_turn(writer), writer->recovery.failure);
    refuse(writer, writer->open, writer->recovery.failure);
}

static void end_sync(struct writer *writer, enum kv_engine_status status)
{
    struct turn *synced = other_turn(writer);
    writer->is_syncing = false;
    if (status != KV_ENGINE_OK) {
        fail_sync(writer, status);
        return;
    }
    size_t n = synced->batch.n_cmds + writer->open->batch.n_cmds;
    publish(writer, synced, writer->open);
    int64_t now_ns = queue_now_ns();
    writer->patience = patience_begin(n, now_ns, now_ns - writer->sync_began_ns);
}

static void end_sync_if_done(struct writer *writer)
{
    enum kv_engine_status status;
    if (writer->is_syncing && syncer_is_done(&writer->syncer, &status))
        end_sync(writer, status);
}

/* Writes the changes of the open turn, if there are any. */
static enum kv_engine_status write_open(struct writer *writer)
{
    struct committer *committer = &writer->committer;
    struct turn *turn = writer->open;
    if (!batch_has_changes(&turn->batch))
        return KV_ENGINE_OK;
    if (!recovery_is_over(&writer->recovery))
        return writer->recovery.failure;
    size_t n = writer->turns[0].batch.n_touched + writer->turns[1].batch.n_touched;
    if (!changes_reserve(&committer->changes, n) || !overlay_reserve(writer->base->overlay, n))
        return KV_ENGINE_FULL;
    rows_clear(&committer->rows);
    batch_rows(&turn->batch, &committer->rows);
    turn->sequence = committer->journal.next;
    return committer_append(committer);
}

/* Judges the deletes of a refused turn again. */
static void add_deletes(struct turn *turn)
{
    for (struct job *job = turn->first; job != NULL; job = job->next)
        for (size_t i = 0; i < job->n_cmds; i++)
            if (job->cmds[i]->op == KV_OP_DELETE)
                batch_add(&turn->batch, &job->cmds[i], 1, NULL);
}

/* Handles a turn without room: refuses the writes that would make the store larger, and gives up
 * the reserve for the rest. Returns: whether the turn must be committed again. */
static bool keep_deletes(struct writer *writer, struct turn *turn)
{
    if (writer->recovery.failure != KV_ENGINE_FULL || !writer->recovery.reserve.is_held)
        return false;
    room_forget(&writer->recovery.room);
    batch_refuse(&turn->batch, KV_ENGINE_FULL);
    if (!try_to_recover(writer))
        return false;
    add_deletes(turn);
    return true;
}

static void commit(struct writer *writer);

static void fail_commit(struct writer *writer, struct turn *turn, enum kv_engine_status why)
{
    if (recovery_is_over(&writer->recovery))
        recovery_begin(&writer->recovery, why);
    if (keep_deletes(writer, turn))
        commit(writer); /* once: the reserve is gone */
    else
        refuse(writer, turn, recovery_is_over(&writer->recovery) ? why : writer->recovery.failure);
}

/* Writes the open turn, and lets it take effect or starts its sync; while another sync is in
 * progress, it stays open. */
static void commit(struct writer *writer)
{
    struct turn *turn = writer->open;
    bool has_changes = batch_has_changes(&turn->batch);
    if (writer->is_syncing || turn_is_empty(turn))
        return;
    if (has_changes)
        try_to_recover(writer);
    enum kv_engine_status status = write_open(writer);
    if (status != KV_ENGINE_OK) {
        fail_commit(writer, turn, status);
    } else if (has_changes && writer->base->durability == DURABILITY_ALWAYS) {
        begin_sync(writer);
    } else {
        publish(writer, turn, NULL);
        if (has_changes)
            note_unsynced(writer);
    }
}

/* Waits until nothing is in progress. */
static void settle(struct writer *writer)
{
    commit(writer);
    while (writer->is_syncing) {
        end_sync(writer, syncer_wait(&writer->syncer));
        commit(writer);
    }
}

/* ---- waiting ---- */

/* The number of further commands that the open turn waits for. */
static size_t n_missing(const struct writer *writer)
{
    return writer->is_syncing ? 0 : patience_missing(&writer->patience, writer->open->batch.n_cmds);
}

static int64_t earlier(int64_t one_ns, int64_t other_ns)
{
    return one_ns < other_ns ? one_ns : other_ns;
}

static int64_t ns_of(int64_t ms)
{
    return ms == KV_NEVER ? KV_NEVER : ms * 1000000;
}

/* The time of the next work if no job arrives. */
static int64_t wake_at_ns(const struct writer *writer)
{
    int64_t at_ns = ns_of(recovery_next_ms(&writer->recovery));
    if (writer->is_unsynced)
        at_ns = earlier(at_ns, ns_of(writer->sync_at_ms));
    return n_missing(writer) != 0 ? earlier(at_ns, writer->patience.until_ns) : at_ns;
}

/* ---- the engine ---- */

/* The engine may have failed while earlier commits were applied. */
static void check_engine(struct writer *writer)
{
    enum kv_engine_status status;
    if (recovery_is_over(&writer->recovery) &&
        applier_is_idle(&writer->committer.applier, &status) && status != KV_ENGINE_OK)
        recovery_begin(&writer->recovery, status);
}

/* Waits until the engine has everything that has taken effect. */
static bool bring_engine_up(struct writer *writer)
{
    settle(writer);
    if (!recovery_is_over(&writer->recovery))
        return try_to_recover(writer);
    enum kv_engine_status status = committer_drain(&writer->committer);
    if (status != KV_ENGINE_OK)
        recovery_begin(&writer->recovery, status);
    return status == KV_ENGINE_OK;
}

/* If the engine cannot be brought up to the journal, the whole batch is refused. */
static void learn_room(struct writer *writer)
{
    if (bring_engine_up(writer))
        room_learn(&writer->recovery.room);
    else
        room_assume(&writer->recovery.room);
}

static void warn_of_limit(struct writer *writer)
{
    const struct base *base = writer->base;
    if (room_warns(&writer->recovery.room, queue_now_ms()))
        base_log(base, KV_LOG_WARN,
                 "%s: full: what would make it larger is refused; raise storage.%s.%s", base->path,
                 base->ops->name, base->ops->room_option);
}

static void load_deadlines(struct writer *writer)
{
    int64_t now_ms = base_now_ms(writer->base);
    if (deadlines_are_due(&writer->deadlines, now_ms) && bring_engine_up(writer))
        deadlines_load(&writer->deadlines, now_ms);
}

/* ---- jobs ---- */

static void take_expiry(struct writer *writer, struct job *job)
{
    struct turn *turn = writer->open;
    job->expire.n_decided =
        batch_expire(&turn->batch, job->expire.part, job->expire.now_ms, job->expire.max);
    turn_add_expiry(turn, job);
}

static void take_commands(struct writer *writer, struct job *job)
{
    size_t n = 0;
    while ((n += batch_add(&writer->open->batch, job->cmds + n, job->n_cmds - n, job->prepared)) <
           job->n_cmds) {
        settle(writer);
        if (writer->recovery.room.is_wanted)
            learn_room(writer);
    }
    turn_add_commands(writer->open, job);
}

/* A vector is not split for it. */
static bool is_full(const struct writer *writer)
{
    const struct batch *batch = &writer->open->batch;
    return batch->n_cmds + batch->n_due >= BATCH_COMMANDS || batch_is_full(batch);
}

static void make_room(struct writer *writer)
{
    if (writer->is_syncing)
        end_sync(writer, syncer_wait(&writer->syncer));
    if (is_full(writer))
        commit(writer);
}

static void take(struct writer *writer, struct job *job)
{
    end_sync_if_done(writer);
    if (is_full(writer))
        make_room(writer);
    if (job->kind == JOB_EXPIRE)
        take_expiry(writer, job);
    else
        take_commands(writer, job);
}

static void run_jobs(struct writer *writer, struct job *job)
{
    check_engine(writer);
    load_deadlines(writer);
    for (struct job *next; job != NULL; job = next) {
        next = job->next;
        take(writer, job);
    }
    end_sync_if_done(writer);
    if (n_missing(writer) != 0)
        patience_end_in_time(&writer->patience, queue_now_ns());
    if (n_missing(writer) == 0)
        commit(writer);
    sync_if_due(writer);
}

/* Called whether or not there are jobs. */
static void look_after_store(struct writer *writer)
{
    if (!writer->is_syncing)
        try_to_recover(writer);
    apply(writer); /* the applier may have become idle while there was nothing to publish */
    recovery_look_for_room(&writer->recovery);
    warn_of_limit(writer);
    stager_allow(&writer->stager,
                 recovery_is_over(&writer->recovery) && !writer->recovery.room.is_disk_full);
}

static void *run(void *argument)
{
    struct writer *writer = argument;
    bool is_closed = false;
    while (!is_closed) {
        size_t wanted = n_missing(writer);
        run_jobs(writer, queue_take_all(&writer->jobs, wanted == 0 ? 1 : wanted, wake_at_ns(writer),
                                        &is_closed));
        look_after_store(writer);
    }
    settle(writer);
    return NULL;
}

/* ---- for the loops ---- */

int64_t writer_expire(struct writer *writer, uint32_t part, int64_t now_ms, uint32_t max)
{
    if (atomic_exchange(&writer->is_expiring[part], true))
        return KV_EXPIRING;
    struct job *job = job_create(JOB_EXPIRE, 0, 0);
    if (job == NULL) {
        atomic_store(&writer->is_expiring[part], false);
        return now_ms + 1000;
    }
    job->expire.part = part;
    job->expire.now_ms = now_ms;
    job->expire.max = max;
    queue_push(&writer->jobs, job);
    return KV_EXPIRING;
}

/* ---- life ---- */

void writer_init(struct writer *writer, struct base *base)
{
    *writer = (struct writer){.base = base};
    queue_init(&writer->jobs);
    committer_init(&writer->committer, base, &writer->jobs);
    recovery_init(&writer->recovery, &writer->committer);
    syncer_init(&writer->syncer, &writer->committer.journal, &writer->jobs);
    stager_init(&writer->stager, base, &writer->committer.journal.values, &writer->jobs,
                committer_most_journal(base));
}

void writer_fini(struct writer *writer)
{
    stager_fini(&writer->stager);
    syncer_fini(&writer->syncer);
    committer_fini(&writer->committer);
    recovery_fini(&writer->recovery);
    batch_fini(&writer->turns[0].batch);
    batch_fini(&writer->turns[1].batch);
    deadlines_fini(&writer->deadlines);
    queue_fini(&writer->jobs);
}

static void start_turns(struct writer *writer)
{
    const struct base *base = writer->base;
    struct batch empty = {.base = base,
                          .deadlines = &writer->deadlines,
                          .revision = &writer->committer.revision,
                          .newest = &writer->committer.newest,
                          .room = &writer->recovery.room};
    turn_init(&writer->turns[0], &empty);
    turn_init(&writer->turns[1], &empty);
    writer->open = &writer->turns[0];
    deadlines_init(&writer->deadlines, base->host, base->ops, base->engine, base->clock);
    deadlines_load(&writer->deadlines, base_now_ms(base));
}

int writer_open(struct writer *writer, struct kv_error *reterr)
{
    int result = opening_run(&writer->recovery, reterr);
    if (result == 0)
        start_turns(writer);
    return result;
}

int writer_open_to_read(struct writer *writer, struct kv_error *reterr)
{
    int result = opening_run_to_read(&writer->committer, reterr);
    if (result == 0)
        start_turns(writer);
    return result;
}

int writer_start(struct writer *writer)
{
    int fault = stager_start(&writer->stager);
    if (fault == 0)
        fault = syncer_start(&writer->syncer);
    if (fault == 0)
        fault = applier_start(&writer->committer.applier);
    if (fault == 0)
        fault = thread_start(&writer->thread, "store-writer", run, writer);
    return fault;
}

void writer_close(struct writer *writer)
{
    stager_stop(&writer->stager);
    queue_close(&writer->jobs);
    if (!writer->thread.is_there)
        return;
    thread_join(&writer->thread);
    opening_undo(&writer->recovery);
}
