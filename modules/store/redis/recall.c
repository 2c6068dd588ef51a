/*
 * Invariant: `lock` guards a partition's `is_asked`, `is_closed` and `answer`. While a page is
 * asked for, the rest belongs to the thread that talks to Redis, otherwise to recall_run().
 */
#include "recall.h"

#include "clock.h"
#include "entry.h"
#include "event.h"
#include "record.h"
#include "../../redis_client/request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
    LONGEST_MS = 5000, /* of all of it */
    RETRY_MS = 20,
    FIRST_PAGE = 8, /* entries; then as many as are expected to have PAGE_BYTES */
    MOST_PAGE = 128,
    PAGE_BYTES = 1 << 20,
    PARTS_AT_ONCE = 4, /* more partitions read shorter pages, as each keeps one */
    FIRST_ROOM = 64,
    US_PER_MS = 1000,
    N_WORDS = 6, /* of a request */
    LONGEST_NUMBER = 24,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
};

/* A change, as it is remembered. */
struct past {
    enum kv_reason reason;
    uint64_t revision, prev;
    int64_t at_ms;
    int64_t deadline_ms;
    bool has_value;
    struct record
        *record; /* its key, and its value if it has one; NULL: there is nothing to tell */
};

struct past_page {
    size_t n, capacity;
    struct past changes[];
};

/* All partitions. */
struct recalling {
    const struct kv_store_host *host;
    struct kv_store *const *parts;
    uint32_t n_parts;
    uint64_t upto;
    recall_submit_fn submit;
    uint64_t n_remembered;
    int64_t until_ms;
};

void recall_init(struct kv_store *store)
{
    struct recall *recall = &store->recall;
    pthread_condattr_t attributes;
    pthread_mutex_init(&recall->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&recall->is_over, &attributes);
    pthread_condattr_destroy(&attributes);
    recall->is_closed = true; /* until somebody asks */
}

static void drop_page(struct recall *recall)
{
    for (size_t i = 0; recall->page != NULL && i < recall->page->n; i++)
        record_unref(recall->page->changes[i].record);
    free(recall->page);
    recall->page = NULL;
    recall->taken = 0;
}

void recall_fini(struct kv_store *store)
{
    drop_page(&store->recall);
    pthread_cond_destroy(&store->recall.is_over);
    pthread_mutex_destroy(&store->recall.lock);
}

/* ---- on the thread that talks to Redis ---- */

static uint32_t longest_page(const struct kv_store *store)
{
    return store->n_parts <= PARTS_AT_ONCE ? MOST_PAGE
                                           : MOST_PAGE * PARTS_AT_ONCE / store->n_parts + 1;
}

/* When the first page is asked for, the log has all that the chain has taken. */
static void begin(struct kv_store *store, struct recall *recall)
{
    recall->has_begun = true;
    recall->next = store->position;
    recall->page_entries = FIRST_PAGE;
    snprintf(recall->end, sizeof(recall->end), "+");
}

void recall_write_request(struct kv_store *store, struct buffer *out)
{
    struct recall *recall = &store->recall;
    char most[LONGEST_NUMBER];
    if (!recall->has_begun)
        begin(store, recall);
    snprintf(most, sizeof(most), "%" PRIu32, recall->page_entries);
    const struct kv_slice words[N_WORDS] = {KV_SLICE("XREVRANGE"),    name_slice(&store->names.log),
                                            kv_slice_of(recall->end), KV_SLICE("-"),
                                            KV_SLICE("COUNT"),        kv_slice_of(most)};
    request_begin(out, N_WORDS);
    for (size_t i = 0; i < N_WORDS; i++)
        request_word(out, words[i]);
}

static bool reserve(struct past_page **page)
{
    size_t capacity = *page == NULL ? FIRST_ROOM : 2 * (*page)->capacity;
    if (*page != NULL && (*page)->n < (*page)->capacity)
        return true;
    struct past_page *longer = realloc(*page, sizeof(**page) + capacity * sizeof(struct past));
    if (longer == NULL)
        return false;
    if (*page == NULL)
        longer->n = 0;
    longer->capacity = capacity;
    *page = longer;
    return true;
}

static enum kv_reason reason_of(enum event_op op)
{
    return op == EVENT_SET      ? KV_REASON_SET
           : op == EVENT_DELETE ? KV_REASON_DELETE
                                : KV_REASON_EXPIRE;
}

