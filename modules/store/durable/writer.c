/*
 * The writer: takes what has come while it was busy, as one batch, and commits it. So batches grow
 * with the load and with what a sync takes, and a single write waits for nothing but its own.
 *
 * A sync goes on by itself (syncer.h): meanwhile the next batch, the open one, is judged. Its
 * record is written, and its sync begun, when the one before has been published and answered, and
 * most of those clients have written again, or a moment has passed.
 */
#include "writer.h"

#include <stdlib.h>

#include "commit.h"
#include "scan.h"

enum {
    LONGEST_WAIT_NS = 500000, /* for clients to write again */
    RETRY_MS = 200,           /* until deadlines that could not be judged are looked at again */
    FIRST_RECOVERY_MS = 200,  /* until an ill engine is tried; then twice as long */
    LONGEST_RECOVERY_MS = 2000,
    TELL_AGAIN_MS = 60000
};

/* ---- giving back ---- */

/* Gives the commands of the first job, and of others of its loop as far as there is room, back in
 * one call. Returns: the jobs that are left, in order. */
static struct job *gather(struct kv_store *store, struct job *first)
{
    uint32_t loop = first->loop;
    struct job *others = NULL;
    struct job **end = &others;
    size_t n = 0;
    for (struct job *job = first, *next; job != NULL; job = next) {
        next = job->next;
        if (job->loop == loop && n + job->n_cmds <= MOST_GIVEN_BACK) {
            memcpy(store->given_back + n, job->cmds, job->n_cmds * sizeof(struct kv_cmd *));
            n += job->n_cmds;
            free(job);
        } else {
            *end = job;
            end = &job->next;
        }
    }
    *end = NULL;
    store->host->done(store->host, loop, store->given_back, n);
    return others;
}

/* A loop is called once for many of its jobs, as each call may have to wake it. */
static void give_commands_back(struct kv_store *store, struct job *job)
{
    while (job != NULL) {
        if (job->n_cmds <= MOST_GIVEN_BACK) {
            job = gather(store, job);
            continue;
        }
        struct job *next = job->next;
        store->host->done(store->host, job->loop, job->cmds, job->n_cmds);
        free(job);
        job = next;
    }
}

/* The part is looked at again when its next deadline is due. */
static void give_expiries_back(struct kv_store *store, struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;
        uint32_t part = job->expire.part;
        int64_t now_ms = store->host->base.now_ms(&store->host->base);
        int64_t next_ms = deadlines_next(&store->deadlines, part);
        bool is_stuck = store->ill != KV_ENGINE_OK || job->expire.n_decided == 0;
        if (is_stuck && next_ms <= now_ms)
            next_ms = now_ms + RETRY_MS;
        free(job);
        atomic_store(&store->is_expiring[part], false);
        store->host->wake_at(store->host, part, next_ms);
        job = next;
    }
}

/* ---- committing ---- */

static void wait_longer(struct kv_store *store)
{
    store->recover_at_ms = queue_now_ms() + store->recover_wait_ms;
    if (store->recover_wait_ms < LONGEST_RECOVERY_MS)
        store->recover_wait_ms *= 2;
}

/* A full disk shows in many ways: a database that could write the half of a page says that the disk
 * fails. */
static enum kv_engine_status look_behind(const struct kv_store *store, enum kv_engine_status why)
{
    return why == KV_ENGINE_FAILED && folder_try_room(store->path) == KV_ENGINE_FULL
               ? KV_ENGINE_FULL
               : why;
}

/* Where there is a reserve, it is tried at once to go on with that. */
static void fall_ill(struct kv_store *store, enum kv_engine_status why)
{
    bool was_well = store->ill == KV_ENGINE_OK;
    store->ill = was_well ? look_behind(store, why) : why;
    if (was_well)
        store->host->base.log(&store->host->base, KV_LOG_ERROR, "%s: %s: writes are refused",
                              store->path,
                              store->ill == KV_ENGINE_FULL ? "there is no room" : "the disk fails");
    if (was_well)
        store->recover_wait_ms = FIRST_RECOVERY_MS;
    wait_longer(store);
    if (was_well && store->ill == KV_ENGINE_FULL && store->reserve.is_held)
        store->recover_at_ms = queue_now_ms();
}

