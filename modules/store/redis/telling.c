#include "telling.h"

#include "answers.h"
#include "catching_up.h"
#include "lease.h"
#include "record.h"
#include "worker.h"

#include <stdlib.h>
#include <time.h>

enum {
    TOLD_AT_ONCE = 64,
    GLANCE_MS = 50,
    ASKED_BY_OTHERS_MS = 10,
    FIRST_ROOM = 64,
    LOG_AGAIN_MS = 10000,
};

/* ---- what is in line ---- */

/* Makes room for a change, and for a resync behind it, as a resync has to find room even if there
 * is no memory. */
static bool reserve(struct queue *queue)
{
    if (queue->n + 1 < queue->capacity)
        return true;
    size_t capacity = queue->capacity == 0 ? FIRST_ROOM : 2 * queue->capacity;
    struct pending *slots = calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < queue->n; i++)
        slots[i] = queue->slots[(queue->first + i) & (queue->capacity - 1)];
    free(queue->slots);
    *queue = (struct queue){.slots = slots, .n = queue->n, .capacity = capacity};
    return true;
}

static struct pending take_first(struct queue *queue)
{
    struct pending first = queue->slots[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->n--;
    return first;
}

static size_t bytes_of(const struct kv_change *change)
{
    return sizeof(struct pending) + change->key.len + change->before.value.len +
           change->after.value.len;
}

static void append(struct shard *shard, const struct pending *pending)
{
    struct queue *queue = &shard->pending;
    queue->slots[(queue->first + queue->n++) & (queue->capacity - 1)] = *pending;
    shard->pending_bytes += bytes_of(&pending->change);
}

static void release(struct shard *shard, const struct pending *pending)
{
    shard->pending_bytes -= bytes_of(&pending->change);
    record_unref(pending->change.before.ref);
    record_unref(pending->change.after.ref);
}

void telling_alert(struct cluster *cluster)
{
    cluster->has_work = true;
    pthread_cond_signal(&cluster->is_work);
}

/* ---- passing revisions ---- */

/* Under the lock. */
static void pass(struct shard *shard, uint64_t revision)
{
    struct claim claim = shard->claim;
    if (shard->upto < revision)
        shard->upto = revision;
    if (claim.node == 0 || shard->upto < claim.newest)
        return;
    shard->claim.node = 0;
    if (claim.node != shard->store->connected_to)
        return;
    raise_upto(shard->store, claim.revision);
    if (shard->upto < claim.revision)
        shard->upto = claim.revision;
}

void telling_pass(void *context, uint64_t revision)
{
    struct shard *shard = context;
    pthread_mutex_lock(&shard->cluster->lock);
    pass(shard, revision);
    telling_alert(shard->cluster);
    pthread_mutex_unlock(&shard->cluster->lock);
}

/* A claim that cannot be settled yet is kept, and later ones are ignored meanwhile. */
void telling_pass_beside(void *context, uint32_t part, uint64_t newest, uint64_t revision)
{
    const struct shard *asked = context;
    struct cluster *cluster = asked->cluster;
    if (part >= cluster->n_shards)
        return;
    struct shard *shard = &cluster->shards[part];
    pthread_mutex_lock(&cluster->lock);
    if (shard->claim.node != shard->store->connected_to)
        shard->claim = (struct claim){asked->store->connected_to, newest, revision};
    pass(shard, 0);
    telling_alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
}

size_t telling_find_beside(void *context, const struct kv_store **ret)
{
    const struct shard *asking = context;
    struct cluster *cluster = asking->cluster;
    uint64_t node = asking->store->connected_to;
    size_t n = 0;
    pthread_mutex_lock(&cluster->lock);
    for (uint32_t i = 0; i < cluster->n_shards && node != 0; i++) {
        const struct shard *shard = &cluster->shards[i];
        if (shard != asking && shard->upto < cluster->wanted && shard->store->connected_to == node)
            ret[n++] = shard->store;
    }
    pthread_mutex_unlock(&cluster->lock);
    return n;
}

/* ---- lining up ---- */

static uint64_t larger(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* Under the lock. The place in line of a resync is behind all that has been told, or is in line
 * with a revision of up to that one; it is told with a larger one. */
static uint64_t place_of(const struct cluster *cluster, const struct pending *pending)
{
    uint64_t revision = pending->change.revision;
    return pending->is_resync ? larger(revision, cluster->taken) + 1 : revision;
}

/* Under the lock. Returns: the resync that stands last, which shows all that comes until it is
 * told; NULL: something else does, or nothing. */
static struct pending *find_last_resync(const struct queue *queue)
{
    if (queue->n == 0)
        return NULL;
    struct pending *last = &queue->slots[(queue->first + queue->n - 1) & (queue->capacity - 1)];
    return last->is_resync ? last : NULL;
}

/* Under the lock. Other servers may have told all changes up to the newest one, so their clients
 * must not resume here behind these either. One that waits already is enough, if it is behind them
 * as well. */
static void line_up_resync(struct shard *shard)
{
    struct pending *waiting = find_last_resync(&shard->pending);
    uint64_t least = waiting != NULL ? waiting->change.revision : shard->last;
    uint64_t revision = larger(least, larger(shard->store->newest, shard->cluster->taken));
    if (waiting != NULL)
        waiting->change.revision = revision;
    else
        append(shard, &(struct pending){.change = {.revision = revision}, .is_resync = true});
    shard->last = revision + 1;
}

void telling_line_up(struct shard *shard, const struct kv_change *change, bool is_elsewhere)
{
    struct cluster *cluster = shard->cluster;
    struct pending pending = {.change = *change, .is_elsewhere = is_elsewhere};
    pthread_mutex_lock(&cluster->lock);
    if (change->revision <= cluster->taken && !cluster->is_open) {
        pthread_mutex_unlock(&cluster->lock);
        return; /* nobody was told anything yet */
    }
    if (change->revision <= larger(cluster->taken, shard->last) || !reserve(&shard->pending)) {
        line_up_resync(shard);
        telling_alert(cluster);
        pthread_mutex_unlock(&cluster->lock);
        return;
    }
    if (change->before.ref != NULL)
        record_ref(change->before.ref);
    if (change->after.ref != NULL)
        record_ref(change->after.ref);
    append(shard, &pending);
    shard->last = change->revision;
    pass(shard, change->revision);
    telling_alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
}

void telling_line_up_resync(struct shard *shard)
{
    struct cluster *cluster = shard->cluster;
    pthread_mutex_lock(&cluster->lock);
    line_up_resync(shard);
    telling_alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
}

/* ---- giving back ---- */

static void give_back(struct cluster *cluster, struct job *job, bool is_late)
{
    const struct kv_store_host *host = cluster->host;
    if (job->kind == JOB_WAKE) {
        host->wake_at(host, job->loop, job->deadline_ms);
        return;
    }
    if (is_late)
        answers_drop_result(job);
    if (job->kind == JOB_SCAN) {
        if (is_late)
            job->scan->status = KV_UNAVAILABLE;
        host->scan_done(host, job->loop, job->scan);
        return;
    }
    if (is_late)
        job->cmd->status = shards_is_write(job) ? KV_UNKNOWN : KV_UNAVAILABLE;
    if (job->cmd->op == KV_OP_CATCH_UP)
        catching_up_take(cluster, job);
    else
        host->done(host, job->loop, &job->cmd, 1);
}

/* Under the lock. Returns: the revision up to which changes have to be told before the job is given
 * back. A page may have come through the partitions before, which had nothing for it. */
static uint64_t shown_by(const struct shard *shard, const struct job *job)
{
    uint64_t revision = shard->last;
    for (const struct shard *each = shard->cluster->shards; job->kind == JOB_SCAN && each < shard;
         each++)
        if (revision < each->last)
            revision = each->last;
    return revision;
}

/* Under the lock. Deadlines are set without changes, by any number of servers: those that wait for
 * the same change are given back as one, the earliest. Returns: whether it is among them now. */
static bool join_last(struct shard *shard, const struct job *job)
{
    struct jobs *held = &shard->held;
    if (job->kind != JOB_WAKE || held->n == 0)
        return false;
    struct job *last = jobs_at(held, held->n - 1);
    if (last->kind != JOB_WAKE || last->revision != job->revision)
        return false;
    if (last->deadline_ms > job->deadline_ms)
        last->deadline_ms = job->deadline_ms;
    return true;
}

void telling_hold(struct shard *shard, const struct job *job)
{
    struct cluster *cluster = shard->cluster;
    struct job held = *job;
    pthread_mutex_lock(&cluster->lock);
    held.revision = shown_by(shard, job);
    held.since_ms = link_clock_ms();
    bool has_joined = join_last(shard, &held);
    bool has_room = has_joined || jobs_reserve(&shard->held, 1);
    if (has_room && !has_joined)
        jobs_append(&shard->held, &held);
    telling_alert(cluster);
    pthread_mutex_unlock(&cluster->lock);
    if (!has_room)
        give_back(cluster, &held, true);
}

/* ---- telling ---- */

/* Returns: the partition that has the next change of all; NULL: there is none, or it is not known
 * yet. *ret_wanted: the revision that all partitions have to pass. */
static struct shard *find_next(struct cluster *cluster, uint64_t *ret_wanted)
{
    struct shard *next = NULL;
    uint64_t first = UINT64_MAX;
    *ret_wanted = 0;
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct shard *shard = &cluster->shards[i];
        if (shard->pending.n == 0)
            continue;
        const struct pending *pending = &shard->pending.slots[shard->pending.first];
        uint64_t place = place_of(cluster, pending);
        if (place < first || (place == first && !pending->is_resync)) {
            first = place;
            next = shard;
        }
        if (*ret_wanted < shard->last)
            *ret_wanted = shard->last;
    }
    for (uint32_t i = 0; next != NULL && i < cluster->n_shards; i++)
        if (cluster->shards[i].pending.n == 0 && cluster->shards[i].upto < first)
            return NULL;
    return next;
}

static bool is_behind(const struct shard *shard, uint64_t wanted)
{
    return shard->upto < wanted;
}

static void ask(struct shard *shard, uint64_t wanted)
{
    if (shard->store->look_for >= wanted)
        return;
    shard->store->look_for = wanted;
    worker_wake(shard->store);
}

/* Whether the partition has passed nothing for a while: it does not rely on others then. */
static bool is_stuck(struct shard *shard, uint64_t wanted)
{
    int64_t now_ms = link_clock_ms();
    if (shard->upto >= shard->asked_for) {
        shard->asked_for = wanted;
        shard->asked_ms = now_ms;
    }
    return now_ms - shard->asked_ms >= ASKED_BY_OTHERS_MS;
}

/* Whether the first partitions of the cluster have one that asks the same node. */
static bool is_asked_about(const struct shard *shard, uint64_t wanted)
{
    const struct shard *each = shard->cluster->shards;
    uint64_t node = shard->store->connected_to;
    while (each < shard && !(is_behind(each, wanted) && each->store->connected_to == node))
        each++;
    return node != 0 && each < shard;
}

void telling_ask_to_pass(struct cluster *cluster, uint64_t wanted)
{
    cluster->wanted = wanted;
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct shard *shard = &cluster->shards[i];
        if (is_behind(shard, wanted) && (is_stuck(shard, wanted) || !is_asked_about(shard, wanted)))
            ask(shard, wanted);
    }
}

