/*
 * The rest of the store relies on this order: a key is held before the clock is read and its state
 * is judged (states.h); the journal has the rows before any state of the batch is published; a
 * state is published before its change is told; a key is released after its last state.
 */
#include "batch.h"

#include <stdlib.h>

enum {
    FIRST_CAPACITY = 256,
    SOON_MS = 1000
};

/* ---- memory: reserved before any work starts ---- */

/* Returns: false if memory runs out. */
static bool reserve(void **items, size_t *capacity, size_t n, size_t size)
{
    if (n <= *capacity)
        return true;
    size_t wanted = *capacity == 0 ? FIRST_CAPACITY : *capacity;
    while (wanted < n)
        wanted *= 2;
    void *more = reallocarray(*items, wanted, size);
    if (more == NULL)
        return false;
    *items = more;
    *capacity = wanted;
    return true;
}

static size_t bucket_of(const struct batch *batch, uint64_t hash)
{
    return (hash >> 20) & (batch->n_buckets - 1);
}

static bool reserve_buckets(struct batch *batch)
{
    if (batch->n_buckets >= batch->touched_capacity)
        return true;
    uint32_t *buckets = calloc(batch->touched_capacity, sizeof(*buckets));
    if (buckets == NULL)
        return false;
    free(batch->buckets);
    batch->buckets = buckets;
    batch->n_buckets = batch->touched_capacity;
    for (size_t i = 0; i < batch->n_touched; i++) {
        uint32_t *bucket = &buckets[bucket_of(batch, batch->touched[i].first->hash)];
        batch->touched[i].in_chain = *bucket;
        *bucket = (uint32_t)i + 1;
    }
    return true;
}

/* Reserves room for n more commands or deadlines: each touches one key and makes at most two
 * steps. */
static bool reserve_all(struct batch *batch, size_t n)
{
    return reserve((void **)&batch->cmds, &batch->cmds_capacity, batch->n_cmds + n,
                   sizeof(struct kv_cmd *)) &&
           reserve((void **)&batch->due, &batch->due_capacity, batch->n_due + n,
                   sizeof(struct deadline *)) &&
           reserve((void **)&batch->touched, &batch->touched_capacity, batch->n_touched + n,
                   sizeof(struct touched)) &&
           reserve((void **)&batch->steps, &batch->steps_capacity, batch->n_steps + 2 * n,
                   sizeof(struct step)) &&
           reserve_buckets(batch);
}

/* ---- the keys of the batch ---- */

static struct touched *find(const struct batch *batch, struct kv_slice key, uint64_t hash)
{
    uint32_t place = batch->n_buckets == 0 ? 0 : batch->buckets[bucket_of(batch, hash)];
    while (place != 0) {
        struct touched *touched = &batch->touched[place - 1];
        if (touched->first->hash == hash && kv_slice_equals(entry_key(touched->first), key))
            return touched;
        place = touched->in_chain;
    }
    return NULL;
}

/* Reads the state of a held key that is not in memory. */
static void learn(struct batch *batch, struct touched *touched)
{
    touched->first = touched->shown = held_learn(batch->base, touched->first, &touched->fault);
    if (touched->fault == KV_OK && entry_is_there(touched->first))
        batch->bytes += entry_size(touched->first);
}

/* The batch ahead has the key, too: this one starts from the state that the key gets there. Both
 * hold the published state, which needs no further reference for that. */
static void follow(struct touched *touched, const struct touched *ahead)
{
    entry_unref(touched->first);
    touched->first = entry_ref(ahead->current);
    touched->fault = ahead->fault;
}

/* Holds the key, if the batch does not yet. Returns: NULL if memory runs out. */
static struct touched *touch(struct batch *batch, struct kv_slice key, uint64_t hash)
{
    struct touched *touched = find(batch, key, hash);
    if (touched != NULL)
        return touched;
    bool is_unknown;
    struct entry *held = states_hold(batch->base->states, key, hash, &is_unknown);
    if (held == NULL)
        return NULL;
    touched = &batch->touched[batch->n_touched++];
    *touched = (struct touched){.first = held, .shown = held, .fault = KV_OK};
    struct touched *ahead = batch->ahead == NULL ? NULL : find(batch->ahead, key, hash);
    if (ahead != NULL) {
        follow(touched, ahead);
        ahead->behind = (uint32_t)batch->n_touched;
    } else if (is_unknown) {
        learn(batch, touched);
    }
    touched->current = touched->first;
    uint32_t *bucket = &batch->buckets[bucket_of(batch, hash)];
    touched->in_chain = *bucket;
    *bucket = (uint32_t)batch->n_touched;
    return touched;
}

