#include "commands.h"

#include "chain.h"
#include "clock.h"
#include "expiring.h"
#include "lease.h"
#include "library.h"
#include "recall.h"
#include "record.h"
#include "../../redis_client/request.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    ROOM = 12 * LONGEST_NAME + 1024, /* for all of a request but keys, values and revisions */
    INLINE = EVENT_LEAST_LONG - 1,   /* bytes of a value that come on the lane */
    PAGE_BYTES = 1 << 20,            /* of a page of a scan, about */
    EXPIRY_RETRY_MS = 100,
    LOG_EVERY_MS = 1000,
    REVISION = 8, /* bytes */
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

/* ---- requests ---- */

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

static void write_plain_get(const struct kv_store *store, const struct kv_cmd *cmd,
                            struct buffer *out)
{
    request_begin(out, 4);
    request_word(out, KV_SLICE("GETRANGE"));
    request_joined(out, name_slice(&store->names.record), cmd->key);
    request_number(out, 0);
    request_number(out, RECORD_HEAD + INLINE - 1);
}

static void write_judged_get(const struct kv_store *store, const struct job *job,
                             struct buffer *out)
{
    write_call(out, KV_SLICE("FCALL_RO"), KV_SLICE("kv1_get"), 1, 2);
    request_joined(out, name_slice(&store->names.record), job->cmd->key);
    write_clock(store, out);
    request_number(out, job->is_long ? (int64_t)job->cmd->most_bytes : INLINE);
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
    job->sent_at_ms = clock_now_ms(store);
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
    else
        write_look(store, job, out);
    job->n_bytes = buffer_slice(out).len - before;
    return true;
}

/* ---- answers ---- */

static enum outcome end(struct job *job, enum kv_status status, uint64_t revision)
{
    job->cmd->status = status;
    job->cmd->revision = job->revision = revision;
    return OUTCOME_FINAL;
}

static enum outcome end_scan(struct job *job, enum kv_status status)
{
    job->scan->status = status;
    return OUTCOME_FINAL;
}

static const char *name_of(const struct job *job)
{
    static const char *const own[] = {[JOB_SCAN] = "a scan",
                                      [JOB_EXPIRE] = "an expiry",
                                      [JOB_LOOK] = "a look",
                                      [JOB_LEASE] = "a lease",
                                      [JOB_SHOW] = "a look at the log",
                                      [JOB_RECALL] = "a look back at the log"};
    if (job->kind != JOB_COMMAND)
        return own[job->kind];
    return job->cmd->op == KV_OP_SET      ? "a set"
           : job->cmd->op == KV_OP_DELETE ? "a delete"
           : job->cmd->op == KV_OP_GET    ? "a get"
           : job->cmd->op == KV_OP_TOUCH  ? "a touch"
                                          : "a look at its revision";
}

/* Once in a while. what: up to REFUSAL bytes. */
static void log_fault(struct kv_store *store, const struct job *job, const char *verb,
                      const char *what)
{
    struct refusal *last = &store->refusal;
    int64_t now_ms = link_clock_ms();
    if (strcmp(what, last->word) == 0 && now_ms - last->logged_ms < LOG_EVERY_MS)
        return;
    snprintf(last->word, sizeof(last->word), "%s", what);
    last->logged_ms = now_ms;
    store->host->base.log(&store->host->base, KV_LOG_ERROR, "Redis at %s %s %s: %s",
                          store->settings.address.text, verb, name_of(job), what);
}

/* A write has been executed, or not. */
static enum outcome take_strange(struct kv_store *store, struct job *job)
{
    log_fault(store, job, "answers", "not as expected");
    command_fail(store, job, command_is_read(job) ? KV_IO : KV_UNKNOWN);
    return OUTCOME_FINAL;
}

static enum outcome end_with_item(const struct kv_store *store, struct job *job,
                                  const struct event_state *state)
{
    struct record *record = record_create(job->cmd->key, state->value);
    if (record == NULL)
        return end(job, KV_FULL, 0);
    job->cmd->item = (struct kv_item){
        .value = record_value(record),
        .revision = state->revision,
        .deadline_ms = clock_to_host(store, state->deadline),
        .ref = record,
    };
    return end(job, KV_OK, state->revision);
}

/* It is Redis that knows whether a key has expired. Where its deadline lies between what its clock
 * may have said at the time, or said meanwhile, it is asked. */
static enum outcome judge(const struct kv_store *store, struct job *job,
                          const struct event_state *state)
{
    int64_t deadline_ms = clock_to_host(store, state->deadline);
    if (job->is_judged || job->is_long || deadline_ms > clock_now_ms(store) + store->clock.slack_ms)
        return end_with_item(store, job, state);
    if (deadline_ms <= job->sent_at_ms - store->clock.slack_ms)
        return end(job, KV_MISSING, 0);
    job->is_judged = true;
    return OUTCOME_AGAIN;
}

