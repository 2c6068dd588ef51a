#include "lease.h"

#include "chain.h"
#include "clock.h"
#include "entry.h"
#include "login.h"
#include "../../redis_client/request.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

enum {
    PAGE = 100,    /* entries of the log */
    RENEWALS = 3,  /* within the time of the lease */
    NOTE_MS = 100, /* how often a cursor that moves is written */
    RETRY_MS = 100,
    CONGESTED_MS = 5, /* how often observers are asked whether they have room again */
    RELEASE_MS = 500, /* what releasing it may take */
    LONGEST_NUMBER = 24,
    N_WORDS = 9, /* of a request */
    US_PER_MS = 1000,
};

/* A request for the lease, in words. */
struct request {
    char owner[LONGEST_NUMBER], claim[LONGEST_NUMBER], ttl[LONGEST_NUMBER], cursor[LONGEST_NUMBER];
    struct kv_slice words[N_WORDS];
};

void lease_init(struct kv_store *store)
{
    pthread_mutex_init(&store->lease.lock, NULL);
    store->lease.is_wanted = store->host->has_observers && !store->is_read_only;
}

void lease_fini(struct kv_store *store)
{
    pthread_mutex_destroy(&store->lease.lock);
}

/* ---- asking ---- */

static int64_t ask_at_ms(const struct lease *lease)
{
    int64_t note_at_ms = lease->asked_ms + NOTE_MS;
    bool has_news = lease->claim != 0 && lease->settled > lease->noted;
    return has_news && note_at_ms < lease->ask_at_ms ? note_at_ms : lease->ask_at_ms;
}

bool lease_is_to_ask(struct kv_store *store, struct job *ret_job)
{
    struct lease *lease = &store->lease;
    int64_t now_ms = link_clock_ms();
    if (!lease->is_wanted || lease->is_asking || now_ms < ask_at_ms(lease))
        return false;
    lease->is_asking = true;
    lease->asked_ms = now_ms;
    *ret_job = (struct job){.kind = JOB_LEASE,
                            .since_ms = now_ms,
                            .sent_at_ms = now_ms,
                            .number = lease->claim,
                            .after = lease->settled};
    return true;
}

static void make_request(const struct kv_store *store, struct request *request, uint64_t claim,
                         uint64_t cursor, int64_t ttl_ms)
{
    snprintf(request->owner, LONGEST_NUMBER, "%" PRIx64, store->origin);
    snprintf(request->claim, LONGEST_NUMBER, "%" PRIu64, claim);
    snprintf(request->ttl, LONGEST_NUMBER, "%" PRId64, ttl_ms);
    snprintf(request->cursor, LONGEST_NUMBER, "%" PRIu64, cursor);
    const struct kv_slice words[N_WORDS] = {
        KV_SLICE("FCALL"),
        KV_SLICE("kv1_lease"),
        KV_SLICE("2"),
        name_slice(&store->names.lease),
        name_slice(&store->names.newest),
        kv_slice_of(request->owner),
        kv_slice_of(request->claim),
        kv_slice_of(request->ttl),
        kv_slice_of(request->cursor),
    };
    memcpy(request->words, words, sizeof(words));
}

static void write_words(struct buffer *out, const struct kv_slice *words, size_t n)
{
    request_begin(out, n);
    for (size_t i = 0; i < n; i++)
        request_word(out, words[i]);
}

void lease_write_request(const struct kv_store *store, const struct job *job, struct buffer *out)
{
    struct request request = {0};
    make_request(store, &request, job->number, job->after, store->settings.lease_ms);
    write_words(out, request.words, N_WORDS);
}

static void log_line(const struct kv_store *store, enum kv_log_level level, const char *text,
                     uint64_t from, uint64_t to)
{
    char part[LONGEST_NUMBER] = "";
    if (store->nodes != NULL)
        snprintf(part, sizeof(part), "partition %u: ", store->part);
    store->host->base.log(&store->host->base, level, "%s%s %" PRIu64 " %" PRIu64, part, text, from,
                          to);
}