struct told {
    struct pending pending;
    uint32_t part;
};

static bool is_shown(const struct pending *pending, uint64_t revision)
{
    return !pending->is_resync && pending->change.revision <= revision;
}

/* A resync may have moved on to the revision of the partition's next change, which it shows then:
 * two with one revision could not be told apart by a client that resumes. */
static void drop_shown(struct shard *shard, uint64_t revision)
{
    struct queue *queue = &shard->pending;
    while (queue->n != 0 && is_shown(&queue->slots[queue->first], revision)) {
        struct pending shown = take_first(queue);
        release(shard, &shown);
    }
}

static struct told take(struct cluster *cluster, struct shard *shard)
{
    struct told told = {take_first(&shard->pending), shard->store->part};
    struct kv_change *change = &told.pending.change;
    if (told.pending.is_resync) {
        change->revision = place_of(cluster, &told.pending);
        drop_shown(shard, change->revision);
    }
    cluster->taken = larger(cluster->taken, change->revision);
    return told;
}

static size_t take_next(struct cluster *cluster, struct told told[TOLD_AT_ONCE])
{
    size_t n = 0;
    uint64_t wanted = 0;
    struct shard *next;
    while (n < TOLD_AT_ONCE && (next = find_next(cluster, &wanted)) != NULL)
        told[n++] = take(cluster, next);
    telling_ask_to_pass(cluster, wanted);
    return n;
}

