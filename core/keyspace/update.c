/*
 * An UPDATE that the store computes has a single step. Any other reads, computes and sets. Unless
 * it comes from a hook, it does so in the lane of its key: one UPDATE of a lane is under way at a
 * time, and only while its loop is in the turnstile of the same number.
 */
#include "keyspace/update.h"

#include <stdlib.h>

#include "base/mem.h"
#include "keyspace/policies.h"

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
    updates->can_at_once = (parts->store_capabilities & KV_STORE_UPDATES) != 0;
    kv_list_init(&updates->parked);
    kv_list_init(&updates->computing);
    kv_queue_init(&updates->computed);
}

void kv_updates_fini(struct kv_updates *updates)
{
    kv_table_fini(&updates->lanes);
}

/* ---- the result ---- */

/* Copies the old value, for an update that only sets the TTL, and whose result interceptors will
 * see. */
static int keep(const struct kv_item *old, struct kv_buffer *out)
{
    if (old->revision == 0)
        return KV_MISSING;
    if (kv_buffer_try_reserve(out, old->value.len) == NULL)
        return KV_FULL;
    kv_buffer_append(out, old->value);
    return KV_OK;
}

/* Threads: any. */
static void compute(struct kv_command *command, const struct kv_item *old)
{
    struct kv_update *update = command->update;
    update->result.len = 0;
    update->computed = update->compute == NULL ? keep(old, &update->result)
                                               : update->compute(command, old, &update->result);
    if (update->computed == KV_OK && update->max_bytes != 0 &&
        update->result.len > update->max_bytes) {
        command->refusal = "the result is longer than a value may be";
        update->computed = KV_TOO_BIG;
    }
}

/* The result becomes the command's value. */
static void adopt(struct kv_command *command)
{
    struct kv_buffer *result = &command->update->result;
    if (command->update->staged.ref != NULL) {
        kv_command_take_staged(command, &command->update->staged);
        return;
    }
    kv_command_take_value(command, result);
}

/* ---- at once ---- */

static enum kv_status compute_at_commit(struct kv_cmd *cmd, const struct kv_item *old,
                                        struct kv_slice *ret_value)
{
    struct kv_command *command = KV_CONTAINER(cmd, struct kv_command, cmd);
    compute(command, old);
    *ret_value = kv_buffer_slice(&command->update->result);
    if (command->update->computed != KV_OK)
        return KV_DECLINED;
    return command->update->deletes ? KV_MISSING : KV_OK;
}

static bool is_seen_first(const struct kv_updates *updates, const struct kv_command *command)
{
    const struct kv_keyspace_parts *parts = updates->parts;
    for (size_t i = 0; i < parts->n_interceptors && !command->update->is_own; i++) {
        const struct kv_interceptor *interceptor = parts->interceptors[i];
        if (interceptor->covers == NULL || interceptor->covers(interceptor, command))
            return true;
    }
    return false;
}

static bool may_be_at_once(const struct kv_updates *updates, const struct kv_command *command)
{
    if (is_seen_first(updates, command))
        return false;
    return command->update->compute == NULL ||
           (updates->can_at_once && command->argument.len < KV_WORKERS_LONG_TEXT);
}

int64_t kv_update_deadline(const struct kv_updates *updates, const struct kv_command *command)
{
    return command->update->is_own ? command->taken_up_ms + command->ttl_ms
                                   : kv_policies_deadline(updates->parts, command);
}

static void ask_at_once(struct kv_updates *updates, struct kv_command *command)
{
    struct kv_update *update = command->update;
    struct kv_cmd *cmd = &command->cmd;
    cmd->op = update->compute == NULL ? KV_OP_TOUCH : KV_OP_UPDATE;
    cmd->cond = command->cond;
    cmd->if_revisions = command->if_revisions;
    cmd->n_if_revisions = command->n_if_revisions;
    cmd->deadline_ms = kv_update_deadline(updates, command);
    cmd->most_bytes = update->is_quick ? 0 : KV_WORKERS_LONG_TEXT;
    cmd->compute = compute_at_commit;
    cmd->keeps_deadline = !update->sets_ttl;
    if (!update->is_quick)
        kv_command_mark_unsettled(command); /* it may have to be done in steps */
    kv_batch_add(updates->batch, command);
}

