/*
 * Commands. A vector is processed in order, a few commands at a time: first all groups and entries
 * that they need are prefetched into the cache, then the commands are executed one by one. So a
 * vector waits for memory once per group of commands, and not for every key.
 *
 * A GET takes no lock. A write does the slow work (allocating, copying and comparing long values)
 * outside of the lock, then takes the lock of its shard for the commit. Races with readers about a
 * deadline are decided in one word of the entry (entry.h).
 *
 * An UPDATE of a short value is computed under the lock. That of a long one is computed before the
 * lock is taken, and a second time under it only if the key has another entry at the commit:
 * entries are immutable, so the result for the same entry is still valid.
 */
#include "submit.h"

#include <assert.h>

#include "writer.h"

enum {
    FETCHED_AHEAD = 16,
    WRITE_RETIRES = TABLE_RETIRES + 2, /* the replaced entry and an expired one */
    LONG_VALUE = 4096                  /* compared, and computed, before the lock is taken */
};

/* A SET, UPDATE, DELETE or TOUCH in progress. */
struct work {
    struct writer writer;
    struct kv_cmd *cmd;
    int64_t deadline_ms;   /* the key's, from now on */
    struct place place;    /* of `entry` */
    struct entry *entry;   /* the key's; NULL if it is missing */
    struct entry *fresh;   /* SET, UPDATE: the key's new entry; NULL once it is in the table */
    struct entry *made_of; /* UPDATE: the entry from which `fresh` was computed before locking */
    struct entry *equal;   /* an entry found to have the same value as `fresh` */
    struct entry *unlike;  /* an entry found to have another value */
    const struct tree_place *leaf; /* of a new key in the index, as far as it was prefetched */
};

static void finish(struct kv_cmd *cmd, enum kv_status status, uint64_t revision)
{
    cmd->status = status;
    cmd->revision = revision;
}

/* ---- reading ---- */

static void get_key(struct kv_store *store, struct kv_cmd *cmd)
{
    uint64_t hash = table_hash(cmd->hash);
    struct probe probe = table_probe(hash, cmd->key);
    int64_t deadline_ms = KV_NEVER;
    struct entry *entry = table_find(&store->shards[table_shard(hash)].table, &probe);
    if (entry != NULL)
        entry = entry_look(entry, &store->host->base, &deadline_ms);
    if (entry == NULL) {
        finish(cmd, KV_MISSING, 0);
        return;
    }
    entry_ref(entry);
    cmd->item = entry_item(entry, deadline_ms);
    finish(cmd, KV_OK, cmd->item.revision);
}

/* ---- writing: the commit, under the shard's lock ---- */

/* Puts a timed entry into the wheel by its deadline. */
static void start_deadline(const struct writer *writer, struct entry *entry)
{
    if (!entry_is_timed(entry))
        return;
    wheel_remove(entry_timed(entry));
    int64_t deadline_ms = entry_deadline(entry);
    if (deadline_ms == KV_NEVER)
        return;
    wheel_add(&writer->shard->wheel, entry_timed(entry));
    writer->store->host->wake_at(writer->store->host, writer->part, deadline_ms);
}

/* `before`: revision 0 if the key was missing. */
static void tell_set(const struct writer *writer, const struct kv_item *before, struct entry *after)
{
    struct kv_change change = {
        .reason = KV_REASON_SET,
        .revision = entry_revision(after),
        .hash = writer->hash,
        .key = entry_key(after),
        .before = *before,
        .after = entry_item(after, entry_deadline(after)),
    };
    writer->store->host->changed(writer->store->host, writer->part, &change);
}

/* Assigns the revision of an entry that will replace the key's. */
static void succeed(const struct work *work, struct entry *after, uint64_t revision)
{
    entry_set_revision(after, revision);
    entry_set_twin(after, entry_is_twin(work->entry));
}

