/*
 * Connects the keyspace and the hooks. A before-hook's call ends with a verdict on its command; if
 * it waits meanwhile, the command is suspended. An after-hook's call begins when the call for the
 * previous change of its key has ended; calls that are ready begin in the same turn, if that has
 * not taken long, and otherwise in the next one.
 */
#include "script/hooks.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "base/log.h"
#include "script/calls.h"
#include "script/log.h"
#include "script/origin.h"
#include "script/requests.h"
#include "script/run.h"
#include "script/updater.h"
#include "wire/quote.h"

enum {
    LONGEST_TURN_MS = 10, /* then hooks wait for the next turn of the loop */
    UNSURE_MS = 20        /* interval for checking hooks whose claim is unsure */
};

/* ---- calls ---- */

static void resume(struct kv_script_call *call, const struct kv_outcome *outcome);
static void give_up(struct kv_script_call *call);

static struct kv_script_call *create_call(struct kv_script_loop *here, enum kv_hook hook,
                                          uint32_t depth, struct kv_slice key)
{
    struct kv_script_call *call = kv_call_create(here, hook, depth, key);
    call->resume = resume;
    call->give_up = give_up;
    return call;
}

static enum kv_call_state start(struct kv_script_call *call, struct kv_error *ret_why)
{
    call->state = call->here->state;
    call->state->n_refs++;
    return kv_call_start(call, ret_why);
}

/* ---- before-hooks ---- */

static bool selects(const struct kv_script_config *config, struct kv_slice key)
{
    for (size_t i = 0; i < config->n_prefixes; i++)
        if (kv_slice_has_prefix(key, config->prefixes[i]))
            return true;
    return config->n_prefixes == 0;
}

static enum kv_verdict pass(struct kv_script_call *call)
{
    struct kv_command *command = call->command;
    if (call->value_is_new &&
        kv_command_replace_value(command, kv_buffer_slice(&call->text)) != 0) {
        kv_command_refuse(command,
                          KV_SLICE("there is no memory for what a hook made of the value"));
        return KV_REFUSE;
    }
    if (call->ttl_is_new) {
        command->ttl_is_given = true;
        command->ttl_ms = call->new_ttl_ms;
    }
    return KV_PASS;
}

static enum kv_verdict judge(struct kv_script_call *call, enum kv_call_state state,
                             const struct kv_error *why)
{
    if (state == KV_CALL_DONE)
        return pass(call);
    if (state == KV_CALL_REFUSED) {
        kv_counter_add(&call->here->counts.refusals[call->hook], 1);
        kv_command_refuse(call->command, kv_slice_of(why->text));
        call->command->refusal_status = call->refusal_status;
        call->command->retry_after_ms = call->retry_after_ms;
        return KV_REFUSE;
    }
    kv_script_log_fault(call, why->text);
    if (call->here->script->config->passes_on_error)
        return KV_PASS;
    kv_command_refuse(call->command, KV_SLICE("the write was refused because a hook failed"));
    return KV_REFUSE;
}

/* The keyspace copies what it needs before the command can be resumed. */
static enum kv_verdict suspend(struct kv_script_call *call)
{
    struct kv_command *command = call->command;
    if (kv_command_keep(command) != 0) {
        kv_command_refuse(command, KV_SLICE("there is no memory to wait for a hook"));
        kv_call_destroy(call);
        return KV_REFUSE;
    }
    call->key = command->key;
    call->is_suspended = true;
    kv_request_send(call);
    return KV_SUSPEND;
}

/* Protected keys are written by hooks only, not by clients. Returns: the prefix that protects the
 * key from the command; NULL if there is none. */
static const struct kv_slice *find_protection(const struct kv_script_state *state,
                                              const struct kv_command *command)
{
    for (size_t i = 0; command->depth == 0 && i < state->n_protected; i++)
        if (kv_slice_has_prefix(command->key, state->protected[i]))
            return &state->protected[i];
    return NULL;
}