/* ---- the steps of compare-and-set ---- */

static void read_old(struct kv_updates *updates, struct kv_command *command)
{
    command->update->step = KV_UPDATE_READ;
    command->cmd.op = KV_OP_GET;
    command->cmd.cond = KV_COND_NONE;
    command->cmd.if_revisions = NULL;
    command->cmd.n_if_revisions = 0;
    command->cmd.most_bytes = 0;
    kv_batch_add(updates->batch, command);
}

static bool holds(const struct kv_command *command, const struct kv_item *old)
{
    const struct kv_cmd condition = {.cond = command->cond,
                                     .if_revisions = command->if_revisions,
                                     .n_if_revisions = command->n_if_revisions};
    return kv_cmd_holds(&condition, old->revision != 0, old->revision);
}

/* The TTL to show to interceptors, and the deadline that the key has. */
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

/* Copies a long result to where the store will keep it. */
static void stage(struct kv_update *update)
{
    struct kv_command *command = update->command;
    update->staged =
        kv_item_stage(command->commands->store, command->key, kv_buffer_slice(&update->result));
    if (update->staged.ref != NULL)
        kv_buffer_fini(&update->result);
}

static void compute_on_worker(struct kv_job *job)
{
    struct kv_update *update = KV_CONTAINER(job, struct kv_update, job);
    compute(update->command, &update->old);
    if (update->computed == KV_OK && update->result.len >= KV_WORKERS_LONG_TEXT)
        stage(update);
}

static void come_back(struct kv_update *update)
{
    kv_list_remove(&update->in_computing);
    kv_queue_push(&update->updates->computed, &update->command->link);
}

static void on_computed(struct kv_job *job)
{
    come_back(KV_CONTAINER(job, struct kv_update, job));
}

static void give_to_worker(struct kv_updates *updates, struct kv_command *command, size_t bytes)
{
    struct kv_update *update = command->update;
    update->updates = updates;
    update->command = command;
    update->job.work = compute_on_worker;
    update->job.done = on_computed;
    update->job.bytes = bytes;
    command->state = KV_COMMAND_SUSPENDED;
    kv_list_append(&updates->computing, &update->in_computing);
    kv_workers_run(updates->parts->workers, updates->parts->loops[updates->loop], &update->job);
}

bool kv_update_take_result(struct kv_updates *updates, struct kv_command *command)
{
    struct kv_update *update = command->update;
    int status = update->computed;
    if (status == KV_OK) {
        adopt(command);
        settle_ttl(updates, command, &update->old);
    }
    update->old_revision = update->old.revision;
    update->step = KV_UPDATE_SET;
    command->next_interceptor = update->is_own ? updates->parts->n_interceptors : 0;
    kv_item_release(command->commands->store, &update->old);
    if (status != KV_OK)
        kv_command_finish(command, status);
    return status == KV_OK;
}

static bool is_for_worker(const struct kv_updates *updates, const struct kv_command *command,
                          size_t bytes)
{
    return bytes >= KV_WORKERS_LONG_TEXT && !command->update->is_quick &&
           updates->parts->workers != NULL && !updates->is_ended;
}

/* The store has returned the old state. Returns: whether there is a result already. */
static bool take_old(struct kv_updates *updates, struct kv_command *command)
{
    struct kv_update *update = command->update;
    int status = (int)command->cmd.status;
    update->old = status == KV_OK ? command->cmd.item : (struct kv_item){0};
    command->revision = update->old.revision;
    size_t bytes = update->old.value.len + command->argument.len;
    update->computed = status;
    if ((status == KV_OK || status == KV_MISSING) && !holds(command, &update->old)) {
        update->computed = KV_CONDITION;
    } else if (status == KV_OK || status == KV_MISSING) {
        if (is_for_worker(updates, command, bytes)) {
            give_to_worker(updates, command, bytes);
            return false;
        }
        compute(command, &update->old);
    }
    return kv_update_take_result(updates, command);
}

/* Lets a long result be shown from where it is, without copying it. */
static void show_result(struct kv_command *command)
{
    if (command->cmd.staged == NULL)
        return;
    const struct kv_item result = {
        .value = command->value, .revision = command->revision, .ref = command->cmd.staged};
    command->item = kv_item_share(command->commands->store, &result);
}