/* Returns: false if there is no memory. */
static bool add_change(const struct kv_store *store, const struct event *event,
                       struct past_page **page)
{
    struct past past = {
        .reason = reason_of(event->op),
        .revision = event->revision,
        .prev = event->prev,
        .at_ms = clock_to_host(store, (int64_t)(event->revision / US_PER_MS)),
        .deadline_ms = clock_to_host(store, event->after.deadline),
        .has_value = event->after.revision != 0 && !event->after.is_left_out,
    };
    bool is_told = event->before.revision != 0 || event->after.revision != 0;
    if (!reserve(page))
        return false;
    if (is_told) {
        past.record = record_create(event->key, event->after.value);
        if (past.record == NULL)
            return false;
    }
    (*page)->changes[(*page)->n++] = past;
    return true;
}

static void reverse(struct past *changes, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct past first = changes[i];
        changes[i] = changes[n - 1 - i];
        changes[n - 1 - i] = first;
    }
}

/* The events of an entry, the last one first. Returns: false if they cannot be read. */
static bool add_entry(const struct kv_store *store, struct kv_slice events, struct past_page **page)
{
    size_t before = *page == NULL ? 0 : (*page)->n;
    struct event event;
    int found;
    while ((found = event_next(&events, &event)) == 1)
        if (event.op != EVENT_DEADLINE && !add_change(store, &event, page))
            return false;
    if (*page != NULL)
        reverse((*page)->changes + before, (*page)->n - before);
    return found == 0;
}

static bool take_entry(struct kv_store *store, struct kv_slice *reply, struct past_page **page)
{
    struct recall *recall = &store->recall;
    struct entry entry;
    if (!entry_next(reply, &entry) || !entry.has_events || entry.id.len + 2 > sizeof(recall->end))
        return false;
    snprintf(recall->end, sizeof(recall->end), "(%.*s", (int)entry.id.len, entry.id.bytes);
    return add_entry(store, entry.events, page);
}

static void choose_length(const struct kv_store *store, struct recall *recall, size_t bytes,
                          int64_t n)
{
    size_t entries = PAGE_BYTES / (bytes / (size_t)n + 1) + 1;
    recall->page_entries = entries < longest_page(store) ? (uint32_t)entries : longest_page(store);
}

static void end_request(struct recall *recall, enum recall_answer answer)
{
    pthread_mutex_lock(&recall->lock);
    recall->is_asked = false;
    recall->answer = answer;
    if (recall->is_closed)
        drop_page(recall);
    pthread_cond_signal(&recall->is_over);
    pthread_mutex_unlock(&recall->lock);
}

void recall_take_page(struct kv_store *store, const struct resp_value *answer,
                      struct kv_slice reply)
{
    struct recall *recall = &store->recall;
    int64_t n = answer->type == RESP_ARRAY ? answer->number : 0;
    size_t bytes = reply.len;
    bool is_whole = n != 0;
    for (int64_t i = 0; is_whole && i < n; i++)
        is_whole = take_entry(store, &reply, &recall->page);
    recall->is_at_start = !is_whole;
    if (is_whole)
        choose_length(store, recall, bytes, n);
    end_request(recall, RECALL_PAGE);
}

void recall_fail(struct kv_store *store, const struct job *job, enum kv_status status)
{
    if (job->kind == JOB_RECALL)
        end_request(&store->recall, status == KV_UNAVAILABLE ? RECALL_LOST : RECALL_REFUSED);
}

/* ---- asking for pages ---- */

static bool ask(const struct recalling *recalling, struct kv_store *part)
{
    struct recall *recall = &part->recall;
    struct job job = {.kind = JOB_RECALL, .since_ms = link_clock_ms()};
    drop_page(recall);
    recall->is_asked = true;
    recall->is_closed = false;
    if (recalling->submit(part, &job, 1))
        return true;
    recall->is_asked = false;
    return false;
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t ns = time.tv_nsec + ms % 1000 * NS_PER_MS;
    time.tv_sec += ms / 1000 + ns / NS_PER_S;
    time.tv_nsec = ns % NS_PER_S;
    return time;
}

static enum recall_answer wait_for(struct kv_store *part, int64_t until_ms)
{
    struct recall *recall = &part->recall;
    int64_t left_ms = until_ms - link_clock_ms();
    struct timespec until = in_ms(left_ms > 0 ? left_ms : 0);
    int fault = 0;
    pthread_mutex_lock(&recall->lock);
    while (recall->is_asked && fault == 0)
        fault = pthread_cond_timedwait(&recall->is_over, &recall->lock, &until);
    enum recall_answer answer = recall->is_asked ? RECALL_NONE : recall->answer;
    pthread_mutex_unlock(&recall->lock);
    return answer;
}