static enum outcome take_longer(struct job *job, size_t length)
{
    if (job->is_long) {
        job->cmd->most_bytes = length;
        return end(job, KV_LONGER, 0);
    }
    job->is_long = true;
    return OUTCOME_AGAIN;
}

static enum outcome take_get(struct kv_store *store, struct job *job,
                             const struct resp_value *answer)
{
    struct event_state state;
    if (answer->type == RESP_INTEGER && answer->number >= 0)
        return take_longer(job, (size_t)answer->number);
    if (answer->type != RESP_NULL && answer->type != RESP_STRING)
        return take_strange(store, job);
    bool is_missing = answer->type == RESP_NULL || answer->text.len == 0;
    if (is_missing && job->is_long) { /* only the lane's answers come behind the deletion */
        job->is_long = false;
        job->is_judged = true; /* there, an expired key has to be missing as well */
        return OUTCOME_AGAIN;
    }
    if (is_missing)
        return end(job, KV_MISSING, 0);
    if (!event_read_record(answer->text, &state))
        return end(job, KV_IO, 0);
    bool may_be_longer = !job->is_judged && state.value.len == INLINE;
    return may_be_longer && !job->is_long ? take_longer(job, INLINE) : judge(store, job, &state);
}

/* It waits for the changes up to there. A store that is empty has lost all: the thread finds out.
 */
static enum outcome take_newest(struct kv_store *store, struct job *job,
                                const struct resp_value *answer)
{
    uint64_t revision = 0;
    bool is_number = answer->type == RESP_STRING && answer->text.len != 0;
    for (size_t i = 0; is_number && i < answer->text.len; i++) {
        char digit = answer->text.bytes[i];
        is_number = digit >= '0' && digit <= '9' && revision <= KV_REVISION_MAX;
        revision = 10 * revision + (uint64_t)(digit - '0');
    }
    if (answer->type != RESP_NULL && !is_number)
        return take_strange(store, job);
    return end(job, KV_OK, revision);
}

/* Redis takes writes: it may have refused them before. */
static void be_accepted(struct kv_store *store)
{
    if (store->is_refusing)
        store->host->health(store->host, true, "");
    store->is_refusing = false;
}

/* The script's numbers are those of enum kv_status. */
static enum outcome take_write(struct kv_store *store, struct job *job,
                               const struct resp_value *status, const struct resp_value *revision)
{
    struct kv_cmd *cmd = job->cmd;
    if (status->type != RESP_INTEGER || revision->type != RESP_INTEGER || status->number < KV_OK ||
        status->number > KV_CONDITION || revision->number < 0 ||
        (uint64_t)revision->number > KV_REVISION_MAX)
        return take_strange(store, job);
    be_accepted(store);
    bool is_done = status->number == KV_OK || status->number == KV_UNCHANGED;
    if (is_done && cmd->op != KV_OP_DELETE && cmd->deadline_ms != KV_NEVER)
        store->host->wake_at(store->host, PART, cmd->deadline_ms);
    return end(job, (enum kv_status)status->number, (uint64_t)revision->number);
}

/* Redis may answer before it pushes what has expired: which is told first. */
static enum outcome take_expiry(struct kv_store *store, struct job *job, const struct resp_value *n,
                                const struct resp_value *next, struct kv_slice rest)
{
    struct resp_value last = {0};
    be_accepted(store);
    resp_next(&rest, &last);
    job->deadline_ms = expiring_next_ms(store, job, n->number, clock_to_host(store, next->number));
    job->revision = (uint64_t)last.number;
    return OUTCOME_FINAL;
}

static enum outcome take_lease(struct kv_store *store, const struct job *job,
                               const struct resp_value *claim, const struct resp_value *number,
                               struct kv_slice reply)
{
    lease_take(store, job, (uint64_t)claim->number, (uint64_t)number->number, reply);
    return OUTCOME_NONE;
}

static enum outcome take_changes(struct kv_store *store, const struct job *job,
                                 const struct resp_value *answer, struct kv_slice reply)
{
    if (job->kind == JOB_RECALL)
        recall_take_page(store, answer, reply);
    else
        lease_take_page(store, job, answer, reply);
    return OUTCOME_NONE;
}

/* An older server has loaded its library since this one connected. When this one connects again, it
 * loads its own. */
static void note_older_library(struct kv_store *store, const struct job *job)
{
    log_fault(store, job, "answers", "as an older library");
    kv_error_set(&store->loss, "Redis at %s has the functions of an older server",
                 store->settings.address.text);
}