/* Whether writes are taken, if need be again. No sync is under way where they were not. */
static bool is_well(struct kv_store *store)
{
    if (store->ill == KV_ENGINE_OK)
        return true;
    if (queue_now_ms() < store->recover_at_ms)
        return false;
    enum kv_engine_status status = commit_recover(store);
    if (status != KV_ENGINE_OK) {
        fall_ill(store, status);
        return false;
    }
    store->ill = KV_ENGINE_OK;
    store->is_unsynced = false;
    store->recover_wait_ms = FIRST_RECOVERY_MS;
    wait_longer(store);
    room_init(&store->room, store->ops, store->engine, store->room.is_disk_full);
    if (!store->room.is_disk_full)
        store->host->base.log(&store->host->base, KV_LOG_INFO, "%s: writes are taken again",
                              store->path);
    return true;
}

/* For the reserve, now and then: on a disk that was full, or was too small when the store opened.
 */
static void look_for_room(struct kv_store *store)
{
    if (store->reserve.is_held || store->ill != KV_ENGINE_OK ||
        queue_now_ms() < store->recover_at_ms)
        return;
    wait_longer(store);
    if (reserve_make(&store->reserve, commit_reserve_size(store)) != KV_ENGINE_OK ||
        !store->room.is_disk_full)
        return;
    room_init(&store->room, store->ops, store->engine, false);
    store->host->base.log(&store->host->base, KV_LOG_INFO,
                          "%s: there is room again: writes are taken", store->path);
}

/* That the engine's own limit is reached, the operator is told once, and again every minute. */
static void tell_of_limit(struct kv_store *store)
{
    struct room *room = &store->room;
    int64_t now_ms = queue_now_ms();
    if (!room->has_refused || store->ops->room_option == NULL || room->is_disk_full ||
        (room->told_ms != 0 && now_ms < room->told_ms + TELL_AGAIN_MS))
        return;
    room->has_refused = false;
    room->told_ms = now_ms;
    store->host->base.log(&store->host->base, KV_LOG_WARN,
                          "%s: full: what would make it larger is refused; raise storage.%s.%s",
                          store->path, store->ops->name, store->ops->room_option);
}

/* The engine may have failed while it was given what had been committed before. */
static void look_after_engine(struct kv_store *store)
{
    enum kv_engine_status status;
    if (store->ill == KV_ENGINE_OK && applier_is_idle(&store->applier, &status) &&
        status != KV_ENGINE_OK)
        fall_ill(store, status);
}

/* The applier may have become idle while there was nothing to publish. */
static void go_on_applying(struct kv_store *store)
{
    enum kv_engine_status status = store->ill == KV_ENGINE_OK ? commit_apply(store) : KV_ENGINE_OK;
    if (status != KV_ENGINE_OK)
        fall_ill(store, status);
}

/* ---- turns ---- */

static struct turn *other_turn(struct kv_store *store)
{
    return store->open == &store->turns[0] ? &store->turns[1] : &store->turns[0];
}

static bool is_blank(const struct turn *turn)
{
    return batch_is_empty(&turn->batch) && turn->first == NULL && turn->expiries == NULL;
}

static void give_back(struct kv_store *store, struct turn *turn)
{
    give_expiries_back(store, turn->expiries);
    give_commands_back(store, turn->first);
    turn->expiries = turn->first = NULL;
    turn->end = &turn->first;
}

