/*
 * The way of a command: sent -> its turn among its client's -> interceptors -> TTL policies ->
 * the batch -> the store -> finished -> handed back. The stage at the end of each turn submits
 * the batch as one vector, delivers the changes that the feed has brought, and hands back what is
 * finished. The feed is delivered before the batch is submitted and again before anything is
 * handed back: what a GET has read is thus never told to its client after the answer as news of
 * an older state (see client.h).
 */
#include "keyspace/impl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    VECTOR = 128,
    ROUNDS_PER_TURN = 8
};

/* What the store asks of its host. */

static int64_t host_now_ms(const struct kv_host *base)
{
    const struct kv_store_host *host = KV_CONTAINER(base, const struct kv_store_host, base);
    return kv_clock_now_ms(kv_keyspace_of_host(host)->parts.clock);
}

static int64_t host_wall_us(const struct kv_host *base)
{
    (void)base;
    return kv_wall_us();
}

static void host_log(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
{
    const struct kv_store_host *host = KV_CONTAINER(base, const struct kv_store_host, base);
    va_list args;
    va_start(args, format);
    kv_vlog(level, kv_keyspace_of_host(host)->parts.store_name, format, args);
    va_end(args);
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    return kv_hash(key);
}

static void host_done(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                      size_t n)
{
    struct kv_keyspace_loop *there = &kv_keyspace_of_host(host)->loops[loop];
    for (size_t i = 0; i < n; i++)
        kv_inbox_push(&there->done, &KV_CONTAINER(cmds[i], struct kv_command, cmd)->link);
    kv_loop_wake(there->loop);
}

/* Submitting. */

static struct kv_command *pop_batched(struct kv_keyspace_loop *here)
{
    struct kv_link *link = kv_queue_pop(&here->batch);
    return link == NULL ? NULL : KV_CONTAINER(link, struct kv_command, link);
}

/* The command as the store sees it; its bytes are where they stay from now on. */
static void prepare(struct kv_command *command)
{
    command->cmd.op = (enum kv_op)(command->kind - KV_COMMAND_GET + KV_OP_GET);
    command->cmd.cond = command->cond;
    command->cmd.if_revisions = command->if_revisions;
    command->cmd.n_if_revisions = command->n_if_revisions;
    command->cmd.hash = command->hash;
    command->cmd.key = command->key;
    command->cmd.value = command->value;
    command->cmd.is_deferred = false;
    command->cmd.status = KV_PENDING;
    command->cmd.revision = 0;
    command->cmd.item = (struct kv_item){0};
    command->state = KV_COMMAND_SUBMITTED;
    if (command->subscription != NULL)
        command->told_before = command->subscription->topic->n_told;
}

static void take_outcome(struct kv_command *command)
{
    command->revision = command->cmd.revision;
    command->item = command->cmd.item;
    command->cmd.item = (struct kv_item){0};
    kv_command_finish(command, command->cmd.status);
}

static void submit_vector(struct kv_keyspace_loop *here)
{
    struct kv_keyspace *keyspace = here->keyspace;
    struct kv_cmd *cmds[VECTOR];
    size_t n = 0;
    for (struct kv_command *command; n < VECTOR && (command = pop_batched(here)) != NULL;) {
        if (!keyspace->is_sync && kv_command_keep(command) != 0) {
            kv_command_finish(command, KV_FULL);
            continue;
        }
        prepare(command);
        cmds[n++] = &command->cmd;
    }
    if (n == 0)
        return;
    keyspace->parts.store_ops->submit(keyspace->store, here->index, cmds, n);
    for (size_t i = 0; i < n; i++) {
        if (cmds[i]->is_deferred)
            here->n_deferred++;
        else
            take_outcome(KV_CONTAINER(cmds[i], struct kv_command, cmd));
    }
}

static void submit_batch(struct kv_keyspace_loop *here)
{
    kv_feed_deliver(here);
    if (kv_feed_is_congested(here->keyspace))
        return;
    while (!kv_queue_is_empty(&here->batch))
        submit_vector(here);
}

/* What had to stay in the batch borrows the caller's bytes no longer. */
static void keep_batched(struct kv_keyspace_loop *here)
{
    if (kv_queue_is_empty(&here->batch))
        return;
    struct kv_queue kept;
    kv_queue_init(&kept);
    for (struct kv_command *command; (command = pop_batched(here)) != NULL;) {
        if (kv_command_keep(command) != 0)
            kv_command_finish(command, KV_FULL);
        else
            kv_queue_push(&kept, &command->link);
    }
    for (struct kv_link *link; (link = kv_queue_pop(&kept)) != NULL;)
        kv_queue_push(&here->batch, link);
}

void kv_keyspace_submit_now(struct kv_keyspace_loop *here)
{
    submit_batch(here);
    keep_batched(here);
}

/* The way of one command. */

void kv_command_finish(struct kv_command *command, int status)
{
    command->status = status;
    command->state = KV_COMMAND_FINISHED;
    if (command->client != NULL)
        kv_client_mark_dirty(command->client);
    else
        kv_queue_push(&command->home->finished, &command->link);
}

static int64_t deadline_of(struct kv_command *command)
{
    const struct kv_keyspace_parts *parts = &command->home->keyspace->parts;
    struct kv_ttl_write write = {
        .key = command->key,
        .is_given = command->ttl_is_given,
        .ttl_ms = command->ttl_ms,
    };
    for (size_t i = 0; i < parts->n_ttl_chain && !command->is_load; i++)
        parts->ttl_chain[i].ops->on_write(parts->ttl_chain[i].policy, &write);
    return write.ttl_ms == 0 ? KV_NEVER : command->taken_up_ms + write.ttl_ms;
}

static void put_in_batch(struct kv_command *command)
{
    if (command->kind == KV_COMMAND_SET)
        command->cmd.deadline_ms = deadline_of(command);
    command->state = KV_COMMAND_BATCHED;
    kv_queue_push(&command->home->batch, &command->link);
}

static void suspend(struct kv_command *command)
{
    if (kv_command_keep(command) != 0) {
        kv_command_finish(command, KV_FULL);
        return;
    }
    command->state = KV_COMMAND_SUSPENDED;
    if (command->client != NULL)
        command->client->n_held++;
}

static void intercept(struct kv_command *command)
{
    const struct kv_keyspace_parts *parts = &command->home->keyspace->parts;
    while (command->next_interceptor < parts->n_interceptors) {
        struct kv_interceptor *next = parts->interceptors[command->next_interceptor++];
        switch (next->before_write(next, command)) {
        case KV_PASS:
            break;
        case KV_REFUSE:
            kv_command_finish(command, KV_REFUSED);
            return;
        case KV_SUSPEND:
            suspend(command);
            return;
        }
    }
    put_in_batch(command);
}

/* Until the keyspace holds writes back no longer. */
static void hold_back(struct kv_command *command)
{
    suspend(command);
    if (command->state == KV_COMMAND_SUSPENDED)
        kv_queue_push(&command->home->held, &command->link);
}

static void let_held_go(struct kv_keyspace_loop *here)
{
    struct kv_link *link;
    while (!kv_keyspace_holds_writes(here->keyspace) && (link = kv_queue_pop(&here->held)) != NULL)
        kv_command_resume(KV_CONTAINER(link, struct kv_command, link), KV_PASS);
}

/* The loader keeps the bytes until it is finished. */
static void admit_load(struct kv_command *command)
{
    command->key_is_kept = true;
    command->value_is_kept = true;
    put_in_batch(command);
}

void kv_keyspace_admit(struct kv_command *command)
{
    if (command->is_load)
        admit_load(command);
    else if (!kv_keyspace_is_ready(command->home->keyspace))
        kv_command_finish(command, KV_UNAVAILABLE);
    else if (command->kind != KV_COMMAND_SET && command->kind != KV_COMMAND_DELETE)
        put_in_batch(command);
    else if (command->depth == 0 && kv_keyspace_holds_writes(command->home->keyspace))
        hold_back(command);
    else
        intercept(command);
}

void kv_command_resume(struct kv_command *command, enum kv_verdict verdict)
{
    if (command->client != NULL) {
        command->client->n_held--;
        kv_client_mark_dirty(command->client);
    }
    if (verdict == KV_REFUSE)
        kv_command_finish(command, KV_REFUSED);
    else
        intercept(command);
}

/* No bus is locked for it: others only read it. */
static void count_under_way(struct kv_keyspace_loop *here, int change)
{
    uint64_t before = atomic_load_explicit(&here->under_way, memory_order_relaxed);
    atomic_store_explicit(&here->under_way, before + (uint64_t)change, memory_order_relaxed);
}

void kv_keyspace_send(struct kv_command *command)
{
    struct kv_keyspace *keyspace = command->home->keyspace;
    command->hash = kv_hash(command->key);
    if (command->kind == KV_COMMAND_SET)
        command->taken_up_ms = kv_clock_next_ms(keyspace->parts.clock);
    count_under_way(command->home, 1);
    if (command->client == NULL)
        kv_keyspace_admit(command);
}

bool kv_keyspace_is_quiet(struct kv_keyspace *keyspace)
{
    if (kv_keyspace_under_way(keyspace) != 0)
        return false;
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        if (atomic_load(&keyspace->loops[i].feed_bytes) != 0)
            return false;
    return true;
}

/* Handing back. */

static void renew(struct kv_command *read)
{
    struct kv_keyspace *keyspace = read->home->keyspace;
    struct kv_ttl_read seen = {
        .key = read->key,
        .now_ms = kv_clock_next_ms(keyspace->parts.clock),
        .deadline_ms = read->item.deadline_ms,
    };
    for (size_t i = 0; i < keyspace->parts.n_ttl_chain; i++)
        if (keyspace->parts.ttl_chain[i].renews)
            keyspace->parts.ttl_chain[i].ops->on_read(keyspace->parts.ttl_chain[i].policy, &seen);
    if (seen.deadline_ms == read->item.deadline_ms)
        return;
    struct kv_command *touch = kv_command_create(read->home, KV_COMMAND_TOUCH);
    touch->key = read->key;
    touch->cond = KV_COND_REVISION;
    touch->if_revisions = &read->item.revision;
    touch->n_if_revisions = 1;
    touch->cmd.deadline_ms = seen.deadline_ms;
    if (kv_command_keep(touch) == 0)
        kv_keyspace_send(touch);
    else
        kv_command_free(touch);
    read->item.deadline_ms = seen.deadline_ms;
}

void kv_command_hand_back(struct kv_command *command)
{
    struct kv_keyspace_loop *home = command->home;
    if (home->keyspace->renews && command->kind == KV_COMMAND_GET && command->status == KV_OK)
        renew(command);
    if (command->finished != NULL)
        command->finished(command);
    kv_command_free(command);
    count_under_way(home, -1);
}

static void hand_back(struct kv_keyspace_loop *here)
{
    struct kv_link *link;
    while ((link = kv_queue_pop(&here->finished)) != NULL)
        kv_command_hand_back(KV_CONTAINER(link, struct kv_command, link));
    struct kv_queue dirty = here->dirty;
    if (kv_queue_is_empty(&dirty))
        return;
    kv_queue_init(&here->dirty); /* what becomes dirty meanwhile waits for the next round */
    while (dirty.head != NULL) {
        link = dirty.head;
        dirty.head = link->next;
        kv_client_advance(KV_CONTAINER(link, struct kv_client, in_dirty));
    }
}

static void collect_done(struct kv_keyspace_loop *here)
{
    struct kv_link *link = kv_inbox_take_all(&here->done);
    while (link != NULL) {
        struct kv_command *command = KV_CONTAINER(link, struct kv_command, link);
        link = link->next;
        here->n_deferred--;
        take_outcome(command);
    }
}

/* The stage. */

static bool has_work(struct kv_keyspace_loop *here)
{
    return !kv_queue_is_empty(&here->finished) || !kv_queue_is_empty(&here->dirty) ||
           (!kv_queue_is_empty(&here->batch) && !kv_feed_is_congested(here->keyspace)) ||
           (!kv_queue_is_empty(&here->held) && !kv_keyspace_holds_writes(here->keyspace));
}

static void run_stage(struct kv_loop_stage *stage)
{
    struct kv_keyspace_loop *here = KV_CONTAINER(stage, struct kv_keyspace_loop, stage);
    collect_done(here);
    let_held_go(here);
    for (int round = 0; round < ROUNDS_PER_TURN; round++) {
        submit_batch(here);
        kv_feed_deliver(here);
        hand_back(here);
        if (!has_work(here))
            break;
    }
    kv_expiry_run(here);
    kv_feed_deliver(here);
    keep_batched(here);
}

static int64_t stage_wake_at(struct kv_loop_stage *stage)
{
    struct kv_keyspace_loop *here = KV_CONTAINER(stage, struct kv_keyspace_loop, stage);
    if (has_work(here) || !kv_inbox_is_empty(&here->feed) || !kv_inbox_is_empty(&here->done))
        return INT64_MIN;
    if (!kv_keyspace_is_ready(here->keyspace) || kv_feed_is_congested(here->keyspace) ||
        kv_keyspace_holds_writes(here->keyspace))
        return INT64_MAX;
    return atomic_load(&here->wake_at_ms);
}

/* Making and ending it. */

static struct kv_store_host make_host(uint32_t n_loops)
{
    return (struct kv_store_host){
        .base = {.size = sizeof(struct kv_store_host),
                 .now_ms = host_now_ms,
                 .wall_us = host_wall_us,
                 .log = host_log},
        .n_loops = n_loops,
        .hash = host_hash,
        .changed = kv_feed_changed,
        .wake_at = kv_expiry_wake_at,
        .done = host_done, /* no scan_done: nothing here scans */
    };
}

static void init_loop(struct kv_keyspace *keyspace, uint32_t index)
{
    struct kv_keyspace_loop *here = &keyspace->loops[index];
    here->keyspace = keyspace;
    here->loop = keyspace->parts.loops[index];
    here->index = index;
    here->stage.run = run_stage;
    here->stage.wake_at = stage_wake_at;
    kv_queue_init(&here->batch);
    kv_queue_init(&here->held);
    kv_queue_init(&here->finished);
    kv_queue_init(&here->dirty);
    here->interests = kv_calloc(KV_INTEREST_BUCKETS, sizeof(*here->interests));
    atomic_init(&here->wake_at_ms, INT64_MIN);
    kv_loop_add_stage(here->loop, &here->stage);
}

struct kv_keyspace *kv_keyspace_create(const struct kv_keyspace_parts *parts)
{
    struct kv_keyspace *keyspace = kv_calloc(1, sizeof(*keyspace));
    keyspace->parts = *parts;
    keyspace->host = make_host(parts->n_loops);
    keyspace->is_sync = (parts->store_capabilities & KV_STORE_SYNC) != 0;
    for (size_t i = 0; i < parts->n_ttl_chain; i++)
        keyspace->renews = keyspace->renews || parts->ttl_chain[i].renews;
    keyspace->interests = kv_calloc(KV_INTEREST_BUCKETS, sizeof(*keyspace->interests));
    for (uint32_t i = 0; i < parts->n_loops; i++)
        init_loop(keyspace, i);
    return keyspace;
}

int kv_keyspace_open(struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    const struct kv_keyspace_parts *parts = &keyspace->parts;
    if (parts->store_ops->open(&keyspace->host, parts->store_options, &keyspace->store, reterr) !=
        0) {
        keyspace->store = NULL;
        return -1;
    }
    parts->store_ops->info(keyspace->store, &keyspace->store_info);
    kv_expiry_init(keyspace);
    if (parts->loader != NULL && parts->loader->load(parts->loader, keyspace, reterr) != 0)
        return -1;
    atomic_store(&keyspace->is_ready, true);
    for (uint32_t i = 0; i < parts->n_loops; i++)
        kv_loop_wake(parts->loops[i]);
    return 0;
}

/* The loops have ended; what the store's threads still have comes back here. */
static void finish_loop(struct kv_keyspace_loop *here)
{
    run_stage(&here->stage);
    while (here->n_deferred != 0 || has_work(here)) {
        if (here->n_deferred != 0)
            usleep(1000);
        run_stage(&here->stage);
    }
}

void kv_keyspace_finish(struct kv_keyspace *keyspace)
{
    if (keyspace->is_finished)
        return;
    keyspace->is_finished = true;
    atomic_store(&keyspace->n_holds, 0);      /* and whoever held them is over */
    atomic_store(&keyspace->is_ending, true); /* nobody is there to be told of an expiry */
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        finish_loop(&keyspace->loops[i]);
}

void kv_keyspace_destroy(struct kv_keyspace *keyspace)
{
    if (keyspace == NULL)
        return;
    kv_keyspace_finish(keyspace);
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++) {
        kv_feed_fini(&keyspace->loops[i]);
        kv_topics_fini(&keyspace->loops[i]);
        kv_commands_fini(&keyspace->loops[i]);
    }
    if (keyspace->store != NULL)
        keyspace->parts.store_ops->close(keyspace->store);
    free(keyspace->store_parts);
    free(keyspace->interests);
    free(keyspace);
}