/* Replaces `before` by `after`, an entry of the same key. */
static void replace(struct work *work, struct entry *after)
{
    struct writer *writer = &work->writer;
    if (entry_is_twin(after) && writer->store->is_ordered)
        index_replace(&writer->shard->index, &writer->probe, work->entry, after);
    writer_stop_deadline(work->entry);
    table_replace(&work->place, after);
    start_deadline(writer, after);
    writer_retire(writer, work->entry);
}

/* The result of an attempt to write an entry that was alive at its lookup. */
enum outcome {
    DONE,
    NO_ROOM,
    EXPIRED /* it has expired meanwhile; nothing was changed */
};

/* Gives the key another deadline. An entry without room for one is replaced by `*copy`, which has
 * room (and the same bytes); `*copy` is then NULL. */
static enum outcome change_deadline(struct work *work, struct entry **copy)
{
    if (entry_is_timed(work->entry)) {
        if (!entry_move_deadline(work->entry, work->deadline_ms))
            return EXPIRED;
        start_deadline(&work->writer, work->entry);
        return DONE;
    }
    if (work->deadline_ms == KV_NEVER)
        return DONE;
    if (*copy == NULL)
        return NO_ROOM;
    succeed(work, *copy, entry_revision(work->entry));
    replace(work, *copy);
    *copy = NULL;
    return DONE;
}

static bool has_same_value(const struct work *work)
{
    if (work->entry == work->equal)
        return true;
    return work->entry != work->unlike &&
           kv_slice_equals(entry_value(work->entry), entry_value(work->fresh));
}

static enum outcome set_same(struct work *work)
{
    uint64_t revision = entry_revision(work->entry);
    enum outcome outcome = change_deadline(work, &work->fresh);
    if (outcome == DONE)
        finish(work->cmd, KV_UNCHANGED, revision);
    return outcome;
}

static enum outcome put_over(struct work *work)
{
    struct kv_store *store = work->writer.store;
    uint64_t more = entry_size(work->fresh);
    uint64_t less = entry_size(work->entry);
    if (!writer_count_bytes(store, more, less))
        return NO_ROOM;
    struct kv_item before = entry_item(work->entry, entry_deadline(work->entry));
    succeed(work, work->fresh, writer_next_revision(store));
    if (!entry_replace(work->entry, work->fresh)) {
        writer_count_bytes(store, less, more);
        return EXPIRED;
    }
    replace(work, work->fresh);
    tell_set(&work->writer, &before, work->fresh);
    return DONE;
}

/* Inserts into the index first, which cannot be read without the lock. Returns: false if memory
 * runs out; then nothing is changed. */
static bool insert(const struct work *work, struct entry *fresh)
{
    const struct writer *writer = &work->writer;
    struct gardener gardener = writer_gardener(writer);
    struct shard *shard = writer->shard;
    bool is_ordered = writer->store->is_ordered;
    if (is_ordered && !index_insert(&shard->index, &writer->probe, fresh, work->leaf))
        return false;
    if (table_insert(&shard->table, &gardener, &writer->probe, fresh))
        return true;
    if (is_ordered)
        index_remove(&shard->index, &writer->probe, fresh);
    return false;
}

static enum outcome put_new(struct work *work)
{
    struct kv_store *store = work->writer.store;
    if (!writer_count_bytes(store, entry_size(work->fresh), 0))
        return NO_ROOM;
    entry_set_revision(work->fresh, writer_next_revision(store));
    if (!insert(work, work->fresh)) {
        writer_count_bytes(store, 0, entry_size(work->fresh));
        return NO_ROOM;
    }
    start_deadline(&work->writer, work->fresh);
    tell_set(&work->writer, &(struct kv_item){0}, work->fresh);
    return DONE;
}

/* Works out the deadline that a SET or UPDATE gives to the key. */
static void decide_deadline(struct work *work)
{
    bool keeps = work->entry != NULL && work->cmd->keeps_deadline;
    work->deadline_ms = keeps ? entry_deadline(work->entry) : work->cmd->deadline_ms;
}

