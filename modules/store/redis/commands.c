#include "commands.h"

#include "clock.h"
#include "event.h"
#include "lease.h"
#include "recall.h"
#include "record.h"
#include "whole.h"
#include "../../redis_client/request.h"

enum {
    ROOM = 12 * LONGEST_NAME + 1024, /* for all of a request but keys, values and revisions */
    PAGE_BYTES = 1 << 20,            /* of a page of a scan, about */
    REVISION = 8,                    /* bytes */
};

bool command_is_read(const struct job *job)
{
    return job->kind != JOB_COMMAND || job->cmd->op == KV_OP_GET || job->cmd->op == KV_OP_CATCH_UP;
}

bool command_is_bulky(const struct job *job)
{
    return job->kind == JOB_SCAN || job->kind == JOB_LEASE || job->kind == JOB_SHOW ||
           job->kind == JOB_RECALL || (job->kind == JOB_COMMAND && job->is_long);
}

static void write_call(struct buffer *out, struct kv_slice call, struct kv_slice function,
                       size_t n_keys, size_t n_arguments)
{
    request_begin(out, 3 + n_keys + n_arguments);
    request_word(out, call);
    request_word(out, function);
    request_number(out, (int64_t)n_keys);
}

/* The keys of a function that writes. */
static void write_keys(const struct kv_store *store, struct buffer *out, struct kv_slice key)
{
    request_joined(out, name_slice(&store->names.record), key);
    request_word(out, name_slice(&store->names.newest));
    request_word(out, name_slice(&store->names.log));
    request_word(out, name_slice(&store->names.deadlines));
    request_word(out, name_slice(&store->names.index));
}

static void write_clock(const struct kv_store *store, struct buffer *out)
{
    char text[CLOCK_WORD];
    request_word(out, clock_word(store, text));
}

/* The first arguments of a function that writes. */
static void write_common(struct kv_store *store, struct job *job, struct buffer *out)
{
    char token[TOKEN_SIZE];
    uint16_t mark = job->kind == JOB_COMMAND ? job->cmd->mark : 0;
    job->number = event_token_number(mark, store->node, ++store->last_number);
    event_write_number(token, store->origin);
    event_write_number(token + 8, job->number);
    write_clock(store, out);
    request_word(out, name_slice(&store->names.channel));
    request_number(out, store->settings.log_entries);
    request_word(out, (struct kv_slice){token, TOKEN_SIZE});
}

/* In a cluster, a write also names a key that never exists. So Redis refuses all writes to a slot
 * while it is being moved, instead of those alone whose own keys are not all there: a write that
 * was sent behind a refused one cannot overtake it. */
static void write_write_keys(const struct kv_store *store, struct buffer *out, struct kv_slice key)
{
    write_keys(store, out, key);
    if (store->nodes != NULL)
        request_word(out, name_slice(&store->names.nothing));
}

static size_t n_revisions(const struct kv_cmd *cmd)
{
    return (cmd->cond & KV_COND_REVISION) != 0 ? cmd->n_if_revisions : 0;
}

static void write_revisions(const struct kv_cmd *cmd, struct buffer *out)
{
    size_t n = n_revisions(cmd);
    request_open(out, n * REVISION);
    for (size_t i = 0; i < n; i++) {
        char bytes[REVISION];
        event_write_number(bytes, cmd->if_revisions[i]);
        buffer_append(out, (struct kv_slice){bytes, REVISION});
    }
    request_close(out);
}

static struct kv_slice function_of(enum kv_op op)
{
    return op == KV_OP_SET      ? KV_SLICE("kv1_set")
           : op == KV_OP_DELETE ? KV_SLICE("kv1_delete")
                                : KV_SLICE("kv1_touch");
}

/* The revision that a new one has to be larger than: the master's clock may be behind that of the
 * master before it. */
static void write_after(const struct kv_store *store, uint64_t after, struct buffer *out)
{
    request_number(out, (int64_t)(after > store->upto ? after : store->upto));
}

