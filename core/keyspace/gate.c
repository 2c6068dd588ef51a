#include "keyspace/gate.h"

#include "base/hash.h"
#include "base/mem.h"
#include "keyspace/admission.h"
#include "keyspace/policies.h"

void kv_gate_rules_init(struct kv_gate_rules *rules, const struct kv_store_link *store,
                        const struct kv_keyspace_parts *parts)
{
    rules->store = store;
    rules->parts = parts;
    rules->renews = kv_policies_renew(parts);
}

void kv_gate_init(struct kv_gate *gate, const struct kv_gate_rules *rules, struct kv_batch *batch,
                  struct kv_updates *updates, struct kv_scans *scans, struct kv_counts *counts,
                  struct kv_access_loop *access)
{
    gate->access = access;
    gate->rules = rules;
    gate->batch = batch;
    gate->updates = updates;
    gate->scans = scans;
    gate->counts = counts;
    kv_queue_init(&gate->held);
}

bool kv_gate_holds_writes(const struct kv_gate_rules *rules)
{
    return atomic_load(&rules->n_holds) != 0;
}

/* ---- entering ---- */

void kv_gate_enter(struct kv_gate *gate, struct kv_command *command)
{
    const struct kv_command_traits *traits = command->traits;
    if (traits->has_ttl)
        command->taken_up_ms = kv_clock_next_ms(gate->rules->parts->clock);
    if (traits->has_steps && command->update != NULL)
        kv_update_enter(gate->updates, command);
    command->sent_ns = *gate->counts->began_ns;
    kv_commands_count(command->commands, 1);
    if (traits->has_key)
        command->hash = kv_hash(command->key);
}

static void set_result(struct kv_gate *gate, struct kv_command *command)
{
    int64_t deadline_ms = KV_NEVER;
    if (!kv_update_keeps_deadline(command))
        deadline_ms = kv_update_deadline(gate->updates, command);
    kv_update_set(gate->updates, command, deadline_ms);
}

static void put_in_batch(struct kv_gate *gate, struct kv_command *command)
{
    if (command->kind == KV_COMMAND_SET)
        command->cmd.deadline_ms = kv_policies_deadline(gate->rules->parts, command);
    kv_batch_add(gate->batch, command);
}

static void suspend(struct kv_command *command)
{
    if (kv_command_keep(command) != 0) {
        kv_command_finish(command, KV_FULL);
        return;
    }
    kv_command_charge(command);
    command->state = KV_COMMAND_SUSPENDED;
    if (command->order != NULL)
        command->order->n_held++;
}

static void intercept(struct kv_gate *gate, struct kv_command *command)
{
    const struct kv_keyspace_parts *parts = gate->rules->parts;
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
    if (command->update != NULL)
        set_result(gate, command);
    else
        put_in_batch(gate, command);
}

/* Interceptors see the result of an update, which is still unknown when the update is admitted. */
static void go_on(struct kv_gate *gate, struct kv_command *command)
{
    if (command->update != NULL && command->update->step == KV_UPDATE_AT_ONCE)
        kv_update_begin(gate->updates, command);
    else
        intercept(gate, command);
}

void kv_gate_advance_updates(struct kv_gate *gate)
{
    struct kv_command *computed;
    struct kv_link *link;
    kv_updates_go_on(gate->updates);
    while ((computed = kv_updates_take_computed(gate->updates)) != NULL)
        if (kv_update_take_result(gate->updates, computed))
            intercept(gate, computed);
    while ((link = kv_queue_pop(&gate->batch->returned)) != NULL) {
        struct kv_command *command = KV_CONTAINER(link, struct kv_command, link);
        if (kv_update_advance(gate->updates, command))
            intercept(gate, command);
    }
}

/* Holds the command back while writes are held. */
static void hold_back(struct kv_gate *gate, struct kv_command *command)
{
    suspend(command);
    if (command->state == KV_COMMAND_SUSPENDED)
        kv_queue_push(&gate->held, &command->link);
}