static void set_claim(struct lease *lease, uint64_t claim, uint64_t cursor)
{
    pthread_mutex_lock(&lease->lock);
    lease->claim = claim;
    lease->noted = cursor;
    lease->settled = cursor;
    lease->shown = cursor;
    lease->next = 0;
    lease->gap_at = lease->gap_to = 0;
    pthread_mutex_unlock(&lease->lock);
}

/* Under the lock. If observers have taken all before a gap, the cursor moves over it: otherwise it
 * would stay there until the next change, and the next server would find the gap again. */
static void pass_gap(struct lease *lease)
{
    if (lease->settled >= lease->gap_at && lease->settled < lease->gap_to)
        lease->settled = lease->gap_to;
}

/* They had taken all at the time of the cursor's change at the latest, by Redis's clock. */
static void note_cursor(struct kv_store *store, uint64_t cursor)
{
    struct lease *lease = &store->lease;
    int64_t now_ms = link_clock_ms();
    int64_t age_ms = clock_to_redis(store, clock_now_ms(store)) - (int64_t)(cursor / US_PER_MS);
    int64_t caught_ms = cursor >= store->position || age_ms < 0 ? now_ms
                        : age_ms < now_ms                       ? now_ms - age_ms
                                                                : 1;
    if (lease->caught_ms < caught_ms)
        lease->caught_ms = caught_ms;
}

static void be_granted(struct kv_store *store, const struct job *job, uint64_t claim,
                       uint64_t cursor)
{
    struct lease *lease = &store->lease;
    if (claim != job->number) {
        log_line(store, KV_LOG_INFO, "hooks and sinks of this server see the changes; claim, from",
                 claim, cursor);
        lease->n_takeovers++;
    }
    if (claim != job->number || cursor < job->after) /* a failover has lost what was taken */
        set_claim(lease, claim, cursor);
    lease->holder = 0;
    note_cursor(store, cursor);
    lease->noted = cursor;
    lease->until_ms = job->sent_at_ms + store->settings.lease_ms;
    lease->ask_at_ms = job->sent_at_ms + store->settings.lease_ms / RENEWALS;
}

static void take_holder(struct kv_store *store, struct kv_slice reply)
{
    struct lease *lease = &store->lease;
    struct resp_value cursor = {0}, id = {0};
    char text[LEASE_HOLDER];
    lease->holder = 0; /* a library of before version 9 does not name it */
    if (!resp_next(&reply, &cursor) || !resp_next(&reply, &id) || cursor.number < 0 ||
        id.type != RESP_STRING || id.text.len >= sizeof(text))
        return;
    snprintf(text, sizeof(text), "%.*s", (int)id.text.len, id.text.bytes);
    lease->taken = (uint64_t)cursor.number;
    note_cursor(store, lease->taken);
    lease->holder = strtoull(text, NULL, 16); /* last: reports go by it */
}

static void be_refused(struct kv_store *store, int64_t left_ms)
{
    struct lease *lease = &store->lease;
    int64_t longest_ms = store->settings.lease_ms / RENEWALS;
    if (lease->claim != 0)
        log_line(store, KV_LOG_WARN,
                 "the hooks and sinks of another server see the changes now, as this one did not "
                 "renew its lease in time; claim, up to",
                 lease->claim, lease->noted);
    set_claim(lease, 0, 0);
    lease->ask_at_ms = link_clock_ms() + (left_ms < longest_ms ? left_ms + 1 : longest_ms);
}

void lease_take(struct kv_store *store, const struct job *job, uint64_t claim, uint64_t number,
                struct kv_slice reply)
{
    store->lease.is_asking = false;
    if (claim == 0) {
        be_refused(store, (int64_t)number);
        take_holder(store, reply);
    } else {
        be_granted(store, job, claim, number);
    }
}

