/*
 * kv.update(): a get, and a write on the condition that the state is still current. The functions
 * that wait when the state arrives are applied one after the other, each to the result of the
 * previous one, and the final value is written once. They run in the coroutines of their hooks, and
 * the value remains a Lua value between them: so a hundred changes of a long list read and write it
 * once.
 *
 * A function that fails may have changed the value partly. So the value is read again for the
 * others, which then run one at a time.
 *
 * Each loop has its own updater for a key, and these compete: once one has failed several times,
 * the others pause for it (right_of_way.h).
 */
#include "script/updater.h"

#include <assert.h>

#include <lauxlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "script/gathering.h"
#include "script/script.h"

enum {
    MOST_TRIES = 100,
    LONGEST_ROUND_MS = 10, /* for functions that are applied together */
    PATIENCE = 5,          /* failed attempts before it claims the right of way */
    MOST_PAUSES = 1000,    /* pauses for a holder of the right of way */
    PAUSE_MS = 1
};

struct updater {
    struct kv_gathering gathering;
    struct kv_edit edit;
    struct kv_script_state *state; /* of the edit's value; NULL: none */
    struct kv_script_call *asked;  /* it was resumed, and has not answered */
    uint32_t n_tries;
    uint32_t n_pauses;
    struct kv_timer pause; /* while it gives way */
    bool is_paused;
    bool never_pauses; /* a before-hook waits for it, and the holder may be waiting for that hook */
};

static void begin_round(struct updater *updater);

/* ---- the edit ---- */

/* Resets the value to the state that was read. */
static void reset_value(struct updater *updater)
{
    struct kv_edit *edit = &updater->edit;
    if (updater->state != NULL)
        luaL_unref(updater->state->lua, LUA_REGISTRYINDEX, edit->ref);
    kv_state_unref(updater->state);
    updater->state = NULL;
    *edit = (struct kv_edit){.old = edit->old, .ref = LUA_NOREF};
}

static void reset(struct updater *updater)
{
    reset_value(updater);
    kv_keyspace_release(updater->gathering.here->script->scripts->keyspace, &updater->edit.old);
    updater->edit.old = (struct kv_item){0};
}

static struct kv_right_of_way *right_of_way_of(const struct updater *updater)
{
    return &updater->gathering.here->script->scripts->right_of_way;
}

static void give_way_back(const struct updater *updater)
{
    if (updater->n_tries >= PATIENCE)
        kv_right_of_way_give_back(right_of_way_of(updater), updater->gathering.node.hash, updater);
}

static void go_on(struct updater *updater)
{
    reset(updater);
    give_way_back(updater);
    updater->n_tries = 0;
    updater->n_pauses = 0;
    if (kv_list_is_empty(&updater->gathering.waiting))
        kv_gathering_destroy(&updater->gathering);
    else
        begin_round(updater);
}

static void give_up(struct updater *updater)
{
    reset(updater);
    give_way_back(updater);
    kv_gathering_give_up(&updater->gathering);
    kv_gathering_destroy(&updater->gathering);
}

/* ---- functions ---- */

/* Has the call do its next step with the edit. Returns: whether it has; otherwise its function has
 * failed or it has ended, and it may no longer exist. */
static bool ask(struct updater *updater, struct kv_script_call *call)
{
    struct kv_outcome outcome = {.edit = &updater->edit};
    updater->asked = call;
    call->resume(call, &outcome);
    bool has_answered = updater->asked == NULL;
    updater->asked = NULL;
    return has_answered;
}

static struct updater *find(struct kv_script_loop *here, struct kv_slice key, uint64_t hash)
{
    return (struct updater *)kv_gathering_find(&here->updaters, key, hash);
}

void kv_updater_answer(struct kv_script_call *call)
{
    struct updater *updater = find(call->here, call->request.key, kv_hash(call->request.key));
    assert(updater != NULL && updater->asked == call);
    updater->asked = NULL;
}

/* The taken calls are tried one by one, beginning with the state that was read. */
static void part(struct updater *updater)
{
    struct kv_gathering *gathering = &updater->gathering;
    uint32_t n = gathering->n_taken;
    kv_gathering_put_all_back(gathering);
    if (gathering->n_alone < n)
        gathering->n_alone = n;
    reset_value(updater);
}