/* Passes a command that neither interceptors nor policies see: a read, or a touch. */
static void pass_by(struct kv_gate *gate, struct kv_command *command)
{
    if (command->traits->has_steps)
        kv_scan_begin(gate->scans, command);
    else
        kv_batch_add(gate->batch, command);
}

/* The loader keeps the bytes until the command is finished. */
static void admit_load(struct kv_gate *gate, struct kv_command *command)
{
    if (command->kind == KV_COMMAND_SCAN) {
        pass_by(gate, command);
        return;
    }
    command->key_is_kept = true;
    command->value_is_kept = true;
    put_in_batch(gate, command);
}

void kv_gate_admit(struct kv_gate *gate, struct kv_command *command)
{
    if (command->is_load)
        admit_load(gate, command);
    else if (!kv_store_is_ready(gate->rules->store))
        kv_command_finish(command, KV_NOT_OPEN);
    else if (!command->traits->is_intercepted)
        pass_by(gate, command);
    else if (command->depth == 0 && kv_gate_holds_writes(gate->rules))
        hold_back(gate, command);
    else
        go_on(gate, command);
}

void kv_gate_resume(struct kv_gate *gate, struct kv_command *command, enum kv_verdict verdict)
{
    if (command->order != NULL) {
        command->order->n_held--;
        kv_order_mark_dirty(command->order, command->commands);
    }
    int status =
        verdict == KV_REFUSE ? KV_REFUSED : kv_admission_judge_again(gate->access, command);
    if (status == KV_OK)
        go_on(gate, command);
    else
        kv_command_finish(command, status);
}

void kv_gate_let_go(struct kv_gate *gate)
{
    struct kv_link *link;
    while (!kv_gate_holds_writes(gate->rules) && (link = kv_queue_pop(&gate->held)) != NULL)
        kv_gate_resume(gate, KV_CONTAINER(link, struct kv_command, link), KV_PASS);
}

bool kv_gate_has_work(const struct kv_gate *gate)
{
    return !kv_queue_is_empty(&gate->held) && !kv_gate_holds_writes(gate->rules);
}

/* ---- leaving ---- */

/* Writes the deadline that a policy renewed, if the key still has the revision and the deadline
 * that were read. */
static void touch(struct kv_gate *gate, const struct kv_command *read, int64_t deadline_ms)
{
    struct kv_command *touch = kv_commands_take(read->commands, read->home, KV_COMMAND_TOUCH);
    touch->key = read->key;
    touch->cond = KV_COND_REVISION | KV_COND_DEADLINE;
    touch->if_revisions = &read->item.revision;
    touch->n_if_revisions = 1;
    touch->cmd.if_deadline_ms = read->item.deadline_ms;
    touch->cmd.deadline_ms = deadline_ms;
    if (kv_command_keep(touch) != 0) {
        kv_command_free(touch);
        return;
    }
    kv_gate_enter(gate, touch);
    kv_gate_admit(gate, touch);
}

static void renew(struct kv_gate *gate, struct kv_command *read)
{
    int64_t renewed_ms = kv_policies_renewed(gate->rules->parts, read->key, read->item.deadline_ms);
    if (renewed_ms == read->item.deadline_ms)
        return;
    touch(gate, read, renewed_ms);
    read->item.deadline_ms = renewed_ms;
}

void kv_gate_leave(struct kv_gate *gate, struct kv_command *command)
{
    if (gate->rules->renews && command->kind == KV_COMMAND_GET && command->status == KV_OK &&
        !command->keeps_deadline)
        renew(gate, command);
    if (command->principal != NULL)
        kv_admission_leave(command);
    if (command->finished != NULL)
        command->finished(command);
    if (command->traits->has_steps && command->update != NULL)
        kv_update_end(gate->updates, command);
    kv_commands_count(command->commands, -1);
    kv_command_free(command);
}