static void raise_to(_Atomic uint64_t *revision, uint64_t other)
{
    if (*revision < other)
        *revision = other; /* only this thread writes it */
}

/* `newest` is raised before the host gets the change, so no reader sees one that is newer; `told`
 * is raised after it, so a change is not shown to observers before the host has it. */
static void tell(struct cluster *cluster, const struct told *told)
{
    const struct kv_store_host *host = cluster->host;
    const struct kv_change *change = &told->pending.change;
    raise_to(&cluster->newest, change->revision);
    if (told->pending.is_resync)
        host->resync(host, told->part);
    else if (told->pending.is_elsewhere)
        host->changed_elsewhere(host, told->part, change);
    else
        host->changed(host, told->part, change);
    raise_to(&cluster->told, change->revision);
    release(&cluster->shards[told->part], &told->pending);
}

/* Those that show changes show what has been told. */
static void wake_showing(struct cluster *cluster, const struct told *told, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct kv_store *part = cluster->shards[told[i].part].store;
        bool is_next_same = i + 1 < n && told[i + 1].part == told[i].part;
        if (!is_next_same && lease_is_held(part))
            worker_wake(part);
    }
}

static bool is_overdue(const struct cluster *cluster, const struct job *job)
{
    return link_clock_ms() - job->since_ms > cluster->timeout_ms;
}

