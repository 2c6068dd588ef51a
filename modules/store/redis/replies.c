#include "replies.h"

#include "chain.h"
#include "clock.h"
#include "commands.h"
#include "event.h"
#include "expiring.h"
#include "lease.h"
#include "library.h"
#include "recall.h"
#include "record.h"
#include "whole.h"

#include <stdio.h>
#include <string.h>

enum {
    EXPIRY_RETRY_MS = 100,
    LOG_EVERY_MS = 1000,
};

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
                                      [JOB_RECALL] = "a look back at the log",
                                      [JOB_CHECK] = "a check"};
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
    reply_fail(store, job, command_is_read(job) ? KV_IO : KV_UNKNOWN);
    return OUTCOME_FINAL;
}

static enum outcome end_with_item(const struct kv_store *store, struct job *job,
                                  const struct event_state *state)
{
    struct record *record = record_create((struct kv_slice){0}, state->value);
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
    bool is_decided = job->is_judged || job->is_long || deadline_ms == KV_NEVER;
    if (is_decided || deadline_ms > clock_now_ms(store))
        return end_with_item(store, job, state);
    if (clock_latest_to_host(store, state->deadline) <= job->sent_at_ms)
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
    bool may_be_longer = !job->is_judged && state.value.len == COMMAND_INLINE;
    return may_be_longer && !job->is_long ? take_longer(job, COMMAND_INLINE)
                                          : judge(store, job, &state);
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
        store->host->wake_at(store->host, PART,
                             clock_latest_to_host(store, clock_to_redis(store, cmd->deadline_ms)));
    return end(job, (enum kv_status)status->number, (uint64_t)revision->number);
}

/* Redis may answer before it pushes what has expired: which is told first. */
static enum outcome take_expiry(struct kv_store *store, struct job *job, const struct resp_value *n,
                                const struct resp_value *next, struct kv_slice rest)
{
    struct resp_value last = {0};
    be_accepted(store);
    resp_next(&rest, &last);
    job->deadline_ms = expiring_next_ms(job, n->number, clock_latest_to_host(store, next->number));
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

/* The first word: the rest may have a client's bytes. */
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
    reply_fail(store, job, is_full ? KV_FULL : is_for_now ? KV_UNAVAILABLE : KV_IO);
    if (is_lost || job->kind == JOB_LOOK)
        return OUTCOME_LOST;
    return is_of_the_host(job) ? OUTCOME_FINAL : OUTCOME_NONE;
}

void reply_fail(struct kv_store *store, struct job *job, enum kv_status status)
{
    if (job->kind == JOB_COMMAND)
        end(job, status, 0);
    else if (job->kind == JOB_SCAN)
        end_scan(job, status);
    else if (job->kind == JOB_EXPIRE)
        store->host->wake_at(store->host, PART, clock_now_ms(store) + EXPIRY_RETRY_MS);
    else if (job->kind == JOB_LOOK)
        store->is_looking = false;
    else if (job->kind == JOB_CHECK)
        store->whole.is_asked = false;
    lease_fail(store, job);
    recall_fail(store, job, status);
}

enum outcome reply_take(struct kv_store *store, struct job *job, struct kv_slice reply)
{
    struct resp_value answer = {0}, first = {0}, second = {0};
    resp_next(&reply, &answer);
    if (job->kind == JOB_CHECK)
        return whole_take_check(store, &answer, reply) ? OUTCOME_NONE : OUTCOME_LOST;
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
