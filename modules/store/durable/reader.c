/*
 * Reading: on the loop if everything is in memory, on a thread of its own if the engine may have to
 * wait for the disk.
 */
#include "reader.h"

enum {
    LONGEST_ON_LOOP = 64 << 10, /* bytes of a row that a loop copies itself */
    MOST_LOOKS = 8 /* of a key whose shard is constantly written; then the writer answers */
};

struct reading {
    const struct base *base;
    const struct kv_cmd *cmd;
    bool may_wait;
    struct entry *entry;
    bool is_damaged;
    bool is_left;  /* too long to be copied on a loop */
    size_t longer; /* the length of a value longer than wanted; otherwise 0 */
};

static void take_record(void *context, struct kv_slice row)
{
    struct reading *reading = context;
    reading->is_left = !reading->may_wait && row.len > LONGEST_ON_LOOP;
    if (reading->is_left)
        return;
    if (reading->cmd->most_bytes != 0 && row.len > reading->cmd->most_bytes) {
        reading->longer = row.len;
        return;
    }
    reading->entry = record_read(reading->cmd->key, reading->cmd->hash, row, reading->base->clock,
                                 &reading->is_damaged);
}

static enum glance finish(struct kv_cmd *cmd, enum glance glance, struct entry *entry)
{
    if (glance == GLANCE_FOUND) {
        cmd->item = entry_item(entry);
        cmd->status = KV_OK;
        cmd->revision = entry->revision;
    } else if (glance == GLANCE_MISSING) {
        cmd->status = KV_MISSING;
        cmd->revision = 0;
    }
    return glance;
}

static enum glance fail(struct kv_cmd *cmd)
{
    cmd->status = KV_IO;
    cmd->revision = 0;
    return GLANCE_MISSING;
}

static enum glance leave_longer(struct kv_cmd *cmd, size_t len)
{
    cmd->most_bytes = len;
    cmd->status = KV_LONGER;
    cmd->revision = 0;
    return GLANCE_MISSING;
}

/* The state was not in memory. */
static enum glance read_engine(const struct base *base, struct kv_cmd *cmd, bool may_wait,
                               uint64_t generation, struct entry **ret)
{
    struct reading reading = {.base = base, .cmd = cmd, .may_wait = may_wait};
    switch (base->ops->get(base->engine, KV_ENGINE_RECORDS, cmd->key,
                           may_wait ? KV_ENGINE_ANYWHERE : KV_ENGINE_IN_MEMORY, take_record,
                           &reading)) {
    case KV_ENGINE_WAITING:
        return GLANCE_UNKNOWN;
    case KV_ENGINE_OK:
        if (reading.is_left)
            return GLANCE_UNKNOWN;
        if (reading.longer != 0)
            return leave_longer(cmd, reading.longer);
        if (reading.entry == NULL)
            return fail(cmd);
        break;
    case KV_ENGINE_ABSENT:
        break;
    default:
        return fail(cmd);
    }
    return states_settle(base->states, cmd->hash, generation, reading.entry, ret);
}

enum glance reader_get(const struct base *base, struct kv_cmd *cmd, bool may_wait)
{
    struct entry *entry = NULL;
    cmd->status = KV_PENDING;
    for (int looks = 0; looks < MOST_LOOKS; looks++) {
        uint64_t generation;
        enum glance glance = states_look(base->states, cmd->key, cmd->hash, &entry, &generation);
        if (glance == GLANCE_UNKNOWN)
            glance = read_engine(base, cmd, may_wait, generation, &entry);
        if (cmd->status != KV_PENDING)
            return GLANCE_MISSING; /* it has failed, or is longer */
        if (glance != GLANCE_STALE)
            return finish(cmd, glance, entry);
    }
    return GLANCE_HELD;
}