/* The result was set, or another write of the key came first. */
static void take_outcome(struct kv_updates *updates, struct kv_command *command)
{
    command->revision = command->cmd.revision;
    if (command->cmd.status == KV_OK || command->cmd.status == KV_UNCHANGED)
        show_result(command);
    if (command->cmd.status != KV_CONDITION)
        kv_command_finish(command, (int)command->cmd.status);
    else if (++command->update->n_tries == KV_UPDATE_MOST_TRIES)
        kv_command_finish(command, KV_CONTENDED);
    else
        read_old(updates, command);
}

/* ---- lanes ---- */

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
    kv_command_charge(command);
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

static void compare_and_set(struct kv_updates *updates, struct kv_command *command)
{
    if (!command->is_unsettled)
        kv_command_mark_unsettled(command);
    if (kv_command_keep(command) != 0)
        kv_command_finish(command, KV_FULL);
    else if (command->depth == 0)
        line_up(updates, command);
    else
        read_old(updates, command);
}

static void take_at_once(struct kv_updates *updates, struct kv_command *command)
{
    int status = (int)command->cmd.status;
    command->revision = command->cmd.revision;
    if (status == KV_LONGER) {
        compare_and_set(updates, command);
        return;
    }
    if (status == KV_DECLINED)
        status = command->update->computed;
    bool is_set = status == KV_OK || status == KV_UNCHANGED;
    if (command->update->compute != NULL && is_set && !command->update->deletes)
        adopt(command);
    kv_command_finish(command, status);
}

/* ---- for the gate ---- */

void kv_update_enter(struct kv_updates *updates, struct kv_command *command)
{
    struct kv_update *update = command->update;
    update->ttl_is_given = command->ttl_is_given;
    update->ttl_ms = command->ttl_ms;
    update->is_quick |= update->compute == NULL;
    update->sets_ttl |= update->compute == NULL || update->is_own;
    update->is_at_once = may_be_at_once(updates, command);
}

void kv_update_begin(struct kv_updates *updates, struct kv_command *command)
{
    if (may_be_at_once(updates, command))
        ask_at_once(updates, command);
    else
        compare_and_set(updates, command);
}

struct kv_command *kv_updates_take_computed(struct kv_updates *updates)
{
    struct kv_link *link = kv_queue_pop(&updates->computed);
    return link == NULL ? NULL : KV_CONTAINER(link, struct kv_command, link);
}

void kv_updates_end(struct kv_updates *updates)
{
    updates->is_ended = true;
    KV_LIST_EACH(&updates->computing, link, after)
    come_back(KV_CONTAINER(link, struct kv_update, in_computing));
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
    if (!kv_queue_is_empty(&updates->computed))
        return true;
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
    switch (command->update->step) {
    case KV_UPDATE_AT_ONCE:
        take_at_once(updates, command);
        return false;
    case KV_UPDATE_READ:
        return take_old(updates, command);
    case KV_UPDATE_SET:
        take_outcome(updates, command);
    }
    return false;
}

bool kv_update_keeps_deadline(const struct kv_command *command)
{
    const struct kv_update *update = command->update;
    return update->keeps_deadline && command->ttl_ms == update->kept_ttl_ms;
}

/* A touch leaves the revision as it is. So an update of the server's own, which has judged the
 * deadline, names that as well. */
static void require_old(const struct kv_update *update, struct kv_cmd *cmd)
{
    cmd->cond = update->old_revision == 0 ? KV_COND_ABSENT : KV_COND_REVISION;
    if (update->is_own && update->old_revision != 0)
        cmd->cond |= KV_COND_DEADLINE;
    cmd->if_revisions = &update->old_revision;
    cmd->n_if_revisions = 1;
    cmd->if_deadline_ms = update->old_deadline_ms;
}

void kv_update_set(struct kv_updates *updates, struct kv_command *command, int64_t deadline_ms)
{
    struct kv_update *update = command->update;
    struct kv_cmd *cmd = &command->cmd;
    cmd->op = update->deletes ? KV_OP_DELETE : KV_OP_SET;
    cmd->most_bytes = 0;
    require_old(update, cmd);
    cmd->keeps_deadline = kv_update_keeps_deadline(command);
    cmd->deadline_ms = cmd->keeps_deadline ? update->old_deadline_ms : deadline_ms;
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
