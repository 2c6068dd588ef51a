/*
 * A loop's commands go to the store in vectors. The feed is delivered first, so a GET never reads a
 * state older than one its client was notified of (client.h). A store that completes late (it lacks
 * KV_STORE_SYNC) gets commands that own their bytes.
 */
#include "keyspace/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "keyspace/showing.h"

enum {
    VECTOR = 128,
    AHEAD = 4,                 /* commands that are being fetched into the cache */
    MOST_BYTES = 1 << 20,      /* of the values of a vector; one value may exceed it */
    UPDATE_BYTES = 32 << 10,   /* the cost of an update, which reads and makes a value */
    LONGEST_SUBMISSION_MS = 10 /* of a turn; then the rest waits for the next one */
};

/* Commands that a thread of the store has completed. They are still in the cache of its core. As
 * they come in an array, several can be fetched at the same time; a list through the commands would
 * have to wait for each of them. */
struct completed {
    struct kv_link link;
    size_t n;
    struct kv_cmd *cmds[];
};

void kv_batch_init(struct kv_batch *batch, const struct kv_store_link *store,
                   struct kv_feed_inbox *inbox)
{
    batch->store = store;
    batch->inbox = inbox;
    kv_queue_init(&batch->commands);
    kv_queue_init(&batch->returned);
}

void kv_batch_add(struct kv_batch *batch, struct kv_command *command)
{
    command->state = KV_COMMAND_BATCHED;
    batch->n++;
    kv_queue_push(&batch->commands, &command->link);
}

static struct kv_command *pop(struct kv_batch *batch)
{
    struct kv_link *link = kv_queue_pop(&batch->commands);
    if (link == NULL)
        return NULL;
    batch->n--;
    return KV_CONTAINER(link, struct kv_command, link);
}

static void prepare_condition(struct kv_command *command)
{
    command->cmd.cond = command->cond;
    command->cmd.if_revisions = command->if_revisions;
    command->cmd.n_if_revisions = command->n_if_revisions;
}

/* An update that the server makes on behalf of a client, as for a lease, has the mark of a
 * client's: 0. */
static uint16_t mark_of(const struct kv_command *command)
{
    bool is_own = command->update != NULL && command->update->is_own;
    return command->is_load ? KV_MARK_UNSEEN : is_own ? 0 : command->depth;
}

/* Prepares the command for the store; its bytes are where they will stay. */
static void prepare(struct kv_command *command)
{
    if (!command->traits->has_steps) { /* an UPDATE has these of its own */
        command->cmd.op = command->traits->op;
        command->cmd.most_bytes = command->traits->is_read ? command->charge : 0;
        prepare_condition(command);
    }
    command->cmd.hash = command->hash;
    command->cmd.key = command->key;
    command->cmd.value = command->value;
    command->cmd.is_deferred = false;
    command->cmd.status = KV_PENDING;
    command->cmd.revision = 0;
    command->cmd.mark = mark_of(command);
    command->state = KV_COMMAND_SUBMITTED;
    if (command->watch != NULL)
        command->told_before = command->watch->n_told;
    command->awaited_revision = 0;
}

/* The command will be read when it is the first of its client's commands. */
static void read_later(struct kv_command *command)
{
    struct kv_room *room = &command->order->room;
    command->needed = command->cmd.most_bytes;
    kv_room_learn(room, command->needed);
    kv_room_charge(room, &command->charge, 0);
    kv_command_wait(command);
    kv_order_mark_dirty(command->order, command->commands);
}

static void charge_value(const struct kv_batch *batch, struct kv_command *command)
{
    struct kv_room *room = &command->order->room;
    size_t len = command->item.value.len;
    if (kv_room_takes_as_it_is(room, batch->store->is_sync, len))
        return;
    kv_room_learn(room, len);
    kv_command_charge_read(command, len);
}

static void take_read(const struct kv_batch *batch, struct kv_command *command)
{
    if (command->cmd.status == KV_OK)
        command->item = command->cmd.item;
    if (command->order != NULL)
        charge_value(batch, command);
}

static void note_touch(const struct kv_batch *batch, const struct kv_cmd *cmd)
{
    struct kv_feed *feed = batch->inbox->feed;
    bool tells_store = (feed->parts->store_capabilities & KV_STORE_TOUCHES) != 0;
    if (cmd->op != KV_OP_GET && kv_touches_are_watched(&feed->touches) && !tells_store)
        kv_touches_note(&feed->touches, cmd);
}

static void take_outcome(struct kv_batch *batch, struct kv_command *command)
{
    note_touch(batch, &command->cmd);
    if (command->traits->has_steps) {
        kv_queue_push(&batch->returned, &command->link);
        return;
    }
    if (command->cmd.status == KV_LONGER) {
        read_later(command);
        return;
    }
    if (command->kind == KV_COMMAND_GET)
        take_read(batch, command);
    command->revision = command->cmd.revision;
    kv_command_finish(command, command->cmd.status);
}