/* Returns: whether the command was refused. */
static bool refuse_protected(const struct kv_script_state *state, struct kv_command *command)
{
    struct kv_error why;
    const struct kv_slice *prefix = find_protection(state, command);
    if (prefix == NULL)
        return false;
    kv_error_set(&why, "keys that begin with \"%s\" are written by %s only", kv_quote(*prefix).text,
                 state->config->name);
    kv_command_refuse(command, kv_slice_of(why.text));
    return true;
}

static struct kv_script_loop *loop_of(const struct kv_script *script,
                                      const struct kv_command *command)
{
    uint32_t index = kv_loop_index(kv_keyspace_event_loop(command->home));
    return (struct kv_script_loop *)(uintptr_t)&script->loops[index];
}

bool kv_hooks_cover(const struct kv_interceptor *interceptor, const struct kv_command *command)
{
    const struct kv_script *script =
        KV_CONTAINER((uintptr_t)interceptor, struct kv_script, interceptor);
    const struct kv_script_state *state = loop_of(script, command)->state;
    return find_protection(state, command) != NULL ||
           (kv_state_has(state, KV_HOOK_BEFORE_SET) && selects(script->config, command->key));
}

enum kv_verdict kv_hooks_before_write(struct kv_interceptor *interceptor,
                                      struct kv_command *command)
{
    const struct kv_script *script = KV_CONTAINER(interceptor, struct kv_script, interceptor);
    struct kv_script_loop *here = loop_of(script, command);
    enum kv_hook hook =
        command->kind == KV_COMMAND_DELETE ? KV_HOOK_BEFORE_DELETE : KV_HOOK_BEFORE_SET;
    struct kv_error why;
    if (refuse_protected(here->state, command))
        return KV_REFUSE;
    if (!kv_state_has(here->state, hook) || !selects(script->config, command->key))
        return KV_PASS;
    struct kv_script_call *call = create_call(here, hook, command->depth, command->key);
    call->command = command;
    enum kv_call_state state = start(call, &why);
    if (state == KV_CALL_WAITS)
        return suspend(call);
    enum kv_verdict verdict = judge(call, state, &why);
    kv_call_destroy(call);
    return verdict;
}

/* ---- after-hooks ---- */

static void hold_or_release(struct kv_script_loop *here)
{
    struct kv_keyspace *keyspace = here->script->scripts->keyspace;
    uint32_t most = here->script->config->max_pending;
    if (!here->holds_writes && here->n_pending > most && !kv_script_is_ending(here)) {
        here->holds_writes = true;
        kv_keyspace_hold_writes(keyspace);
    } else if (here->holds_writes && (here->n_pending <= most / 2 || kv_script_is_ending(here))) {
        here->holds_writes = false;
        kv_keyspace_release_writes(keyspace);
    }
}

static struct kv_script_call *find_busy(struct kv_script_loop *here, struct kv_slice key,
                                        uint64_t hash)
{
    KV_TABLE_EACH(&here->busy, hash, node)
    {
        struct kv_script_call *call = KV_CONTAINER(node, struct kv_script_call, in_busy);
        if (kv_slice_equals(call->key, key))
            return call;
    }
    return NULL;
}

/* Has ready hooks run soon, in a turn of the loop. */
static void post_ready(struct kv_script_loop *here)
{
    if (here->run_ready_is_posted)
        return;
    here->run_ready_is_posted = true;
    kv_loop_post(kv_keyspace_event_loop(here->keyspace_loop), &here->run_ready);
}

static void make_ready(struct kv_script_call *call)
{
    kv_queue_push(&call->here->ready, &call->link);
    post_ready(call->here);
}