/* Once the writer is ill the engine gets the changes when it recovers. */
static void publish(struct kv_store *store, struct turn *turn, struct turn *behind)
{
    if (batch_has_changes(&turn->batch)) {
        store->published = turn->sequence;
        room_forget(&store->room);
    }
    batch_publish(&turn->batch, turn->sequence, &store->changes,
                  behind == NULL ? NULL : &behind->batch);
    give_back(store, turn);
    if (store->ill != KV_ENGINE_OK)
        return;
    enum kv_engine_status status = commit_apply(store);
    if (status != KV_ENGINE_OK)
        fall_ill(store, status);
}

static void refuse(struct kv_store *store, struct turn *turn, enum kv_engine_status why)
{
    room_forget(&store->room);
    batch_refuse(&turn->batch, why);
    give_back(store, turn);
}

static void note_unsynced(struct kv_store *store)
{
    if (store->durability != DURABILITY_INTERVAL || store->is_unsynced)
        return;
    store->is_unsynced = true;
    store->sync_at_ms = queue_now_ms() + store->interval_ms;
}

static void sync_if_due(struct kv_store *store)
{
    if (!store->is_unsynced || queue_now_ms() < store->sync_at_ms)
        return;
    enum kv_engine_status status = is_well(store) ? journal_sync(&store->journal) : store->ill;
    store->is_unsynced = store->is_unsynced && status != KV_ENGINE_OK;
    if (status == KV_ENGINE_OK)
        return;
    fall_ill(store, status);
    store->sync_at_ms = store->recover_at_ms;
}

/* The open turn has been written: its sync begins, and the other one takes commands, once it is
 * blank. */
static void begin_sync(struct kv_store *store)
{
    store->is_syncing = true;
    store->sync_begun_ns = queue_now_ns();
    syncer_begin(&store->syncer);
    store->open = other_turn(store);
}

/* Nothing of what came behind it can take effect either. */
static void fail_sync(struct kv_store *store, enum kv_engine_status why)
{
    journal_refuse(&store->journal, other_turn(store)->sequence);
    fall_ill(store, why);
    refuse(store, other_turn(store), store->ill);
    refuse(store, store->open, store->ill);
}

/* Writes the changes of the open turn, if it has some. */
static enum kv_engine_status write_open(struct kv_store *store)
{
    struct turn *turn = store->open;
    if (!batch_has_changes(&turn->batch))
        return KV_ENGINE_OK;
    if (store->ill != KV_ENGINE_OK)
        return store->ill;
    size_t n = store->turns[0].batch.n_touched + store->turns[1].batch.n_touched;
    if (!changes_reserve(&store->changes, n))
        return KV_ENGINE_FULL;
    rows_clear(&store->rows);
    batch_rows(&turn->batch, &store->rows);
    turn->sequence = store->journal.next;
    return commit_append(store);
}

/* A batch of most of those who have just been answered, and of those who wait already, costs a sync
 * and a few wake-ups, as would one of fewer. It is not waited for longer than a sync takes. */
static void be_patient(struct kv_store *store, size_t n_expected)
{
    int64_t now_ns = queue_now_ns();
    int64_t wait_ns = now_ns - store->sync_begun_ns;
    store->n_expected = n_expected / 4 * 3;
    store->patient_until_ns = now_ns + (wait_ns < LONGEST_WAIT_NS ? wait_ns : LONGEST_WAIT_NS);
}

static void end_sync(struct kv_store *store, enum kv_engine_status status)
{
    struct turn *synced = other_turn(store);
    store->is_syncing = false;
    if (status != KV_ENGINE_OK) {
        fail_sync(store, status);
        return;
    }
    size_t n = synced->batch.n_cmds + store->open->batch.n_cmds;
    publish(store, synced, store->open);
    be_patient(store, n);
}

static void look_after_sync(struct kv_store *store)
{
    enum kv_engine_status status;
    if (store->is_syncing && syncer_is_done(&store->syncer, &status))
        end_sync(store, status);
}