/* Asks again when the connection was lost. Returns: whether there is a page. */
static bool wait_for_page(const struct recalling *recalling, struct kv_store *part)
{
    enum recall_answer answer;
    while ((answer = wait_for(part, recalling->until_ms)) == RECALL_LOST) {
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * NS_PER_MS}, NULL);
        if (link_clock_ms() >= recalling->until_ms || !ask(recalling, part))
            return false;
    }
    return answer == RECALL_PAGE;
}

static bool ask_all(const struct recalling *recalling)
{
    bool are_there = true;
    for (uint32_t i = 0; i < recalling->n_parts; i++)
        are_there = ask(recalling, recalling->parts[i]) && are_there;
    for (uint32_t i = 0; are_there && i < recalling->n_parts; i++)
        are_there = wait_for_page(recalling, recalling->parts[i]);
    return are_there;
}

/* Pages that are still under way are dropped when they arrive. */
static void close_all(const struct recalling *recalling)
{
    for (uint32_t i = 0; i < recalling->n_parts; i++) {
        struct recall *recall = &recalling->parts[i]->recall;
        pthread_mutex_lock(&recall->lock);
        recall->is_closed = true;
        if (!recall->is_asked)
            drop_page(recall);
        pthread_mutex_unlock(&recall->lock);
    }
}

/* ---- merging ---- */

static struct recall *find_last(const struct recalling *recalling, struct kv_store **ret_part)
{
    *ret_part = recalling->parts[0];
    for (uint32_t i = 1; i < recalling->n_parts; i++)
        if (recalling->parts[i]->recall.next > (*ret_part)->recall.next)
            *ret_part = recalling->parts[i];
    return &(*ret_part)->recall;
}

/* Finds the change that is next in the page. Those with larger revisions were made after the chain
 * had been looked at. Returns: NULL if it is not there. */
static const struct past *find_in_page(struct recall *recall)
{
    for (; recall->page != NULL && recall->taken < recall->page->n; recall->taken++)
        if (recall->page->changes[recall->taken].revision <= recall->next)
            return &recall->page->changes[recall->taken];
    return NULL;
}

/* Returns: NULL if the log does not have the change, or not in time. */
static const struct past *find_next(const struct recalling *recalling, struct kv_store *part)
{
    struct recall *recall = &part->recall;
    const struct past *past;
    while ((past = find_in_page(recall)) == NULL)
        if (recall->is_at_start || link_clock_ms() >= recalling->until_ms ||
            !ask(recalling, part) || !wait_for_page(recalling, part))
            return NULL;
    return past->revision == recall->next ? past : NULL;
}

static bool remember(struct recalling *recalling, const struct past *past, uint64_t after)
{
    const struct kv_store_host *host = recalling->host;
    struct kv_change change = {
        .reason = past->reason,
        .revision = past->revision,
        .key = record_key(past->record),
        .hash = host->hash(host, record_key(past->record)),
    };
    if (past->has_value)
        change.after = (struct kv_item){.value = record_value(past->record),
                                        .revision = past->revision,
                                        .deadline_ms = past->deadline_ms,
                                        .ref = past->record};
    if (!host->remember(host, after, recalling->upto, &change, past->at_ms))
        return false;
    recalling->upto = after;
    recalling->n_remembered++;
    return true;
}

/* Returns: whether there may be more. */
static bool take_last(struct recalling *recalling, uint64_t newest)
{
    struct kv_store *part;
    struct recall *recall = find_last(recalling, &part);
    const struct past *past = find_next(recalling, part);
    if (past == NULL)
        return false;
    recall->next = past->prev;
    recall->taken++;
    if (past->record == NULL || past->revision > newest)
        return true;
    return remember(recalling, past, find_last(recalling, &part)->next);
}

static void log_end(const struct recalling *recalling, int64_t took_ms)
{
    const struct kv_host *base = &recalling->host->base;
    bool is_late = link_clock_ms() >= recalling->until_ms;
    base->log(base, KV_LOG_INFO,
              "%" PRIu64 " changes read from the log of Redis in %" PRId64 " ms%s",
              recalling->n_remembered, took_ms, is_late ? ": there was no time for more" : "");
}

void recall_run(const struct kv_store_host *host, struct kv_store *const *parts, uint32_t n_parts,
                uint64_t upto, recall_submit_fn submit)
{
    int64_t began_ms = link_clock_ms();
    struct recalling recalling = {.host = host,
                                  .parts = parts,
                                  .n_parts = n_parts,
                                  .upto = upto,
                                  .submit = submit,
                                  .until_ms = began_ms + LONGEST_MS};
    if (ask_all(&recalling))
        while (take_last(&recalling, upto))
            ;
    log_end(&recalling, link_clock_ms() - began_ms);
    close_all(&recalling);
}
