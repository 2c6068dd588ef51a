#include "keyspace/update.h"

#include <stdlib.h>

#include "base/mem.h"

/* The updates of a key on this loop: one is under way, or the loop waits for others. */
struct kv_update_lane {
    struct kv_table_node node; /* by the number of its turnstile */
    struct kv_list in_parked;
    struct kv_queue waiting;
};

void kv_updates_init(struct kv_updates *updates, const struct kv_keyspace_parts *parts,
                     struct kv_batch *batch, struct kv_turnstiles *turnstiles, uint32_t loop)
{
    *updates =
        (struct kv_updates){.parts = parts, .batch = batch, .turnstiles = turnstiles, .loop = loop};
    kv_list_init(&updates->parked);
}

void kv_updates_fini(struct kv_updates *updates)
{
    kv_table_fini(&updates->lanes);
}

/* ---- the steps ---- */

static void read_old(struct kv_updates *updates, struct kv_command *command)
{
    command->update->is_computed = false;
    command->cmd.op = KV_OP_GET;
    command->cmd.cond = KV_COND_NONE;
    command->cmd.if_revisions = NULL;
    command->cmd.n_if_revisions = 0;
    kv_batch_add(updates->batch, command);
}

static bool holds(const struct kv_command *command, const struct kv_item *old)
{
    const struct kv_cmd condition = {.cond = command->cond,
                                     .if_revisions = command->if_revisions,
                                     .n_if_revisions = command->n_if_revisions};
    return kv_cmd_holds(&condition, old->revision != 0, old->revision);
}

/* Puts the result in the command. Returns: KV_OK, or how the command ends. */
static int compute(struct kv_command *command, const struct kv_item *old)
{
    struct kv_buffer out = {0};
    command->revision = old->revision;
    int status = holds(command, old) ? command->update->compute(command, old, &out) : KV_CONDITION;
    if (status != KV_OK) {
        kv_buffer_fini(&out);
        return status;
    }
    free(command->new_value);
    command->new_value = out.bytes;
    command->value = kv_buffer_slice(&out);
    command->value_is_kept = true;
    return KV_OK;
}

/* The TTL as interceptors are to see it, and the deadline that the key has. */
static void settle_ttl(const struct kv_updates *updates, struct kv_command *command,
                       const struct kv_item *old)
{
    struct kv_update *update = command->update;
    update->keeps_deadline = old->revision != 0 && !update->sets_ttl;
    update->old_deadline_ms = old->deadline_ms;
    command->ttl_is_given = update->ttl_is_given;
    command->ttl_ms = update->ttl_ms;
    if (!update->keeps_deadline)
        return;
    int64_t left_ms = 0;
    if (old->deadline_ms != KV_NEVER)
        left_ms = kv_clock_left_ms(updates->parts->clock, old->deadline_ms);
    command->ttl_is_given = true;
    command->ttl_ms = old->deadline_ms == KV_NEVER ? 0 : left_ms < 1 ? 1 : left_ms;
    update->kept_ttl_ms = command->ttl_ms;
}

/* The old state has come. Returns: whether there is a result. */
static bool take_old(const struct kv_updates *updates, struct kv_command *command)
{
    struct kv_item old = command->cmd.item;
    int status = (int)command->cmd.status;
    command->cmd.item = (struct kv_item){0};
    if (status == KV_OK || status == KV_MISSING)
        status = compute(command, &old);
    if (status == KV_OK)
        settle_ttl(updates, command, &old);
    command->update->old_revision = old.revision;
    command->update->is_computed = true;
    command->next_interceptor = 0;
    kv_item_release(command->commands->store, &old);
    if (status != KV_OK)
        kv_command_finish(command, status);
    return status == KV_OK;
}

/* The result was set, or somebody else wrote the key meanwhile. */
static void take_outcome(struct kv_updates *updates, struct kv_command *command)
{
    command->revision = command->cmd.revision;
    if (command->cmd.status != KV_CONDITION)
        kv_command_finish(command, (int)command->cmd.status);
    else if (++command->update->n_tries == KV_UPDATE_MOST_TRIES)
        kv_command_finish(command, KV_CONTENDED);
    else
        read_old(updates, command);
}

/* ---- one after the other ---- */

static struct kv_update_lane *find_lane(struct kv_updates *updates, uint32_t index)
{
    struct kv_table_node *node = kv_table_next(&updates->lanes, index, NULL);
    return node == NULL ? NULL : KV_CONTAINER(node, struct kv_update_lane, node);
}