/* Returns: the status to finish it with; 0 if it can be submitted. */
static int reason_not_to_submit(const struct kv_store_link *store, struct kv_command *command)
{
    if (kv_command_is_dropped(command))
        return KV_NOT_OPEN;
    if (store->is_sync)
        return 0;
    kv_command_charge(command);
    return kv_command_keep(command) != 0 ? KV_FULL : 0;
}

static void give_to_store(struct kv_batch *batch, struct kv_cmd *const *cmds, size_t n,
                          bool may_change)
{
    const struct kv_store_link *store = batch->store;
    struct kv_watermark *watermark = &batch->inbox->feed->watermark;
    uint32_t loop = batch->inbox->index;
    if (may_change)
        kv_watermark_enter(watermark, loop);
    store->ops->submit(store->store, loop, cmds, n);
    if (may_change)
        kv_watermark_leave(watermark, loop);
}

static void submit_vector(struct kv_batch *batch)
{
    const struct kv_store_link *store = batch->store;
    struct kv_cmd *cmds[VECTOR];
    size_t n = 0, bytes = 0;
    bool may_change = false;
    for (struct kv_command *command;
         n < VECTOR && bytes < MOST_BYTES && (command = pop(batch)) != NULL;) {
        int failed = reason_not_to_submit(store, command);
        if (failed != 0) {
            kv_command_finish(command, failed);
            continue;
        }
        prepare(command);
        if (command->cmd.op != KV_OP_GET && command->cmd.op != KV_OP_CATCH_UP) {
            may_change = true;
            kv_interests_prefetch(&batch->inbox->feed->interests, command->hash);
        }
        bytes += command->cmd.op == KV_OP_UPDATE ? UPDATE_BYTES : command->value.len;
        cmds[n++] = &command->cmd;
    }
    if (n == 0)
        return;
    give_to_store(batch, cmds, n, may_change);
    for (size_t i = 0; i < n; i++) {
        if (cmds[i]->is_deferred)
            batch->n_deferred++;
        else
            take_outcome(batch, KV_CONTAINER(cmds[i], struct kv_command, cmd));
    }
}

bool kv_batch_turn_is_over(const struct kv_batch *batch)
{
    return kv_clock_now_ms(batch->inbox->feed->parts->clock) >=
           kv_loop_now_ms(batch->inbox->loop) + LONGEST_SUBMISSION_MS;
}

void kv_batch_submit(struct kv_batch *batch)
{
    kv_feed_deliver(batch->inbox);
    if (kv_feed_is_congested(batch->inbox->feed))
        return;
    while (!kv_queue_is_empty(&batch->commands)) {
        submit_vector(batch);
        if (!kv_queue_is_empty(&batch->commands) && kv_batch_turn_is_over(batch))
            return;
    }
}

void kv_batch_keep(struct kv_batch *batch)
{
    if (kv_queue_is_empty(&batch->commands))
        return;
    struct kv_queue kept;
    kv_queue_init(&kept);
    for (struct kv_command *command; (command = pop(batch)) != NULL;) {
        if (kv_command_keep(command) != 0)
            kv_command_finish(command, KV_FULL);
        else
            kv_queue_push(&kept, &command->link);
    }
    for (struct kv_link *link; (link = kv_queue_pop(&kept)) != NULL; batch->n++)
        kv_queue_push(&batch->commands, link);
}

void kv_batch_done(struct kv_batch *batch, struct kv_cmd *const *cmds, size_t n)
{
    struct completed *completed = kv_alloc(sizeof(*completed) + n * sizeof(cmds[0]));
    completed->n = n;
    memcpy(completed->cmds, cmds, n * sizeof(cmds[0]));
    kv_inbox_push(&batch->done, &completed->link);
    kv_loop_wake(batch->inbox->loop);
}

static void take_completed(struct kv_batch *batch, const struct completed *completed)
{
    for (size_t i = 0; i < completed->n; i++) {
        if (i + AHEAD < completed->n)
            __builtin_prefetch(&completed->cmds[i + AHEAD]->status);
        batch->n_deferred--;
        take_outcome(batch, KV_CONTAINER(completed->cmds[i], struct kv_command, cmd));
    }
}

void kv_batch_collect(struct kv_batch *batch)
{
    for (struct kv_link *link = kv_inbox_take_all(&batch->done), *next; link != NULL; link = next) {
        struct completed *completed = KV_CONTAINER(link, struct completed, link);
        next = link->next;
        take_completed(batch, completed);
        free(completed);
    }
}

bool kv_batch_has_work(struct kv_batch *batch)
{
    return !kv_queue_is_empty(&batch->commands) && !kv_feed_is_congested(batch->inbox->feed);
}