static enum outcome set_key(struct work *work)
{
    assert(work->fresh != NULL);
    if (work->entry != NULL && has_same_value(work))
        return set_same(work);
    enum outcome outcome = work->entry != NULL ? put_over(work) : put_new(work);
    if (outcome != DONE)
        return outcome;
    finish(work->cmd, KV_OK, entry_revision(work->fresh));
    work->fresh = NULL;
    return DONE;
}

/* Computes `fresh` from the key's value. Returns: KV_OK, or why it was not computed. */
static enum kv_status compute(struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    struct kv_item old = {0};
    struct kv_slice value;
    if (work->entry != NULL)
        old = entry_item(work->entry, entry_deadline(work->entry));
    enum kv_status status = cmd->compute(cmd, &old, &value);
    if (status == KV_OK && value.len > ENTRY_MAX_VALUE)
        return KV_TOO_BIG;
    if (status == KV_OK)
        work->fresh = entry_create(cmd->key, value, work->deadline_ms);
    return status == KV_OK && work->fresh == NULL ? KV_FULL : status;
}

/* The same, unless it was done before locking and for the present entry. */
static enum kv_status compute_now(struct work *work)
{
    if (work->entry != NULL && work->made_of == work->entry) {
        entry_move_deadline(work->fresh, work->deadline_ms);
        return KV_OK;
    }
    entry_unref(work->fresh);
    work->fresh = NULL;
    return compute(work);
}

static bool is_too_long(const struct work *work)
{
    size_t most = work->cmd->most_bytes;
    return most != 0 && work->entry != NULL && entry_value_len(work->entry) > most;
}

static enum outcome delete_key(struct work *work)
{
    if (work->entry == NULL)
        finish(work->cmd, KV_MISSING, 0);
    else
        finish(work->cmd, KV_OK, writer_take_away(&work->writer, KV_REASON_DELETE, &work->place));
    return DONE;
}

static enum outcome update_key(struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    decide_deadline(work);
    enum kv_status status = is_too_long(work) ? KV_LONGER : compute_now(work);
    if (status == KV_OK)
        return set_key(work);
    if (status == KV_MISSING)
        return delete_key(work);
    finish(cmd, status, 0);
    return DONE;
}

static enum outcome set_value(struct work *work)
{
    decide_deadline(work);
    if (work->cmd->keeps_deadline)
        entry_move_deadline(work->fresh, work->deadline_ms);
    return set_key(work);
}

static enum outcome touch_key(struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    if (work->entry == NULL) {
        finish(cmd, KV_MISSING, 0);
        return DONE;
    }
    uint64_t revision = entry_revision(work->entry);
    struct entry *copy = NULL; /* of a short entry, and rare, so made under the lock */
    if (!entry_is_timed(work->entry) && cmd->deadline_ms != KV_NEVER)
        copy = entry_create(cmd->key, entry_value(work->entry), cmd->deadline_ms);
    enum outcome outcome = change_deadline(work, &copy);
    if (outcome == DONE)
        finish(cmd, KV_OK, revision);
    return outcome;
}

/* The key's entry is past its deadline: removes it, so that the key is missing. */
static void expire_key(struct work *work)
{
    writer_take_away(&work->writer, KV_REASON_EXPIRE, &work->place);
    work->entry = NULL;
}

static void look_up(struct work *work)
{
    struct writer *writer = &work->writer;
    int64_t deadline_ms;
    work->entry = table_locate(&writer->shard->table, &writer->probe, &work->place);
    if (work->entry != NULL &&
        entry_look(work->entry, &writer->store->host->base, &deadline_ms) == NULL)
        expire_key(work);
}

/* Whether the command's condition holds for its entry. */
static bool holds(const struct work *work)
{
    struct entry *entry = work->entry;
    if (entry == NULL)
        return kv_cmd_holds_until(work->cmd, false, 0, KV_NEVER);
    return kv_cmd_holds_until(work->cmd, true, entry_revision(entry), entry_deadline(entry));
}