static bool names_deadline(const struct kv_cmd *cmd)
{
    return (cmd->cond & KV_COND_DEADLINE) != 0;
}

/* Whether the command deals with the deadline that the key has. Few do. */
static bool has_to_do_with_old_deadline(const struct kv_cmd *cmd)
{
    return names_deadline(cmd) || (cmd->op == KV_OP_SET && cmd->keeps_deadline);
}

static void write_old_deadline(const struct kv_store *store, const struct kv_cmd *cmd,
                               struct buffer *out)
{
    request_number(out, cmd->op == KV_OP_SET && cmd->keeps_deadline);
    if (names_deadline(cmd))
        request_number(out, clock_to_redis(store, cmd->if_deadline_ms));
    else
        request_word(out, (struct kv_slice){0});
    request_number(out, clock_inexact_ms());
}

static void write_write(struct kv_store *store, struct job *job, struct buffer *out)
{
    const struct kv_cmd *cmd = job->cmd;
    bool has_value = cmd->op == KV_OP_SET;
    bool has_more = has_to_do_with_old_deadline(cmd);
    write_call(out, KV_SLICE("FCALL"), function_of(cmd->op), store->nodes != NULL ? 6 : 5,
               10 + has_value + 3 * has_more);
    write_write_keys(store, out, cmd->key);
    write_common(store, job, out);
    request_number(out, (int64_t)store->names.record.len + 1);
    request_number(out, cmd->op == KV_OP_DELETE ? 0 : clock_to_redis(store, cmd->deadline_ms));
    request_number(out, cmd->cond);
    write_revisions(cmd, out);
    if (has_value)
        request_word(out, cmd->value);
    request_number(out, store->n_parts);
    write_after(store, job->after, out);
    if (has_more)
        write_old_deadline(store, cmd, out);
}

/* The most frequent of all: all words but the key have been written in advance. */
static void write_plain_get(const struct kv_store *store, const struct kv_cmd *cmd,
                            struct buffer *out)
{
    _Static_assert(RECORD_HEAD + COMMAND_INLINE - 1 == 65551, "the last byte, in the last word");
    buffer_append(out, KV_SLICE("*4\r\n$8\r\nGETRANGE\r\n"));
    request_joined(out, name_slice(&store->names.record), cmd->key);
    buffer_append(out, KV_SLICE("$1\r\n0\r\n$5\r\n65551\r\n"));
}

static void write_judged_get(const struct kv_store *store, const struct job *job,
                             struct buffer *out)
{
    write_call(out, KV_SLICE("FCALL_RO"), KV_SLICE("kv1_get"), 1, 2);
    request_joined(out, name_slice(&store->names.record), job->cmd->key);
    write_clock(store, out);
    request_number(out, job->is_long ? (int64_t)job->cmd->most_bytes : COMMAND_INLINE);
}

/* The answer comes behind the changes up to the revision. */
static void write_catch_up(const struct kv_store *store, struct buffer *out)
{
    request_begin(out, 2);
    request_word(out, KV_SLICE("GET"));
    request_word(out, name_slice(&store->names.newest));
}

static void write_command(struct kv_store *store, struct job *job, struct buffer *out)
{
    if (job->cmd->op == KV_OP_CATCH_UP)
        write_catch_up(store, out);
    else if (job->cmd->op != KV_OP_GET)
        write_write(store, job, out);
    else if (job->is_judged || job->is_long)
        write_judged_get(store, job, out);
    else
        write_plain_get(store, job->cmd, out);
}