/* ---- judging ---- */

static void finish(struct kv_cmd *cmd, enum kv_status status, uint64_t revision)
{
    cmd->status = status;
    cmd->revision = revision;
}

/* Takes ownership of `after`. */
static void add_step(struct batch *batch, struct touched *touched, enum kv_reason reason,
                     uint64_t revision, struct entry *after)
{
    batch->steps[batch->n_steps++] = (struct step){.touched = (uint32_t)(touched - batch->touched),
                                                   .reason = reason,
                                                   .revision = revision,
                                                   .before = touched->current,
                                                   .after = after};
    touched->current = after;
    batch->has_deadlines |= after->deadline_ms != KV_NEVER;
    batch->bytes += after->key_len + (after->file == NULL ? after->value_len : 0);
}

/* Removes the key. Returns: the change's revision, 0 if memory runs out. */
static uint64_t remove_key(struct batch *batch, struct touched *touched, enum kv_reason reason)
{
    struct entry *after = entry_create_absent(entry_key(touched->current), touched->current->hash);
    if (after == NULL)
        return 0;
    add_step(batch, touched, reason, ++*batch->revision, after);
    return *batch->revision;
}

/* Whether the key exists at the current time. */
static bool is_alive(const struct batch *batch, const struct entry *entry)
{
    return entry_is_there(entry) &&
           (entry->deadline_ms == KV_NEVER || base_now_ms(batch->base) < entry->deadline_ms);
}

static void get_key(struct kv_cmd *cmd, struct entry *state, bool is_there)
{
    if (!is_there) {
        finish(cmd, KV_MISSING, 0);
        return;
    }
    cmd->item = entry_item(entry_ref(state));
    finish(cmd, KV_OK, state->revision);
}

/* Gives the key another deadline. Returns: false if there is no room or no memory. */
static bool move_deadline(struct batch *batch, struct touched *touched, int64_t deadline_ms)
{
    struct entry *current = touched->current;
    if (current->deadline_ms == deadline_ms)
        return true;
    struct kv_slice old = entry_value(current);
    if (!room_take(batch->room, current->key_len, current->value_len, &old))
        return false;
    struct entry *after = entry_create(entry_key(current), current->hash, entry_value(current),
                                       current->revision, deadline_ms);
    if (after == NULL)
        return false;
    add_step(batch, touched, 0, current->revision, after);
    return true;
}

/* The new state of a key. */
struct target {
    struct kv_slice value;
    int64_t deadline_ms;
    struct entry *prepared; /* the state itself, but for its revision and deadline; NULL: it is to
                               be made */
};

/* Returns: NULL if memory runs out. */
static struct entry *make_state(const struct kv_cmd *cmd, const struct target *target,
                                uint64_t revision)
{
    struct entry *state = target->prepared;
    if (state == NULL)
        return entry_create(cmd->key, cmd->hash, target->value, revision, target->deadline_ms);
    state->revision = revision;
    state->deadline_ms = target->deadline_ms;
    return entry_ref(state);
}

static void set_value(struct batch *batch, struct kv_cmd *cmd, struct touched *touched,
                      bool is_there, const struct target *target)
{
    struct entry *current = touched->current;
    struct kv_slice old = entry_value(current);
    if (is_there && kv_slice_equals(old, target->value)) {
        bool is_moved = move_deadline(batch, touched, target->deadline_ms);
        finish(cmd, is_moved ? KV_UNCHANGED : KV_FULL, is_moved ? current->revision : 0);
        return;
    }
    if (cmd->key.len + target->value.len > batch->base->ops->max_row) {
        finish(cmd, KV_TOO_BIG, 0);
        return;
    }
    bool has_room = room_take(batch->room, cmd->key.len, target->value.len, is_there ? &old : NULL);
    struct entry *after = has_room ? make_state(cmd, target, *batch->revision + 1) : NULL;
    if (after == NULL) {
        finish(cmd, KV_FULL, 0);
        return;
    }
    add_step(batch, touched, KV_REASON_SET, ++*batch->revision, after);
    finish(cmd, KV_OK, after->revision);
}

/* Whether there may be room for a write once the available room is known. */
static bool has_to_know_room(struct batch *batch, const struct kv_cmd *cmd, size_t value_len)
{
    if (room_is_settled(batch->room) || room_has(batch->room, cmd->key.len, value_len))
        return false;
    batch->room->is_wanted = true;
    return true;
}