void lease_fail(struct kv_store *store, const struct job *job)
{
    struct lease *lease = &store->lease;
    if (job->kind == JOB_LEASE) {
        lease->is_asking = false;
        lease->ask_at_ms = link_clock_ms() + RETRY_MS;
    } else if (job->kind == JOB_SHOW) {
        lease->is_reading = false;
        lease->read_at_ms = link_clock_ms() + RETRY_MS;
    }
}

void lease_be_unsure(struct kv_store *store)
{
    store->lease.until_ms = 0;
    store->lease.ask_at_ms = 0;
    store->lease.holder = 0;
}

void lease_look(struct kv_store *store)
{
    if (lease_is_held(store) && store->lease.settled >= store->position)
        store->lease.caught_ms = link_clock_ms();
}

/* ---- reading and showing ---- */

static bool has_more(const struct kv_store *store)
{
    const struct lease *lease = &store->lease;
    bool is_told = store->told == NULL || *store->told >= lease->next;
    return lease_is_held(store) && !lease->is_reading && is_told && store->position > lease->shown;
}

bool lease_is_to_read(struct kv_store *store, struct job *ret_job)
{
    struct lease *lease = &store->lease;
    int64_t now_ms = link_clock_ms();
    if (!has_more(store) || now_ms < lease->read_at_ms)
        return false;
    if (!store->host->may_show(store->host)) {
        lease->read_at_ms = now_ms + CONGESTED_MS;
        return false;
    }
    lease->is_reading = true;
    *ret_job = (struct job){.kind = JOB_SHOW,
                            .since_ms = now_ms,
                            .number = lease->claim,
                            .after = lease->shown,
                            .revision = store->position};
    return true;
}

void lease_write_reading(const struct kv_store *store, const struct job *job, struct buffer *out)
{
    char behind[LONGEST_NUMBER + 4], most[LONGEST_NUMBER];
    snprintf(behind, sizeof(behind), "(%" PRIu64 "-1", job->after);
    snprintf(most, sizeof(most), "%d", PAGE);
    const struct kv_slice words[] = {KV_SLICE("XRANGE"),  name_slice(&store->names.log),
                                     kv_slice_of(behind), KV_SLICE("+"),
                                     KV_SLICE("COUNT"),   kv_slice_of(most)};
    write_words(out, words, sizeof(words) / sizeof(words[0]));
}

static void skip_gap(struct kv_store *store, uint64_t revision)
{
    struct lease *lease = &store->lease;
    log_line(store, KV_LOG_ERROR,
             "hooks and sinks have missed changes, which are no longer in the log of Redis "
             "(`log_entries`); between revisions",
             lease->shown, revision);
    lease->n_gaps++;
    pthread_mutex_lock(&lease->lock);
    lease->gap_at = lease->shown;
    lease->gap_to = revision;
    pass_gap(lease);
    pthread_mutex_unlock(&lease->lock);
    lease->shown = revision;
}

/* An expiry that a command meets is not the command's own change. */
static void show(struct kv_store *store, const struct event *event, const struct kv_change *change)
{
    uint64_t mark = event->op == EVENT_EXPIRE ? 0 : event->token.number >> TOKEN_MARK_AT;
    store->host->show(store->host, PART, store->lease.claim, (uint16_t)mark, change);
}

/* Returns: whether those behind it may be shown now. */
static bool show_event(struct kv_store *store, struct event *event)
{
    struct lease *lease = &store->lease;
    if (event->op == EVENT_DEADLINE || event->revision <= lease->shown)
        return true;
    if (event->revision > (store->told != NULL ? *store->told : store->position)) {
        lease->next = event->revision;
        return false;
    }
    if (event->prev > lease->shown)
        skip_gap(store, event->prev);
    if (chain_make_change(store, event, show) != 0) {
        lease->read_at_ms = link_clock_ms() + RETRY_MS;
        return false;
    }
    lease->shown = event->revision;
    return true;
}

static bool show_entry(struct kv_store *store, struct kv_slice events)
{
    struct event event;
    while (event_next(&events, &event) == 1)
        if (!show_event(store, &event))
            return false;
    return true;
}