/* Where a scan begins, as ZRANGEBYLEX takes it. */
static void write_start(const struct job *job, struct buffer *out)
{
    const struct kv_scan *scan = job->scan;
    struct kv_slice start = scan->start;
    bool is_next_part = scan->cursor.len != 0 && scan->cursor.bytes[0] == RECORD_PART_MARK;
    if (is_next_part || job->is_from_start) {
        request_joined(out, KV_SLICE("["), scan->prefix);
        return;
    }
    if (scan->cursor.len != 0)
        start = (struct kv_slice){scan->cursor.bytes + 1, scan->cursor.len - 1};
    bool is_before = kv_slice_compare(start, scan->prefix) < 0;
    if (is_before || scan->cursor.len == 0)
        request_joined(out, KV_SLICE("["), is_before ? scan->prefix : start);
    else
        request_joined(out, KV_SLICE("("), start);
}

static void write_scan(const struct kv_store *store, const struct job *job, struct buffer *out)
{
    const struct kv_scan *scan = job->scan;
    write_call(out, KV_SLICE("FCALL_RO"), KV_SLICE("kv1_scan"), 2, 7);
    request_word(out, name_slice(&store->names.index));
    request_word(out, name_slice(&store->names.newest));
    write_clock(store, out);
    request_word(out, name_slice(&store->names.record));
    write_start(job, out);
    request_word(out, scan->prefix);
    request_number(out, scan->capacity);
    request_number(out, PAGE_BYTES);
    request_number(out, scan->wants_values ? -1 : RECORD_HEAD - 1);
}

static void write_expire(struct kv_store *store, struct job *job, struct buffer *out)
{
    write_call(out, KV_SLICE("FCALL"), KV_SLICE("kv1_expire"), 5, 8);
    write_keys(store, out, (struct kv_slice){0});
    write_common(store, job, out);
    request_number(out, job->max);
    request_word(out, name_slice(&store->names.record));
    request_number(out, store->n_parts);
    write_after(store, 0, out);
    job->sent_at_ms = clock_now_ms(store);
}

/* One look is enough for all partitions of a node. */
static void write_look(const struct kv_store *store, struct job *job, struct buffer *out)
{
    const struct kv_store *beside[MOST_PARTS];
    size_t n = store->neighbours == NULL ? 0 : store->neighbours->beside(store->context, beside);
    write_call(out, KV_SLICE("FCALL_RO"), KV_SLICE("kv1_look"), 2, 2 * n);
    request_word(out, name_slice(&store->names.store));
    request_word(out, name_slice(&store->names.newest));
    for (size_t i = 0; i < n; i++) {
        request_number(out, beside[i]->part);
        request_word(out, name_slice(&beside[i]->names.newest));
    }
    job->sent_at_ms = clock_now_ms(store);
}

static size_t size_of(const struct kv_store *store, const struct job *job)
{
    if (job->kind == JOB_LOOK)
        return ROOM + (size_t)store->n_parts * 2 * LONGEST_NAME;
    if (job->kind == JOB_SCAN)
        return ROOM + 2 * job->scan->prefix.len + job->scan->start.len + job->scan->cursor.len;
    if (job->kind != JOB_COMMAND)
        return ROOM;
    return ROOM + job->cmd->key.len + job->cmd->value.len + n_revisions(job->cmd) * REVISION;
}

bool command_write(struct kv_store *store, struct job *job, struct buffer *out)
{
    size_t before = buffer_slice(out).len;
    if (!buffer_reserve(out, size_of(store, job)))
        return false;
    if (job->kind == JOB_COMMAND)
        write_command(store, job, out);
    else if (job->kind == JOB_SCAN)
        write_scan(store, job, out);
    else if (job->kind == JOB_EXPIRE)
        write_expire(store, job, out);
    else if (job->kind == JOB_LEASE)
        lease_write_request(store, job, out);
    else if (job->kind == JOB_SHOW)
        lease_write_reading(store, job, out);
    else if (job->kind == JOB_RECALL)
        recall_write_request(store, out);
    else if (job->kind == JOB_CHECK)
        whole_write_check(store, out);
    else
        write_look(store, job, out);
    job->n_bytes = buffer_slice(out).len - before;
    return true;
}