static struct kv_update_lane *open_lane(struct kv_updates *updates, uint32_t index)
{
    struct kv_update_lane *lane = kv_calloc(1, sizeof(*lane));
    kv_queue_init(&lane->waiting);
    kv_list_init(&lane->in_parked);
    kv_table_insert(&updates->lanes, &lane->node, index);
    return lane;
}

static bool enter(struct kv_updates *updates, struct kv_update_lane *lane)
{
    if (kv_turnstile_enter(updates->turnstiles, (uint32_t)lane->node.hash, updates->loop))
        return true;
    kv_list_append(&updates->parked, &lane->in_parked);
    return false;
}

static void start(struct kv_updates *updates, struct kv_update_lane *lane,
                  struct kv_command *command)
{
    command->update->lane = lane;
    read_old(updates, command);
}

static void start_next(struct kv_updates *updates, struct kv_update_lane *lane)
{
    struct kv_link *link = kv_queue_pop(&lane->waiting);
    start(updates, lane, KV_CONTAINER(link, struct kv_command, link));
}

static void wait_in(struct kv_update_lane *lane, struct kv_command *command)
{
    command->state = KV_COMMAND_SUSPENDED;
    kv_queue_push(&lane->waiting, &command->link);
}

static void line_up(struct kv_updates *updates, struct kv_command *command)
{
    uint32_t index = (uint32_t)(command->hash % KV_TURNSTILES);
    struct kv_update_lane *lane = find_lane(updates, index);
    if (lane == NULL) {
        lane = open_lane(updates, index);
        if (enter(updates, lane))
            start(updates, lane, command);
        else
            wait_in(lane, command);
        return;
    }
    wait_in(lane, command);
}

/* ---- for the gate ---- */

void kv_update_begin(struct kv_updates *updates, struct kv_command *command)
{
    struct kv_update *update = command->update;
    update->ttl_is_given = command->ttl_is_given;
    update->ttl_ms = command->ttl_ms;
    kv_command_mark_unsettled(command);
    if (kv_command_keep(command) != 0)
        kv_command_finish(command, KV_FULL);
    else if (command->depth == 0)
        line_up(updates, command);
    else
        read_old(updates, command);
}

void kv_updates_go_on(struct kv_updates *updates)
{
    KV_LIST_EACH(&updates->parked, link, after)
    {
        struct kv_update_lane *lane = KV_CONTAINER(link, struct kv_update_lane, in_parked);
        if (!kv_turnstile_is_passed_to(updates->turnstiles, (uint32_t)lane->node.hash,
                                       updates->loop))
            continue;
        kv_list_remove(&lane->in_parked);
        start_next(updates, lane);
    }
}

bool kv_updates_have_work(const struct kv_updates *updates)
{
    for (const struct kv_list *link = updates->parked.next; link != &updates->parked;
         link = link->next) {
        const struct kv_update_lane *lane = KV_CONTAINER(link, struct kv_update_lane, in_parked);
        if (kv_turnstile_is_passed_to(updates->turnstiles, (uint32_t)lane->node.hash,
                                      updates->loop))
            return true;
    }
    return false;
}

bool kv_update_advance(struct kv_updates *updates, struct kv_command *command)
{
    if (!command->update->is_computed)
        return take_old(updates, command);
    take_outcome(updates, command);
    return false;
}

bool kv_update_keeps_deadline(const struct kv_command *command)
{
    const struct kv_update *update = command->update;
    return update->keeps_deadline && command->ttl_ms == update->kept_ttl_ms;
}

void kv_update_set(struct kv_updates *updates, struct kv_command *command, int64_t deadline_ms)
{
    struct kv_update *update = command->update;
    command->cmd.op = KV_OP_SET;
    command->cmd.cond = update->old_revision == 0 ? KV_COND_ABSENT : KV_COND_REVISION;
    command->cmd.if_revisions = &update->old_revision;
    command->cmd.n_if_revisions = 1;
    command->cmd.deadline_ms =
        kv_update_keeps_deadline(command) ? update->old_deadline_ms : deadline_ms;
    kv_batch_add(updates->batch, command);
}

void kv_update_end(struct kv_updates *updates, const struct kv_command *command)
{
    struct kv_update_lane *lane = command->update->lane;
    if (lane == NULL)
        return;
    kv_turnstile_leave(updates->turnstiles, (uint32_t)lane->node.hash, updates->loop);
    if (kv_queue_is_empty(&lane->waiting)) {
        kv_table_remove(&updates->lanes, &lane->node);
        free(lane);
    } else if (enter(updates, lane)) {
        start_next(updates, lane);
    }
}