static void show_page(struct kv_store *store, struct kv_slice reply, int64_t n)
{
    struct entry entry;
    for (int64_t i = 0; i < n; i++)
        if (!entry_next(&reply, &entry) || !show_entry(store, entry.events))
            return;
}

/* The changes that the chain has told are no longer in the log if there is nothing. */
void lease_take_page(struct kv_store *store, const struct job *job, const struct resp_value *answer,
                     struct kv_slice reply)
{
    struct lease *lease = &store->lease;
    lease->is_reading = false;
    if (job->number != lease->claim || job->after != lease->shown)
        return;
    if (answer->type == RESP_ARRAY && answer->number != 0)
        show_page(store, reply, answer->number);
    else if (job->revision > lease->shown)
        skip_gap(store, job->revision);
}

int lease_wait_ms(const struct kv_store *store)
{
    const struct lease *lease = &store->lease;
    int64_t at_ms = lease->is_asking ? INT64_MAX : ask_at_ms(lease);
    if (!lease->is_wanted)
        return INT_MAX;
    if (has_more(store) && lease->read_at_ms < at_ms)
        at_ms = lease->read_at_ms;
    int64_t wait_ms = at_ms - link_clock_ms();
    return at_ms == INT64_MAX || wait_ms > INT_MAX ? INT_MAX : wait_ms < 1 ? 1 : (int)wait_ms;
}

/* ---- on any thread ---- */

enum kv_claim_state lease_state(const struct kv_store *store, uint64_t claim)
{
    int64_t until_ms = store->lease.until_ms; /* before the claim, which changes first */
    if (claim != store->lease.claim)
        return KV_CLAIM_LOST;
    return link_clock_ms() < until_ms ? KV_CLAIM_HELD : KV_CLAIM_UNSURE;
}

bool lease_is_held(const struct kv_store *store)
{
    uint64_t claim = store->lease.claim;
    return claim != 0 && lease_state(store, claim) == KV_CLAIM_HELD;
}

bool lease_has_to_show(const struct kv_store *store, uint64_t revision)
{
    uint64_t shown = store->lease.shown;
    return lease_is_held(store) && store->is_connected && shown < store->position &&
           shown < revision;
}

void lease_report(const struct kv_store *store, struct kv_part_state *state, char id[LEASE_HOLDER])
{
    const struct lease *lease = &store->lease;
    bool is_held = lease_is_held(store);
    uint64_t holder = is_held ? store->origin : lease->holder;
    int64_t caught_ms = lease->caught_ms;
    if (holder == 0)
        return;
    snprintf(id, LEASE_HOLDER, "%" PRIx64, holder);
    state->holder = is_held ? KV_HOLDER_HERE : KV_HOLDER_ELSEWHERE;
    state->holder_id = kv_slice_of(id);
    state->cursor = is_held ? lease->settled : lease->taken;
    state->behind_ms = state->cursor >= store->position ? 0 : link_clock_ms() - caught_ms;
}

void lease_settle(struct kv_store *store, uint64_t claim, uint64_t revision)
{
    struct lease *lease = &store->lease;
    pthread_mutex_lock(&lease->lock);
    if (claim == lease->claim && lease->settled < revision)
        lease->settled = revision;
    pass_gap(lease);
    pthread_mutex_unlock(&lease->lock);
}

void lease_release(struct kv_store *store)
{
    struct kv_error error;
    struct kv_slice reply;
    struct request request = {0};
    uint64_t id;
    if (store->lease.claim == 0 || !store->is_connected)
        return;
    store->is_closing = false; /* connecting would give up at once */
    link_close(&store->fetch);
    struct attempt attempt = login_attempt(store, &store->fetch, &error);
    if (attempt.until_ms > link_clock_ms() + RELEASE_MS)
        attempt.until_ms = link_clock_ms() + RELEASE_MS;
    make_request(store, &request, store->lease.claim, store->lease.settled, 0);
    if (login_connect(&attempt, &id) == 0)
        login_ask(&attempt, request.words, N_WORDS, &reply);
}