static void apply(struct updater *updater, struct kv_script_call *call)
{
    if (updater->state == NULL) {
        updater->state = call->state;
        updater->state->n_refs++;
    }
    if (ask(updater, call))
        kv_gathering_take(&updater->gathering, call);
    else
        part(updater);
}

/* Only calls of the same state share a value; a reloaded script has another state. */
static void apply_waiting(struct updater *updater)
{
    struct kv_gathering *gathering = &updater->gathering;
    struct kv_script_call *call;
    int64_t until_ms = kv_clock_now_ms(&kv_clock_boot) + LONGEST_ROUND_MS;
    while ((call = kv_gathering_next(gathering)) != NULL) {
        if (updater->state != NULL && updater->state != call->state) {
            kv_gathering_put_back(gathering, call);
            return;
        }
        apply(updater, call);
        if (kv_clock_now_ms(&kv_clock_boot) >= until_ms)
            return;
    }
}

/* ---- writing ---- */

static void succeed(struct updater *updater, uint64_t revision)
{
    struct kv_script_call *call;
    reset(updater);
    while ((call = kv_gathering_pop(&updater->gathering)) != NULL) {
        struct kv_outcome outcome = {.revision = revision};
        call->resume(call, &outcome);
    }
    go_on(updater);
}

static bool is_done(const struct kv_command *command)
{
    return command->status == KV_OK || command->status == KV_UNCHANGED;
}

static void written(struct kv_command *command)
{
    struct updater *updater = command->owner;
    struct kv_gathering *gathering = &updater->gathering;
    bool is_late = command->status == KV_CONDITION || command->status == KV_CONTENDED;
    kv_gathering_end_write(gathering, command);
    if (kv_script_is_ending(gathering->here)) {
        give_up(updater);
    } else if (is_done(command)) {
        succeed(updater, command->kind == KV_COMMAND_DELETE ? 0 : command->revision);
    } else if (is_late && ++updater->n_tries < MOST_TRIES) {
        reset(updater);
        kv_gathering_put_all_back(gathering);
        if (updater->n_tries >= PATIENCE)
            kv_right_of_way_claim(right_of_way_of(updater), gathering->node.hash, updater);
        begin_round(updater);
    } else {
        kv_gathering_fail(gathering, kv_gathering_fault_of(command));
        go_on(updater);
    }
}

/* The value that the calls have made, in the argument. */
static int take_argument(struct kv_command *command, const struct kv_item *old,
                         struct kv_buffer *out)
{
    (void)old;
    if (kv_buffer_try_reserve(out, command->argument.len) == NULL)
        return KV_FULL;
    kv_buffer_append(out, command->argument);
    return KV_OK;
}

static void send(struct updater *updater, struct kv_command *command)
{
    const struct kv_edit *edit = &updater->edit;
    command->key = updater->gathering.key;
    command->script = updater->gathering.here->script->config->name;
    command->cond = edit->old.revision == 0 ? KV_COND_ABSENT : KV_COND_REVISION;
    if (edit->old.revision != 0) {
        command->if_revision = edit->old.revision;
        command->if_revisions = &command->if_revision;
        command->n_if_revisions = 1;
    }
    command->depth = kv_gathering_begin_write(&updater->gathering);
    command->owner = updater;
    command->finished = written;
    kv_keyspace_send(command);
}

/* Writes by an UPDATE, as that preserves the key's exact deadline. */
static void send_value(struct updater *updater, const struct kv_script_call *last)
{
    const struct kv_edit *edit = &updater->edit;
    struct kv_command *command =
        kv_command_create(updater->gathering.here->keyspace_loop, KV_COMMAND_UPDATE);
    command->argument = kv_buffer_slice(&last->text);
    command->update->compute = take_argument;
    command->update->is_quick = true;
    command->update->sets_ttl = edit->ttl_is_given;
    command->ttl_is_given = edit->ttl_is_given;
    command->ttl_ms = edit->ttl_ms;
    send(updater, command);
}

/* The last call writes the value into its text. If several calls shared it, trying them one by one
 * shows which one made it invalid. */