static enum outcome execute(struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    if (!holds(work)) {
        finish(cmd, KV_CONDITION, work->entry == NULL ? 0 : entry_revision(work->entry));
        return DONE;
    }
    if (cmd->op == KV_OP_SET)
        return set_value(work);
    if (cmd->op == KV_OP_UPDATE)
        return update_key(work);
    return cmd->op == KV_OP_DELETE ? delete_key(work) : touch_key(work);
}

/* An entry can expire at most once during the write: after that, the key is missing. */
static void commit(struct work *work)
{
    look_up(work);
    enum outcome outcome = execute(work);
    if (outcome == EXPIRED) {
        expire_key(work);
        outcome = execute(work);
    }
    if (outcome == NO_ROOM)
        finish(work->cmd, KV_FULL, 0);
}

/* ---- writing: before locking ---- */

static struct entry *find_ahead(const struct work *work)
{
    return table_find(&work->writer.shard->table, &work->writer.probe);
}

/* Compares a long value with the key's present one. If that changes before the commit, the commit
 * compares again. */
static void compare_ahead(struct work *work, struct entry *entry)
{
    if (kv_slice_equals(entry_value(entry), entry_value(work->fresh)))
        work->equal = entry;
    else
        work->unlike = entry;
}

/* The entry for a SET: staged before the command, or made now. Returns: NULL if memory runs out. */
static struct entry *make_entry(const struct kv_cmd *cmd)
{
    struct entry *staged = cmd->staged;
    int64_t deadline_ms = cmd->keeps_deadline ? 0 : cmd->deadline_ms; /* 0: there is room for any */
    if (staged == NULL)
        return entry_create(cmd->key, cmd->value, deadline_ms);
    entry_ref(staged);
    entry_move_deadline(staged, cmd->deadline_ms);
    return staged;
}

static enum kv_status prepare_set(struct work *work)
{
    struct kv_cmd *cmd = work->cmd;
    if (cmd->key.len > ENTRY_MAX_KEY || cmd->value.len > ENTRY_MAX_VALUE)
        return KV_TOO_BIG;
    work->fresh = make_entry(cmd);
    if (work->fresh == NULL)
        return KV_FULL;
    struct entry *entry = cmd->value.len < LONG_VALUE ? NULL : find_ahead(work);
    if (entry != NULL)
        compare_ahead(work, entry);
    return KV_PENDING;
}

/* Whether the key's value is long enough for a computation before the commit. */
static bool is_promising(const struct work *work)
{
    return work->entry != NULL && entry_value_len(work->entry) >= LONG_VALUE &&
           !is_too_long(work) && holds(work);
}

/* Computes the result for a long value. A failure is left to the commit, which computes again. */
static enum kv_status prepare_update(struct work *work)
{
    int64_t deadline_ms;
    if (work->cmd->key.len > ENTRY_MAX_KEY)
        return KV_TOO_BIG;
    work->entry = find_ahead(work);
    if (!is_promising(work) ||
        entry_look(work->entry, &work->writer.store->host->base, &deadline_ms) != work->entry)
        return KV_PENDING;
    work->deadline_ms = 0; /* so that there is room for a deadline */
    if (compute(work) != KV_OK)
        return KV_PENDING;
    work->made_of = work->entry;
    compare_ahead(work, work->entry);
    return KV_PENDING;
}

static enum kv_status prepare(struct work *work)
{
    struct writer *writer = &work->writer;
    if (!epoch_reserve(&writer->store->epochs, writer->loop, WRITE_RETIRES))
        return KV_FULL;
    if (work->cmd->op == KV_OP_SET)
        return prepare_set(work);
    return work->cmd->op == KV_OP_UPDATE ? prepare_update(work) : KV_PENDING;
}