/* Under the lock. Returns: the partition that the others wait for. */
static const struct shard *find_last(const struct cluster *cluster)
{
    const struct shard *last = &cluster->shards[0];
    for (uint32_t i = 0; i < cluster->n_shards; i++)
        if (cluster->shards[i].upto < last->upto)
            last = &cluster->shards[i];
    return last;
}

static void log_late(struct cluster *cluster)
{
    const struct kv_host *host = &cluster->host->base;
    int64_t now_ms = link_clock_ms();
    cluster->n_late++;
    if (now_ms < cluster->late_log_ms)
        return;
    pthread_mutex_lock(&cluster->lock);
    uint32_t part = find_last(cluster)->store->part;
    cluster->late_log_ms = now_ms + LOG_AGAIN_MS;
    pthread_mutex_unlock(&cluster->lock);
    host->log(host, KV_LOG_WARN,
              "requests are not answered in time, as changes wait for partition %u: %ju so far",
              part, (uintmax_t)cluster->n_late);
}

/* Returns: whether there was one. *ret_is_late: it has waited too long, and must not be shown. */
static bool take_ready(struct cluster *cluster, struct job *ret, bool *ret_is_late)
{
    for (uint32_t i = 0; i < cluster->n_shards; i++) {
        struct jobs *held = &cluster->shards[i].held;
        if (held->n == 0)
            continue;
        bool is_ready = jobs_at(held, 0)->revision <= cluster->told;
        if (!is_ready && !is_overdue(cluster, jobs_at(held, 0)))
            continue;
        *ret = jobs_take_first(held);
        *ret_is_late = !is_ready;
        return true;
    }
    return false;
}

static void give_back_ready(struct cluster *cluster)
{
    struct job job;
    bool is_late, is_there;
    do {
        pthread_mutex_lock(&cluster->lock);
        is_there = take_ready(cluster, &job, &is_late);
        pthread_mutex_unlock(&cluster->lock);
        if (is_there && is_late && job.kind != JOB_WAKE)
            log_late(cluster);
        if (is_there)
            give_back(cluster, &job, is_late);
    } while (is_there);
}

static void wait_for_work(struct cluster *cluster)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GLANCE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (!cluster->has_work && !cluster->is_closing)
        pthread_cond_timedwait(&cluster->is_work, &cluster->lock, &until);
    cluster->has_work = false;
}

void *telling_run(void *arg)
{
    struct cluster *cluster = arg;
    struct told told[TOLD_AT_ONCE];
    bool is_closing = false;
    while (!is_closing) {
        pthread_mutex_lock(&cluster->lock);
        wait_for_work(cluster);
        size_t n = take_next(cluster, told);
        cluster->has_work = cluster->has_work || n == TOLD_AT_ONCE;
        is_closing = cluster->is_closing;
        pthread_mutex_unlock(&cluster->lock);
        for (size_t i = 0; i < n; i++)
            tell(cluster, &told[i]);
        wake_showing(cluster, told, n);
        give_back_ready(cluster);
    }
    return NULL;
}

bool telling_init(struct shard *shard)
{
    return reserve(&shard->pending);
}

void telling_clear(struct shard *shard)
{
    while (shard->pending.n != 0) {
        struct pending pending = take_first(&shard->pending);
        release(shard, &pending);
    }
    free(shard->pending.slots);
    jobs_clear(&shard->held);
}