/* Pairs of another partition's number and its newest revision, and then the library's version.
 * Returns: the version; 0: the library is older than version 14, and does not tell it. */
static int64_t take_looks_beside(struct kv_store *store, struct kv_slice reply, int64_t us)
{
    struct resp_value epoch, next, newest;
    resp_next(&reply, &epoch);
    while (resp_next(&reply, &next)) {
        if (!resp_next(&reply, &newest))
            return next.number;
        if (store->neighbours != NULL)
            store->neighbours->passed_beside(store->context, (uint32_t)next.number,
                                             (uint64_t)newest.number, (uint64_t)us - 1);
    }
    return 0;
}

/* All that was changed before has been pushed before. */
static enum outcome take_look(struct kv_store *store, const struct job *job,
                              const struct resp_value *us, const struct resp_value *newest,
                              struct kv_slice reply)
{
    if (!clock_is_time(us->number))
        return OUTCOME_LOST;
    clock_take(store, us->number, job->sent_at_ms);
    if ((uint64_t)newest->number != store->position)
        return OUTCOME_LOST;
    chain_pass(store, us->number);
    if (take_looks_beside(store, reply, us->number) >= library_version)
        return OUTCOME_NONE;
    note_older_library(store, job);
    return OUTCOME_LOST;
}

/* ---- pages ---- */

static void release_page(struct kv_scan *scan)
{
    for (uint32_t i = 0; i < scan->n; i++)
        record_unref(scan->entries[i].item.ref);
    scan->n = 0;
}

static bool add_entry(const struct kv_store *store, struct job *job, struct kv_slice key,
                      struct kv_slice record_bytes)
{
    struct kv_scan *scan = job->scan;
    struct event_state state;
    if (scan->n == scan->capacity || !event_read_record(record_bytes, &state))
        return false;
    struct record *record = record_create(key, state.value);
    if (record == NULL)
        return false;
    scan->entries[scan->n++] = (struct kv_scan_entry){
        .key = record_key(record),
        .item = {.value = record_value(record),
                 .revision = state.revision,
                 .deadline_ms = clock_to_host(store, state.deadline),
                 .ref = record},
    };
    return true;
}

static bool add_entries(const struct kv_store *store, struct job *job, struct kv_slice rest)
{
    struct resp_value key, record;
    while (resp_next(&rest, &key))
        if (!resp_next(&rest, &record) || !add_entry(store, job, key.text, record.text))
            return false;
    return true;
}

static bool set_next(struct kv_scan *scan, struct kv_slice last)
{
    struct record *cursor = record_create(last, (struct kv_slice){0});
    if (cursor == NULL)
        return false;
    scan->next = record_cursor(cursor);
    scan->next_ref = cursor;
    return true;
}

/* A page waits for the changes up to the newest revision at its reading: also a key that it lacks
 * may have been deleted by a change that is still to be pushed. */
static enum outcome take_page(struct kv_store *store, struct job *job, struct kv_slice rest)
{
    struct resp_value has_more = {0}, last = {0}, newest = {0};
    job->scan->n = 0;
    job->scan->next = (struct kv_slice){0}; /* it may have that of the page before */
    job->scan->next_ref = NULL;
    if (!resp_next(&rest, &has_more) || !resp_next(&rest, &last))
        return take_strange(store, job);
    if (!resp_next(&rest, &newest) || newest.type == RESP_STRING) {
        note_older_library(store, job);
        return OUTCOME_REFUSED;
    }
    if (newest.type != RESP_INTEGER || newest.number < 0)
        return take_strange(store, job);
    bool is_taken =
        add_entries(store, job, rest) && (has_more.number == 0 || set_next(job->scan, last.text));
    if (!is_taken)
        release_page(job->scan);
    job->revision = (uint64_t)newest.number;
    return end_scan(job, is_taken ? KV_OK : KV_FULL);
}

/* ---- errors ---- */

static bool says(struct kv_slice text, const char *words)
{
    return memmem(text.bytes, text.len, words, strlen(words)) != NULL;
}

/* Whether it takes a new connection to get over it. */
static bool is_about_the_session(struct kv_slice text)
{
    return says(text, "KVGONE") || says(text, "Function not found") || says(text, "LOADING") ||
           says(text, "READONLY") || says(text, "MASTERDOWN") || says(text, "NOAUTH");
}

/* The first word: what follows may have a client's bytes. */
static void read_word(struct kv_slice text, char word[REFUSAL])
{
    size_t len = 0;
    while (len < text.len && len + 1 < REFUSAL && text.bytes[len] >= 'A' && text.bytes[len] <= 'Z')
        len++;
    snprintf(word, REFUSAL, "%.*s", (int)len, text.bytes);
}