static void run_write(struct kv_store *store, uint32_t loop, struct kv_cmd *cmd,
                      const struct tree_place *leaf)
{
    struct work work = {.writer = writer_of(store, loop, cmd->hash, cmd->key),
                        .cmd = cmd,
                        .deadline_ms = cmd->deadline_ms,
                        .leaf = leaf};
    enum kv_status status = prepare(&work);
    if (status != KV_PENDING) {
        finish(cmd, status, 0);
        return;
    }
    pthread_mutex_lock(&work.writer.shard->lock);
    commit(&work);
    pthread_mutex_unlock(&work.writer.shard->lock);
    entry_unref(work.fresh);
}

/* ---- vectors ---- */

enum {
    MOST_LEVELS = 8 /* of the index that are prefetched */
};

static const struct tree_place no_leaf;

/* Commands of a vector that are prefetched together. */
struct group {
    struct kv_cmd *const *cmds;
    size_t n;
    size_t n_new; /* commands whose key is probably new */
    uint8_t news[FETCHED_AHEAD];
    struct shard *shards[FETCHED_AHEAD];
    struct tree_place leaves[FETCHED_AHEAD];
};

static void fetch_entries(struct kv_store *store, struct group *group)
{
    struct probe probes[FETCHED_AHEAD];
    for (size_t i = 0; i < group->n; i++) {
        const struct kv_cmd *cmd = group->cmds[i];
        uint64_t hash = table_hash(cmd->hash);
        group->shards[i] = &store->shards[table_shard(hash)];
        probes[i] = table_probe(hash, cmd->key);
        table_prefetch_group(&group->shards[i]->table, &probes[i]);
    }
    for (size_t i = 0; i < group->n; i++)
        if (!table_prefetch_entry(&group->shards[i]->table, &probes[i]) &&
            (group->cmds[i]->op == KV_OP_SET || group->cmds[i]->op == KV_OP_UPDATE))
            group->news[group->n_new++] = (uint8_t)i;
}

/* Returns: whether the key must be followed further. If another thread writes to the shard, waiting
 * would cost more than a cache miss. */
static bool fetch_level(struct shard *shard, struct kv_slice key, struct tree_place *place)
{
    if (pthread_mutex_trylock(&shard->lock) != 0)
        return false;
    bool goes_on = tree_fetch(&shard->index.tree, key, place);
    pthread_mutex_unlock(&shard->lock);
    return goes_on;
}

/* Descends the indexes for all new keys together, level by level: so the group waits once per
 * level, and not for the nodes of each key in sequence. */
static void fetch_leaves(struct group *group)
{
    for (size_t i = 0; i < group->n; i++)
        group->leaves[i] = no_leaf;
    for (size_t level = 0; level < MOST_LEVELS && group->n_new > 1; level++) {
        size_t n = 0;
        for (size_t i = 0; i < group->n_new; i++) {
            uint8_t at = group->news[i];
            if (fetch_level(group->shards[at], group->cmds[at]->key, &group->leaves[at]))
                group->news[n++] = at;
        }
        group->n_new = n;
    }
}

static void run_command(struct kv_store *store, uint32_t loop, struct kv_cmd *cmd,
                        const struct tree_place *leaf)
{
    if (cmd->op == KV_OP_GET)
        get_key(store, cmd);
    else
        run_write(store, loop, cmd, leaf);
}

static void run_group(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n)
{
    struct group group;
    group.cmds = cmds;
    group.n = n;
    group.n_new = 0;
    fetch_entries(store, &group);
    bool has_leaves = store->is_ordered && group.n_new > 1;
    if (has_leaves)
        fetch_leaves(&group);
    for (size_t i = 0; i < n; i++)
        run_command(store, loop, cmds[i], has_leaves ? &group.leaves[i] : &no_leaf);
}

/* A single command would have to wait anyway. */
void memory_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n)
{
    epoch_enter(&store->epochs, loop);
    for (size_t i = 0; i < n; i += FETCHED_AHEAD) {
        size_t left = n - i;
        if (left == 1)
            run_command(store, loop, cmds[i], &no_leaf);
        else
            run_group(store, loop, cmds + i, left < FETCHED_AHEAD ? left : FETCHED_AHEAD);
    }
    shards_leave(store, loop);
}