/* Lets the next call of the key, with those that wait for it, begin. */
static void end_after_hook(struct kv_script_call *call)
{
    struct kv_script_loop *here = call->here;
    uint64_t hash = call->in_busy.hash;
    struct kv_link *link = kv_queue_pop(&call->behind);
    kv_table_remove(&here->busy, &call->in_busy);
    if (link != NULL) {
        struct kv_script_call *next = KV_CONTAINER(link, struct kv_script_call, link);
        while ((link = kv_queue_pop(&call->behind)) != NULL)
            kv_queue_push(&next->behind, link);
        kv_table_insert(&here->busy, &next->in_busy, hash);
        make_ready(next);
    }
    here->n_pending--;
    hold_or_release(here);
    kv_call_destroy(call);
}

static bool may_start(const struct kv_script_loop *here)
{
    return kv_state_has(here->state, KV_HOOK_ON_START) && !kv_script_is_ending(here) &&
           !atomic_load(&here->script->scripts->is_draining);
}

void kv_hooks_start(struct kv_script_loop *here)
{
    if (may_start(here))
        make_ready(create_call(here, KV_HOOK_ON_START, 0, (struct kv_slice){0}));
}

/* Calls it again with its last result, unless the script was reloaded: then it begins anew. */
static void end_on_start(struct kv_script_call *call)
{
    struct kv_script_loop *here = call->here;
    bool goes_on = call->state == here->state && here->state->progress != LUA_NOREF;
    kv_call_destroy(call);
    if (goes_on)
        kv_hooks_start(here);
}

static void end_call(struct kv_script_call *call)
{
    if (call->hook == KV_HOOK_ON_START)
        end_on_start(call);
    else
        end_after_hook(call);
}

static void settle(struct kv_script_call *call, enum kv_call_state state,
                   const struct kv_error *why)
{
    if (state == KV_CALL_WAITS && (call->hook != KV_HOOK_ON_START || may_start(call->here))) {
        kv_request_send(call);
        return;
    }
    if (state != KV_CALL_DONE && state != KV_CALL_WAITS)
        kv_script_log_fault(call, why->text);
    end_call(call);
}

/* Another server may run the hook instead. Or the script may have been reloaded since the change,
 * and no longer have such a hook. */
static void begin_after_hook(struct kv_script_call *call)
{
    struct kv_error why;
    bool is_forgone = kv_shown_state(call->shown) == KV_CLAIM_LOST;
    if (is_forgone)
        kv_shown_forgo(call->shown);
    if (!is_forgone && kv_state_has(call->here->state, call->hook))
        settle(call, start(call, &why), &why);
    else
        end_call(call);
}

/* Whether more hooks may begin in this turn of the loop. */
static bool has_time(const struct kv_script_loop *here)
{
    int64_t turn_ms = kv_loop_now_ms(kv_keyspace_event_loop(here->keyspace_loop));
    return kv_clock_now_ms(&kv_clock_boot) < turn_ms + LONGEST_TURN_MS;
}

static void look_again(struct kv_timer *timer)
{
    post_ready(KV_CONTAINER(timer, struct kv_script_loop, unsure));
}

/* Whether it is unsure which server runs the first ready hook: then it waits, and so do those after
 * it. */
static bool is_unsure(struct kv_script_loop *here)
{
    struct kv_loop *loop = kv_keyspace_event_loop(here->keyspace_loop);
    if (kv_queue_is_empty(&here->ready))
        return false;
    const struct kv_script_call *first =
        KV_CONTAINER(here->ready.head, struct kv_script_call, link);
    if (kv_shown_state(first->shown) != KV_CLAIM_UNSURE)
        return false;
    here->unsure.fire = look_again;
    kv_timer_start(loop, &here->unsure, kv_loop_now_ms(loop) + UNSURE_MS);
    return true;
}

void kv_hooks_run_ready(struct kv_post *post)
{
    struct kv_script_loop *here = KV_CONTAINER(post, struct kv_script_loop, run_ready);
    struct kv_link *link;
    here->run_ready_is_posted = false;
    hold_or_release(here);
    if (kv_script_is_ending(here))
        return;
    while (!is_unsure(here)) {
        if ((link = kv_queue_pop(&here->ready)) == NULL)
            return;
        begin_after_hook(KV_CONTAINER(link, struct kv_script_call, link));
        if (has_time(here))
            continue;
        if (!kv_queue_is_empty(&here->ready))
            post_ready(here);
        return;
    }
}