static void log_refusal(struct kv_store *store, const struct job *job, struct kv_slice text)
{
    char word[REFUSAL];
    read_word(text, word);
    log_fault(store, job, "refuses", word[0] != '\0' ? word : "an error");
}

/* Redis takes no writes until it can save again. Expiries are tried until then. */
static void be_refused(struct kv_store *store)
{
    char text[sizeof(store->settings.address.text) + 64];
    snprintf(text, sizeof(text), "Redis at %s takes no writes, as it cannot save (MISCONF)",
             store->settings.address.text);
    if (!store->is_refusing)
        store->host->health(store->host, false, text);
    store->is_refusing = true;
    store->host->wake_at(store->host, PART, clock_now_ms(store) + EXPIRY_RETRY_MS);
}

/* Whether the node does not serve the keys: no longer, or not yet. A scan also reads keys that it
 * cannot name, and fails within the function if those have moved ahead of the others. */
static bool is_elsewhere(const struct kv_store *store, struct kv_slice text)
{
    static const char *const words[] = {"MOVED ",      "ASK ",     "TRYAGAIN", "CLUSTERDOWN",
                                        "MASTERDOWN ", "READONLY", "LOADING "};
    for (size_t i = 0; may_be_replaced(store) && i < sizeof(words) / sizeof(words[0]); i++)
        if (kv_slice_has_prefix(text, kv_slice_of(words[i])))
            return true;
    return store->nodes != NULL && (says(text, "non local key") || says(text, "undeclared keys"));
}

static bool is_of_the_host(const struct job *job)
{
    return job->kind == JOB_COMMAND || job->kind == JOB_SCAN;
}

/* Redis has refused it, and nothing has changed. */
static enum outcome take_error(struct kv_store *store, struct job *job, struct kv_slice text)
{
    if (is_elsewhere(store, text) && is_of_the_host(job))
        return OUTCOME_REFUSED;
    bool is_full = kv_slice_has_prefix(text, KV_SLICE("OOM"));
    bool is_lost = is_about_the_session(text) || is_elsewhere(store, text);
    if (!is_full)
        log_refusal(store, job, text);
    if (kv_slice_has_prefix(text, KV_SLICE("MISCONF")))
        be_refused(store);
    bool is_for_now = is_lost || says(text, "NOREPLICAS");
    command_fail(store, job, is_full ? KV_FULL : is_for_now ? KV_UNAVAILABLE : KV_IO);
    if (is_lost || job->kind == JOB_LOOK)
        return OUTCOME_LOST;
    return is_of_the_host(job) ? OUTCOME_FINAL : OUTCOME_NONE;
}

void command_fail(struct kv_store *store, struct job *job, enum kv_status status)
{
    if (job->kind == JOB_COMMAND)
        end(job, status, 0);
    else if (job->kind == JOB_SCAN)
        end_scan(job, status);
    else if (job->kind == JOB_EXPIRE)
        store->host->wake_at(store->host, PART, clock_now_ms(store) + EXPIRY_RETRY_MS);
    lease_fail(store, job);
    recall_fail(store, job, status);
}

enum outcome command_take(struct kv_store *store, struct job *job, struct kv_slice reply)
{
    struct resp_value answer = {0}, first = {0}, second = {0};
    resp_next(&reply, &answer);
    if (answer.type == RESP_ERROR)
        return take_error(store, job, answer.text);
    if (job->kind == JOB_SCAN)
        return answer.type == RESP_ARRAY ? take_page(store, job, reply) : take_strange(store, job);
    if (job->kind == JOB_COMMAND && job->cmd->op == KV_OP_GET)
        return take_get(store, job, &answer);
    if (job->kind == JOB_COMMAND && job->cmd->op == KV_OP_CATCH_UP)
        return take_newest(store, job, &answer);
    if (job->kind == JOB_SHOW || job->kind == JOB_RECALL)
        return take_changes(store, job, &answer, reply);
    bool has_both =
        answer.type == RESP_ARRAY && resp_next(&reply, &first) && resp_next(&reply, &second);
    if (!has_both && job->kind == JOB_COMMAND)
        return take_strange(store, job);
    if (!has_both)
        return take_error(store, job, KV_SLICE("SHORT"));
    if (job->kind == JOB_COMMAND)
        return take_write(store, job, &first, &second);
    if (job->kind == JOB_LEASE)
        return take_lease(store, job, &first, &second, reply);
    return job->kind == JOB_EXPIRE ? take_expiry(store, job, &first, &second, reply)
                                   : take_look(store, job, &first, &second, reply);
}