static void encode_and_send(struct updater *updater)
{
    struct kv_gathering *gathering = &updater->gathering;
    updater->edit.is_finished = true;
    updater->edit.is_shared = gathering->n_taken > 1;
    struct kv_script_call *last = kv_gathering_pop_last(gathering);
    bool has_answered = ask(updater, last);
    if (has_answered)
        kv_gathering_take(gathering, last);
    if (has_answered && !updater->edit.is_no_json) {
        send_value(updater, last);
    } else {
        part(updater);
        go_on(updater);
    }
}

static void write_result(struct updater *updater)
{
    const struct kv_edit *edit = &updater->edit;
    struct kv_script_loop *here = updater->gathering.here;
    if (!edit->has_changed || (edit->is_gone && edit->old.revision == 0))
        succeed(updater, 0);
    else if (edit->is_gone)
        send(updater, kv_command_create(here->keyspace_loop, KV_COMMAND_DELETE));
    else
        encode_and_send(updater);
}

/* ---- reading ---- */

static void state_is_read(struct kv_command *command)
{
    struct updater *updater = command->owner;
    if (kv_script_is_ending(updater->gathering.here)) {
        give_up(updater);
    } else if (command->status != KV_OK && command->status != KV_MISSING) {
        kv_gathering_fail_all(&updater->gathering, kv_gathering_fault_of(command));
        go_on(updater);
    } else {
        if (command->status == KV_OK)
            updater->edit.old = kv_command_take_item(command);
        apply_waiting(updater);
        if (updater->gathering.n_taken != 0)
            write_result(updater);
        else
            go_on(updater);
    }
}

static void read_state(struct updater *updater)
{
    struct kv_command *command =
        kv_command_create(updater->gathering.here->keyspace_loop, KV_COMMAND_GET);
    command->key = updater->gathering.key;
    command->keeps_deadline = true;
    command->owner = updater;
    command->finished = state_is_read;
    kv_keyspace_send(command);
}

/* ---- giving way ---- */

static void pause_is_over(struct kv_timer *timer)
{
    struct updater *updater = KV_CONTAINER(timer, struct updater, pause);
    updater->is_paused = false;
    if (kv_script_is_ending(updater->gathering.here))
        give_up(updater);
    else
        begin_round(updater);
}

static struct kv_loop *loop_of(const struct updater *updater)
{
    return kv_keyspace_event_loop(updater->gathering.here->keyspace_loop);
}

static void pause_round(struct updater *updater)
{
    updater->n_pauses++;
    updater->is_paused = true;
    updater->pause.fire = pause_is_over;
    kv_timer_start(loop_of(updater), &updater->pause, kv_clock_now_ms(&kv_clock_boot) + PAUSE_MS);
}

static void begin_round(struct updater *updater)
{
    uint64_t hash = updater->gathering.node.hash;
    if (!updater->never_pauses && updater->n_pauses < MOST_PAUSES &&
        kv_right_of_way_is_anothers(right_of_way_of(updater), hash, updater))
        pause_round(updater);
    else
        read_state(updater);
}

static void pause_no_more(struct updater *updater)
{
    updater->never_pauses = true;
    if (!updater->is_paused)
        return;
    kv_timer_stop(loop_of(updater), &updater->pause);
    updater->is_paused = false;
    read_state(updater);
}

/* ---- for hooks ---- */

void kv_updater_add(struct kv_script_call *call)
{
    struct kv_script_loop *here = call->here;
    struct kv_slice key = call->request.key;
    uint64_t hash = kv_hash(key);
    struct updater *updater = find(here, key, hash);
    bool is_new = updater == NULL;
    if (is_new) {
        updater = (struct updater *)kv_gathering_create(here, &here->updaters, sizeof(*updater),
                                                        key, hash);
        updater->edit.ref = LUA_NOREF;
    }
    kv_list_append(&updater->gathering.waiting, &call->in_gathering);
    if (call->command != NULL)
        pause_no_more(updater);
    if (is_new)
        begin_round(updater);
}

static void forget(struct updater *updater)
{
    kv_timer_stop(loop_of(updater), &updater->pause);
    reset(updater);
    kv_gathering_destroy(&updater->gathering);
}

void kv_updaters_fini(struct kv_script_loop *here)
{
    for (size_t i = 0; i < here->updaters.n_buckets; i++)
        while (here->updaters.buckets[i] != NULL)
            forget((struct updater *)KV_CONTAINER(here->updaters.buckets[i], struct kv_gathering,
                                                  node));
    kv_table_fini(&here->updaters);
}