static void delete_key(struct batch *batch, struct kv_cmd *cmd, struct touched *touched,
                       bool is_there)
{
    uint64_t revision = is_there ? remove_key(batch, touched, KV_REASON_DELETE) : 0;
    if (!is_there)
        finish(cmd, KV_MISSING, 0);
    else
        finish(cmd, revision == 0 ? KV_FULL : KV_OK, revision);
}

/* The deadline that a SET or UPDATE gives to the key. */
static int64_t new_deadline(const struct kv_cmd *cmd, const struct touched *touched, bool is_there)
{
    return is_there && cmd->keeps_deadline ? touched->current->deadline_ms : cmd->deadline_ms;
}

/* Returns: false if the command must be retried once the room is known. */
static bool update_key(struct batch *batch, struct kv_cmd *cmd, struct touched *touched,
                       bool is_there)
{
    struct kv_item old = is_there ? entry_item(touched->current) : (struct kv_item){0};
    struct target target = {.deadline_ms = new_deadline(cmd, touched, is_there)};
    bool is_longer = cmd->most_bytes != 0 && old.value.len > cmd->most_bytes;
    enum kv_status status = is_longer ? KV_LONGER : cmd->compute(cmd, &old, &target.value);
    if (status == KV_MISSING) {
        delete_key(batch, cmd, touched, is_there);
        return true;
    }
    if (status != KV_OK) {
        finish(cmd, status, 0);
        return true;
    }
    if (has_to_know_room(batch, cmd, target.value.len))
        return false;
    set_value(batch, cmd, touched, is_there, &target);
    return true;
}

static void touch_key(struct batch *batch, struct kv_cmd *cmd, struct touched *touched,
                      bool is_there)
{
    if (!is_there)
        finish(cmd, KV_MISSING, 0);
    else if (!move_deadline(batch, touched, cmd->deadline_ms))
        finish(cmd, KV_FULL, 0);
    else
        finish(cmd, KV_OK, touched->current->revision);
}

/* Returns: as update_key(). */
static bool judge_write(struct batch *batch, struct kv_cmd *cmd, struct touched *touched,
                        bool is_there, struct entry *prepared)
{
    uint64_t standing = is_there ? touched->current->revision : 0;
    struct target target = {.value = cmd->value,
                            .deadline_ms = new_deadline(cmd, touched, is_there),
                            .prepared = prepared};
    if (!kv_cmd_holds_until(cmd, is_there, standing, touched->current->deadline_ms))
        finish(cmd, KV_CONDITION, standing);
    else if (cmd->op == KV_OP_UPDATE)
        return update_key(batch, cmd, touched, is_there);
    else if (cmd->op == KV_OP_SET)
        set_value(batch, cmd, touched, is_there, &target);
    else if (cmd->op == KV_OP_DELETE)
        delete_key(batch, cmd, touched, is_there);
    else
        touch_key(batch, cmd, touched, is_there);
    return true;
}

/* prepared: as of batch_add(). Returns: as update_key(). */
static bool judge(struct batch *batch, struct kv_cmd *cmd, struct entry *prepared)
{
    struct touched *touched = touch(batch, cmd->key, cmd->hash);
    if (touched == NULL || touched->fault != KV_OK) {
        enum kv_status fault = touched == NULL ? KV_FULL : touched->fault;
        finish(cmd, cmd->op == KV_OP_GET ? KV_IO : fault, 0);
        return true;
    }
    bool is_there = is_alive(batch, touched->current);
    if (cmd->op == KV_OP_GET) {
        get_key(cmd, touched->current, is_there);
        return true;
    }
    if (!is_there && entry_is_there(touched->current) &&
        remove_key(batch, touched, KV_REASON_EXPIRE) == 0) {
        finish(cmd, KV_FULL, 0);
        return true;
    }
    return judge_write(batch, cmd, touched, is_there, prepared);
}

/* Whether the key has an unpublished state whose deadline may pass before it is published. Readers
 * see the previous state until then, so nobody would ever see this one: the batch has to be
 * published first. (A sync that takes longer than SOON_MS affects only clients that use such short
 * TTLs.) */
static bool meets_a_short_life(const struct batch *batch, const struct kv_cmd *cmd)
{
    const struct touched *touched = find(batch, cmd->key, cmd->hash);
    if (touched == NULL && batch->ahead != NULL)
        touched = find(batch->ahead, cmd->key, cmd->hash);
    if (touched == NULL || touched->current == touched->shown ||
        touched->current->deadline_ms == KV_NEVER)
        return false;
    return touched->current->deadline_ms < base_now_ms(batch->base) + SOON_MS;
}