/* The deletes of a turn that was refused are judged again. */
static void add_deletes(struct turn *turn)
{
    for (struct job *job = turn->first; job != NULL; job = job->next)
        for (size_t i = 0; i < job->n_cmds; i++)
            if (job->cmds[i]->op == KV_OP_DELETE)
                batch_add(&turn->batch, &job->cmds[i], 1, NULL);
}

/* A turn for which there is no room: what would make the store larger is refused, and the reserve
 * is given up for the rest. Returns: whether the turn is to be committed again. */
static bool keep_deletes(struct kv_store *store, struct turn *turn)
{
    if (store->ill != KV_ENGINE_FULL || !store->reserve.is_held)
        return false;
    room_forget(&store->room);
    batch_refuse(&turn->batch, KV_ENGINE_FULL);
    if (!is_well(store))
        return false;
    add_deletes(turn);
    return true;
}

/* Writes the open turn, and lets it take effect, or begins its sync; while another sync is under
 * way it stays open. */
static void commit(struct kv_store *store)
{
    struct turn *turn = store->open;
    bool has_changes = batch_has_changes(&turn->batch);
    if (store->is_syncing || is_blank(turn))
        return;
    if (has_changes)
        is_well(store);
    enum kv_engine_status status = write_open(store);
    if (status != KV_ENGINE_OK) {
        if (store->ill == KV_ENGINE_OK)
            fall_ill(store, status);
        if (keep_deletes(store, turn))
            commit(store); /* once: the reserve is gone */
        else
            refuse(store, turn, store->ill == KV_ENGINE_OK ? status : store->ill);
    } else if (has_changes && store->durability == DURABILITY_ALWAYS) {
        begin_sync(store);
        store->open->batch.ahead = &turn->batch;
    } else {
        publish(store, turn, NULL);
        if (has_changes)
            note_unsynced(store);
    }
}

/* Goes by no clock: what is decided by it holds until the writer has waited. */
static bool is_patient(const struct kv_store *store)
{
    return !store->is_syncing && store->open->batch.n_cmds < store->n_expected;
}

static void lose_patience_in_time(struct kv_store *store)
{
    if (is_patient(store) && queue_now_ns() >= store->patient_until_ns)
        store->n_expected = 0;
}

/* Until nothing is under way. */
static void settle(struct kv_store *store)
{
    commit(store);
    while (store->is_syncing) {
        end_sync(store, syncer_wait(&store->syncer));
        commit(store);
    }
}

/* ---- taking ---- */

static void take_expiry(struct kv_store *store, struct job *job)
{
    struct turn *turn = store->open;
    job->expire.n_decided =
        batch_expire(&turn->batch, job->expire.part, job->expire.now_ms, job->expire.max);
    job->next = turn->expiries;
    turn->expiries = job;
}

/* Waits until the engine has everything that has taken effect. */
static bool bring_engine_up(struct kv_store *store)
{
    settle(store);
    if (store->ill != KV_ENGINE_OK)
        return is_well(store);
    enum kv_engine_status status = commit_drain(store);
    if (status != KV_ENGINE_OK)
        fall_ill(store, status);
    return status == KV_ENGINE_OK;
}

/* Where the engine cannot be brought up, the batch is refused as a whole. */
static void learn_room(struct kv_store *store)
{
    if (bring_engine_up(store))
        room_learn(&store->room);
    else
        room_suppose(&store->room);
}

static void take_commands(struct kv_store *store, struct job *job)
{
    size_t n = 0;
    while ((n += batch_add(&store->open->batch, job->cmds + n, job->n_cmds - n, job->prepared)) <
           job->n_cmds) {
        settle(store);
        if (store->room.is_wanted)
            learn_room(store);
    }
    job->next = NULL;
    *store->open->end = job;
    store->open->end = &job->next;
}

static void run_scan(struct kv_store *store, struct job *job)
{
    if (bring_engine_up(store))
        scan_fill(store, job->scan);
    else
        scan_fail(job->scan, KV_IO);
    store->host->scan_done(store->host, job->loop, job->scan);
    free(job);
}