static enum kv_hook hook_for(enum kv_reason reason)
{
    return reason == KV_REASON_SET      ? KV_HOOK_ON_SET
           : reason == KV_REASON_DELETE ? KV_HOOK_ON_DELETE
                                        : KV_HOOK_ON_EXPIRE;
}

/* The key lives as long as the item. */
static void take_change(struct kv_script_loop *here, const struct kv_change *change,
                        struct kv_shown *shown, uint32_t depth)
{
    struct kv_keyspace *keyspace = here->script->scripts->keyspace;
    enum kv_hook hook = hook_for(change->reason);
    if (!kv_state_has(here->state, hook) || !selects(here->script->config, change->key))
        return;
    if (kv_script_is_ending(here)) {
        kv_shown_forgo(shown);
        return;
    }
    bool is_set = hook == KV_HOOK_ON_SET;
    struct kv_script_call *call = create_call(here, hook, depth, change->key);
    call->value = kv_keyspace_share(keyspace, is_set ? &change->after : &change->before);
    if (is_set && kv_state_wants_previous(here->state))
        call->previous = kv_keyspace_share(keyspace, &change->before);
    call->revision = change->revision;
    call->shown = shown;
    kv_shown_take(shown);
    here->n_pending++;
    hold_or_release(here);
    struct kv_script_call *busy = find_busy(here, change->key, change->hash);
    if (busy != NULL) {
        kv_queue_push(&busy->behind, &call->link);
        return;
    }
    kv_table_insert(&here->busy, &call->in_busy, change->hash);
    if (kv_queue_is_empty(&here->ready) && has_time(here))
        begin_after_hook(call);
    else
        make_ready(call);
}

void kv_hooks_on_change(struct kv_observer *observer, struct kv_keyspace_loop *loop,
                        const struct kv_change *change, struct kv_shown *shown)
{
    const struct kv_scripts *scripts = KV_CONTAINER(observer, struct kv_scripts, observer);
    uint32_t index = kv_loop_index(kv_keyspace_event_loop(loop));
    uint32_t depth = shown != NULL
                         ? kv_shown_mark(shown)
                         : kv_origins_see(scripts->origins, change->key, change->revision);
    for (size_t i = 0; i < scripts->n; i++)
        take_change(&scripts->all[i].loops[index], change, shown, depth);
}

/* ---- resuming, and ending ---- */

static void resume(struct kv_script_call *call, const struct kv_outcome *outcome)
{
    struct kv_error why;
    struct kv_command *command = call->command;
    enum kv_call_state state = kv_call_resume(call, outcome, &why);
    if (command == NULL) {
        settle(call, state, &why);
    } else if (state == KV_CALL_WAITS) {
        kv_request_send(call);
    } else {
        enum kv_verdict verdict = judge(call, state, &why);
        kv_call_destroy(call);
        kv_command_resume(command, verdict);
    }
}

static void give_up(struct kv_script_call *call)
{
    struct kv_command *command = call->command;
    if (command == NULL) {
        hold_or_release(call->here);
        return; /* kv_hooks_forget_all() handles it */
    }
    kv_command_refuse(command, KV_SLICE("the server is shutting down"));
    kv_call_destroy(call);
    kv_command_resume(command, KV_REFUSE);
}

void kv_hooks_forget_all(struct kv_script_loop *here)
{
    if (atomic_load(&here->n_calls) != 0)
        kv_log(KV_LOG_WARN, here->script->config->name, "%u hooks were cut off at the end",
               atomic_load(&here->n_calls));
    kv_calls_fini(here);
    kv_table_fini(&here->busy);
    kv_table_fini(&here->counters);
    kv_updaters_fini(here);
}