/* Most states have no deadline. */
static inline bool may_meet_a_deadline(const struct batch *batch)
{
    return batch->has_deadlines || (batch->ahead != NULL && batch->ahead->has_deadlines);
}

/* Releases the key, which the batch itself holds, and a state that was not set. */
static void drop_prepared(struct batch *batch, struct entry *prepared)
{
    if (prepared == NULL)
        return;
    states_let_go(batch->base->states, prepared);
    entry_unref(prepared);
}

/* Whether the command must wait until the batch is published, or the room is known. */
static bool has_to_wait(struct batch *batch, const struct kv_cmd *cmd)
{
    bool is_measured = cmd->op == KV_OP_SET || cmd->op == KV_OP_TOUCH;
    return batch_is_full(batch) || (may_meet_a_deadline(batch) && meets_a_short_life(batch, cmd)) ||
           (is_measured && has_to_know_room(batch, cmd, cmd->value.len));
}

/* Frees the parts of `prepared` that the command did not use. Returns: false if the command must be
 * retried. */
static bool add(struct batch *batch, struct kv_cmd *cmd, struct entry *prepared)
{
    if (has_to_wait(batch, cmd))
        return false;
    batch->cmds[batch->n_cmds++] = cmd;
    if (!judge(batch, cmd, prepared)) {
        batch->n_cmds--;
        return false;
    }
    drop_prepared(batch, prepared);
    return true;
}

size_t batch_add(struct batch *batch, struct kv_cmd *const *cmds, size_t n, struct entry *prepared)
{
    if (!reserve_all(batch, n)) {
        for (size_t i = 0; i < n; i++)
            finish(cmds[i], cmds[i]->op == KV_OP_GET ? KV_IO : KV_FULL, 0);
        drop_prepared(batch, prepared);
        return n;
    }
    for (size_t i = 0; i < n; i++)
        if (!add(batch, cmds[i], prepared))
            return i;
    return n;
}

/* Returns: false if the deadline must be retried: memory has run out, its key cannot be read, or it
 * is not yet due. */
static bool judge_deadline(struct batch *batch, const struct deadline *deadline)
{
    struct kv_slice key = {.bytes = deadline->key, .len = deadline->key_len};
    struct touched *touched = touch(batch, key, deadline->hash);
    if (touched == NULL || touched->fault != KV_OK)
        return false;
    const struct entry *current = touched->current;
    if (current->revision != deadline->revision || current->deadline_ms != deadline->deadline_ms)
        return true;
    return !is_alive(batch, current) && remove_key(batch, touched, KV_REASON_EXPIRE) != 0;
}

size_t batch_expire(struct batch *batch, uint32_t part, int64_t now_ms, uint32_t max)
{
    size_t n_decided = 0;
    struct deadline *deadline;
    if (!reserve_all(batch, max))
        return 0;
    for (uint32_t n = 0; n < max && !batch_is_full(batch) &&
                         (deadline = deadlines_take(batch->deadlines, part, now_ms)) != NULL;
         n++) {
        batch->due[batch->n_due++] = deadline;
        deadline->is_undecided = !judge_deadline(batch, deadline);
        n_decided += deadline->is_undecided ? 0 : 1;
    }
    return n_decided;
}

/* ---- writing ---- */

void batch_rows(const struct batch *batch, struct rows *rows)
{
    for (size_t i = 0; i < batch->n_steps; i++) {
        const struct step *step = &batch->steps[i];
        struct removal removal = {.revision = step->revision, .reason = step->reason};
        rows_change(rows, former_of(step->before), step->after, batch->base->clock, &removal);
    }
}

/* ---- taking effect ---- */

/* From here on the entry is visible and immutable. The journal deletes the file of its value once
 * it is no longer needed. */
static void note_sequence(struct entry *entry, uint64_t sequence)
{
    entry->sequence = sequence;
    if (entry->file != NULL)
        value_file_keep(entry->file, sequence);
    entry->file = NULL;
}

static void publish(struct batch *batch, const struct step *step)
{
    struct touched *touched = &batch->touched[step->touched];
    if (step->reason != 0)
        atomic_store(batch->newest, step->revision);
    states_publish(batch->base->states, touched->shown, step->after);
    touched->shown = step->after;
    if (step->reason == 0)
        return;
    struct kv_change change = {
        .reason = step->reason,
        .revision = step->revision,
        .hash = step->after->hash,
        .key = entry_key(entry_is_there(step->after) ? step->after : step->before),
        .before = entry_item(step->before),
        .after = entry_item(step->after),
    };
    batch->base->host->changed(batch->base->host, deadlines_part(change.hash), &change);
}