/* A vector is not parted for it. */
static bool is_full(const struct kv_store *store)
{
    const struct batch *batch = &store->open->batch;
    return batch->n_cmds + batch->n_due >= BATCH_COMMANDS || batch_is_full(batch);
}

static void make_room(struct kv_store *store)
{
    if (store->is_syncing)
        end_sync(store, syncer_wait(&store->syncer));
    if (is_full(store))
        commit(store);
}

static void load_deadlines(struct kv_store *store)
{
    int64_t now_ms = store->host->base.now_ms(&store->host->base);
    if (deadlines_are_due(&store->deadlines, now_ms) && bring_engine_up(store))
        deadlines_load(&store->deadlines, now_ms);
}

static void run_jobs(struct kv_store *store, struct job *job)
{
    look_after_engine(store);
    load_deadlines(store);
    while (job != NULL) {
        struct job *next = job->next;
        look_after_sync(store);
        if (is_full(store))
            make_room(store);
        if (job->kind == JOB_SCAN)
            run_scan(store, job);
        else if (job->kind == JOB_EXPIRE)
            take_expiry(store, job);
        else
            take_commands(store, job);
        job = next;
    }
    look_after_sync(store);
    lose_patience_in_time(store);
    if (!is_patient(store))
        commit(store);
    sync_if_due(store);
}

/* When there is something to do even if no job comes. */
static int64_t wake_at_ns(const struct kv_store *store)
{
    int64_t at_ms = store->is_unsynced ? store->sync_at_ms : KV_NEVER;
    if ((store->ill != KV_ENGINE_OK || store->room.is_disk_full) && store->recover_at_ms < at_ms)
        at_ms = store->recover_at_ms;
    int64_t at_ns = at_ms == KV_NEVER ? KV_NEVER : at_ms * 1000000;
    return is_patient(store) && store->patient_until_ns < at_ns ? store->patient_until_ns : at_ns;
}

/* How many commands the writer is woken for. */
static size_t wanted(const struct kv_store *store)
{
    return is_patient(store) ? store->n_expected - store->open->batch.n_cmds : 1;
}

void *writer_run(void *argument)
{
    struct kv_store *store = argument;
    bool is_closed = false;
    while (!is_closed) {
        run_jobs(store,
                 queue_take_all(&store->writes, wanted(store), wake_at_ns(store), &is_closed));
        if (!store->is_syncing)
            is_well(store); /* it recovers whether or not there are writes */
        go_on_applying(store);
        look_for_room(store);
        tell_of_limit(store);
        stager_allow(&store->stager, store->ill == KV_ENGINE_OK && !store->room.is_disk_full);
    }
    settle(store);
    return NULL;
}

/* ---- opening and closing ---- */

static void start_turn(struct kv_store *store, struct turn *turn)
{
    turn->end = &turn->first;
    turn->batch = (struct batch){.host = store->host,
                                 .source = {.states = store->states,
                                            .ops = store->ops,
                                            .engine = store->engine,
                                            .clock = store->clock},
                                 .deadlines = &store->deadlines,
                                 .revision = &store->revision,
                                 .room = &store->room};
}

static void start_turns(struct kv_store *store)
{
    start_turn(store, &store->turns[0]);
    start_turn(store, &store->turns[1]);
    store->open = &store->turns[0];
    deadlines_init(&store->deadlines, store->host, store->ops, store->engine, store->clock);
    deadlines_load(&store->deadlines, store->host->base.now_ms(&store->host->base));
}

int writer_open(struct kv_store *store, struct kv_error *reterr)
{
    int result = commit_open(store, reterr);
    room_init(&store->room, store->ops, store->engine, store->room.is_disk_full);
    if (result == 0)
        start_turns(store);
    return result;
}

int writer_open_to_read(struct kv_store *store, struct kv_error *reterr)
{
    int result = commit_open_to_read(store, reterr);
    if (result == 0)
        start_turns(store);
    return result;
}