bool kv_keyspace_is_ready(const struct kv_keyspace *keyspace)
{
    return atomic_load(&keyspace->is_ready);
}

int64_t kv_keyspace_ttl_left_ms(const struct kv_keyspace *keyspace, int64_t deadline_ms)
{
    if (deadline_ms == KV_NEVER)
        return 0;
    int64_t left_ms = kv_clock_left_ms(keyspace->parts.clock, deadline_ms);
    return left_ms < 1 ? 1 : left_ms;
}

uint64_t kv_keyspace_under_way(const struct kv_keyspace *keyspace)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        n += atomic_load_explicit(&keyspace->loops[i].under_way, memory_order_relaxed);
    return n;
}

struct kv_keyspace_loop *kv_keyspace_on(struct kv_keyspace *keyspace, uint32_t loop)
{
    return &keyspace->loops[loop];
}

struct kv_keyspace *kv_keyspace_of(struct kv_keyspace_loop *here)
{
    return here->keyspace;
}

struct kv_loop *kv_keyspace_event_loop(struct kv_keyspace_loop *here)
{
    return here->loop;
}

void kv_keyspace_hold_writes(struct kv_keyspace *keyspace)
{
    atomic_fetch_add(&keyspace->n_holds, 1);
}

void kv_keyspace_release_writes(struct kv_keyspace *keyspace)
{
    if (atomic_fetch_sub(&keyspace->n_holds, 1) != 1)
        return;
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        kv_loop_wake(keyspace->loops[i].loop);
}

const char *kv_keyspace_epoch(const struct kv_keyspace *keyspace)
{
    return keyspace->store_info.epoch;
}

void kv_keyspace_release(struct kv_keyspace *keyspace, struct kv_item *item)
{
    if (item->ref != NULL)
        keyspace->parts.store_ops->unref(keyspace->store, item->ref);
    *item = (struct kv_item){0};
}

struct kv_item kv_keyspace_share(struct kv_keyspace *keyspace, const struct kv_item *item)
{
    if (item->ref != NULL)
        keyspace->parts.store_ops->ref(keyspace->store, item->ref);
    return *item;
}

static void release_held(void *owner, void *ref)
{
    struct kv_keyspace *keyspace = owner;
    if (ref != NULL)
        keyspace->parts.store_ops->unref(keyspace->store, ref);
}

struct kv_held kv_keyspace_hold(struct kv_keyspace *keyspace, const struct kv_item *item)
{
    struct kv_item share = kv_keyspace_share(keyspace, item);
    return (struct kv_held){
        .bytes = share.value, .owner = keyspace, .ref = share.ref, .release = release_held};
}