static void plan_deadline(struct batch *batch, const struct entry *entry)
{
    if (entry->deadline_ms == KV_NEVER)
        return;
    deadlines_add(batch->deadlines, entry);
    batch->base->host->wake_at(batch->base->host, deadlines_part(entry->hash), entry->deadline_ms);
}

/* Passes on the new deadlines of the batch, once they are published. */
static void plan_deadlines(struct batch *batch)
{
    if (!batch->has_deadlines)
        return;
    for (size_t i = 0; i < batch->n_touched; i++)
        if (batch->touched[i].current != batch->touched[i].first)
            plan_deadline(batch, batch->touched[i].current);
}

/* To be called before any state is published: a scan that starts afterwards must find it. */
static void note_changes(const struct batch *batch, struct changes *changes)
{
    struct overlay *overlay = batch->base->overlay;
    int64_t keys = changes->keys;
    overlay_begin_adding(overlay);
    for (size_t i = 0; i < batch->n_touched; i++) {
        const struct touched *touched = &batch->touched[i];
        if (touched->current == touched->first)
            continue;
        overlay_add(overlay, entry_ref(touched->current));
        changes_add(changes, former_of(touched->first), entry_ref(touched->current));
    }
    overlay_end_adding(overlay);
    overlay_count(overlay, changes->keys - keys);
}

/* Clears the references of the batch ahead to this one. */
static void leave_ahead(struct batch *ahead)
{
    for (size_t i = 0; i < ahead->n_touched; i++)
        ahead->touched[i].behind = 0;
}

/* Releases everything. */
static void empty(struct batch *batch)
{
    if (batch->ahead != NULL)
        leave_ahead(batch->ahead);
    for (size_t i = 0; i < batch->n_touched; i++) {
        struct touched *touched = &batch->touched[i];
        batch->buckets[bucket_of(batch, touched->first->hash)] = 0;
        states_let_go(batch->base->states, touched->shown);
        entry_unref(touched->first);
    }
    for (size_t i = 0; i < batch->n_steps; i++)
        entry_unref(batch->steps[i].after);
    batch->n_touched = batch->n_steps = batch->n_cmds = batch->n_due = 0;
    batch->bytes = 0;
    batch->has_deadlines = false;
    batch->ahead = NULL;
}

/* For the keys that both batches have, the next one starts from the states of this one. */
static void hand_over(const struct batch *batch, struct batch *behind)
{
    for (size_t i = 0; i < batch->n_touched; i++) {
        const struct touched *touched = &batch->touched[i];
        if (touched->behind != 0)
            behind->touched[touched->behind - 1].shown = touched->shown;
    }
    behind->ahead = NULL;
}

void batch_publish(struct batch *batch, uint64_t sequence, struct changes *changes,
                   struct batch *behind)
{
    for (size_t i = 0; i < batch->n_steps; i++)
        note_sequence(batch->steps[i].after, sequence);
    note_changes(batch, changes);
    for (size_t i = 0; i < batch->n_steps; i++)
        publish(batch, &batch->steps[i]);
    plan_deadlines(batch);
    for (size_t i = 0; i < batch->n_due; i++) {
        if (batch->due[i]->is_undecided)
            deadlines_give_back(batch->deadlines, batch->due[i]);
        else
            free(batch->due[i]);
    }
    if (behind != NULL)
        hand_over(batch, behind);
    empty(batch);
}

/* ---- failing ---- */

/* A read returns the published state. */
static void answer_again(struct batch *batch, struct kv_cmd *cmd)
{
    if (cmd->status == KV_OK)
        entry_unref(cmd->item.ref);
    cmd->item = (struct kv_item){0};
    const struct touched *touched = find(batch, cmd->key, cmd->hash);
    if (touched != NULL && touched->fault == KV_OK)
        get_key(cmd, touched->shown, is_alive(batch, touched->shown));
}

void batch_refuse(struct batch *batch, enum kv_engine_status why)
{
    for (size_t i = 0; i < batch->n_cmds; i++) {
        if (batch->cmds[i]->op == KV_OP_GET)
            answer_again(batch, batch->cmds[i]);
        else
            finish(batch->cmds[i], why == KV_ENGINE_FULL ? KV_FULL : KV_IO, 0);
    }
    for (size_t i = 0; i < batch->n_due; i++)
        deadlines_give_back(batch->deadlines, batch->due[i]);
    empty(batch);
}

/* ---- lifecycle ---- */

void batch_fini(struct batch *batch)
{
    free(batch->cmds);
    free(batch->touched);
    free(batch->steps);
    free(batch->due);
    free(batch->buckets);
}
