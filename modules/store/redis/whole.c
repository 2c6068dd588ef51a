#include "whole.h"

#include "nodes.h"
#include "../../redis_client/request.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    CHECK_MS = 500,
    RENEW_MS = 1000,    /* of the note: less than MENDING_MS in library.lua */
    LOG_ENTRIES = 1000, /* those that a lost master had not replicated are among them */
    PAGE = 1000,        /* keys */
    LONGEST_NUMBER = 24,
    N_CHECKED = 8,
    N_CHECK_WORDS = 3 + N_CHECKED + 3,
    N_FOUND = 8,
    N_MENDED = 6,
    N_MEND_WORDS = 3 + N_MENDED + 8,
};

/* The words of a request, and the numbers among them. */
struct check_words {
    char slot[LONGEST_NUMBER], entries[LONGEST_NUMBER];
    struct kv_slice words[N_CHECK_WORDS];
};

/* The mending that a server had begun when it died, or lost its connection. */
enum unfinished {
    UNFINISHED_NOTHING,
    UNFINISHED_INDEX,
    UNFINISHED_RECORDS,
};

struct found_keys {
    bool is_known;
    int64_t excess; /* keys of the slot that are not the partition's; below 0: it lacks some */
    bool agrees;    /* the log, with the keys */
    bool has_sets;  /* an index, and deadlines */
    bool is_late;   /* a deadline is missing */
    int64_t n_indexed, newest;
    enum unfinished unfinished;
    bool is_being_mended; /* by a server, which may be this one */
};

static bool is_used(const struct kv_store *store)
{
    return store->nodes != NULL && !store->is_read_only;
}

void whole_doubt(struct kv_store *store)
{
    store->whole.is_in_doubt = true;
}

/* ---- checking ---- */

static void make_check(const struct kv_store *store, int entries, struct check_words *ret)
{
    const struct names *names = &store->names;
    snprintf(ret->slot, LONGEST_NUMBER, "%u", nodes_slot_of(store->tag));
    snprintf(ret->entries, LONGEST_NUMBER, "%d", entries);
    const struct kv_slice words[N_CHECK_WORDS] = {
        KV_SLICE("FCALL_RO"),          KV_SLICE("kv1_check"),       KV_SLICE("8"),
        name_slice(&names->index),     name_slice(&names->newest),  name_slice(&names->log),
        name_slice(&names->deadlines), name_slice(&names->store),   name_slice(&names->lease),
        name_slice(&names->fence),     name_slice(&names->nothing), kv_slice_of(ret->slot),
        name_slice(&names->record),    kv_slice_of(ret->entries),
    };
    memcpy(ret->words, words, sizeof(words));
}

static bool says_moving(const struct resp_value *answer)
{
    return answer->type == RESP_ERROR && (kv_slice_has_prefix(answer->text, KV_SLICE("ASK ")) ||
                                          kv_slice_has_prefix(answer->text, KV_SLICE("TRYAGAIN")));
}

static void read_check(const struct resp_value *answer, struct kv_slice reply,
                       struct found_keys *ret)
{
    struct resp_value values[N_FOUND];
    *ret = (struct found_keys){0};
    for (size_t i = 0; i < N_FOUND; i++)
        if (answer->type != RESP_ARRAY || !resp_next(&reply, &values[i]))
            return;
    *ret = (struct found_keys){
        .is_known = true,
        .excess = values[0].number,
        .agrees = values[1].number == 1,
        .has_sets = values[2].number == 1,
        .is_late = values[3].number == 1,
        .n_indexed = values[4].number,
        .newest = values[5].number,
        .unfinished = (enum unfinished)values[6].number,
        .is_being_mended = values[7].number == 1,
    };
}

/* The index is not changed without a new revision: one that has become smaller was lost. Then its
 * keys may be lost with it, so that their number shows nothing. */
static bool has_lost_index(const struct kv_store *store, const struct found_keys *found)
{
    return found->newest == store->whole.newest && found->n_indexed < store->whole.n_indexed;
}

static void count(struct kv_store *store, const struct found_keys *found)
{
    store->whole.newest = found->newest;
    store->whole.n_indexed = found->n_indexed;
}

/* Redis puts other words before it if a function was refused a command. */
static bool says_forbidden(const struct resp_value *answer)
{
    static const char *const signs[] = {"NOPERM", "The user executing the script",
                                        "ACL failure in script"};
    struct kv_slice text = answer->text;
    for (size_t i = 0; answer->type == RESP_ERROR && i < sizeof(signs) / sizeof(signs[0]); i++)
        if (memmem(text.bytes, text.len, signs[i], strlen(signs[i])) != NULL)
            return true;
    return false;
}

static void report_refusal(const struct kv_store *store, const struct resp_value *answer)
{
    store->host->base.log(&store->host->base, KV_LOG_WARN,
                          "Redis at %s, partition %" PRIu32 ": lost keys would go unnoticed: %.*s",
                          store->settings.address.text, store->part, (int)answer->text.len,
                          answer->text.bytes);
}

static int check(const struct attempt *attempt, struct found_keys *ret)
{
    struct check_words request = {0};
    struct resp_value answer = {0};
    struct kv_slice reply;
    make_check(attempt->store, LOG_ENTRIES, &request);
    if (login_ask(attempt, request.words, N_CHECK_WORDS, &reply) != 0)
        return -1;
    resp_next(&reply, &answer);
    if (says_moving(&answer))
        whole_doubt(attempt->store);
    else if (says_forbidden(&answer))
        report_refusal(attempt->store, &answer);
    read_check(&answer, reply, ret);
    return 0;
}

/* ---- mending ---- */

/* In Redis, of what is being mended: others let this server go on as long as it renews it. */
struct note {
    bool is_taken;
    int64_t renewed_ms;
};

/* Redis has a function that mends a page of keys, and one that only looks at it. */
struct mending {
    struct kv_slice function, looking;
    enum {
        TELLS_IF_LOST,
        TELLS,
        HAS_TOLD
    } telling;
    struct note *note;
    struct buffer at;    /* a position in the index, or a cursor of SCAN */
    int64_t n, n_untold; /* keys lost or regained; those of pages after the first such page */
};

static const struct mending of_index = {
    .function = {"kv1_mend", 8},
    .looking = {"kv1_mend_look", 13},
};

static const struct mending of_records = {
    .function = {"kv1_regain", 10},
    .looking = {"kv1_regain_look", 15},
};

struct page {
    struct kv_slice next; /* in the link's input until the next answer */
    int64_t n_lost, n_deadlines;
};

static int ask_for_page(const struct attempt *attempt, const struct mending *mending, bool mends,
                        struct page *ret)
{
    static const char *const telling[] = {[TELLS_IF_LOST] = "0", [TELLS] = "1", [HAS_TOLD] = ""};
    struct kv_store *store = attempt->store;
    const struct names *names = &store->names;
    struct kv_slice function = mends ? mending->function : mending->looking;
    char log[LONGEST_NUMBER], step[LONGEST_NUMBER], after[LONGEST_NUMBER], page[LONGEST_NUMBER];
    struct resp_value answer, next = {0}, n_lost = {0}, n_deadlines = {0};
    struct kv_slice reply;
    snprintf(log, sizeof(log), "%" PRId64, store->settings.log_entries);
    snprintf(step, sizeof(step), "%" PRIu32, store->n_parts);
    snprintf(after, sizeof(after), "%" PRIu64, (uint64_t)store->upto);
    snprintf(page, sizeof(page), "%d", PAGE);
    const struct kv_slice words[N_MEND_WORDS] = {
        mends ? KV_SLICE("FCALL") : KV_SLICE("FCALL_RO"),
        function,
        KV_SLICE("6"),
        name_slice(&names->index),
        name_slice(&names->newest),
        name_slice(&names->log),
        name_slice(&names->deadlines),
        name_slice(&names->nothing),
        name_slice(&names->store),
        name_slice(&names->channel),
        kv_slice_of(log),
        kv_slice_of(step),
        kv_slice_of(after),
        name_slice(&names->record),
        buffer_slice(&mending->at),
        kv_slice_of(page),
        kv_slice_of(telling[mending->telling]),
    };
    if (login_demand(attempt, words, N_MEND_WORDS, &answer, &reply) != 0)
        return -1;
    if (!resp_next(&reply, &next) || !resp_next(&reply, &n_lost) ||
        !resp_next(&reply, &n_deadlines) || n_deadlines.type != RESP_INTEGER)
        return kv_error_set(attempt->reterr, "Redis at %s answers %.*s not as expected",
                            login_address(attempt)->text, (int)function.len, function.bytes);
    *ret = (struct page){next.text, n_lost.number, n_deadlines.number};
    return 0;
}

static int go_to(const struct attempt *attempt, struct mending *mending, struct kv_slice at)
{
    buffer_consume(&mending->at, buffer_slice(&mending->at).len);
    if (!buffer_reserve(&mending->at, at.len))
        return kv_error_set(attempt->reterr, "no memory");
    buffer_append(&mending->at, at);
    return 0;
}

static bool has_found(const struct page *page)
{
    return page->n_lost > 0 || page->n_deadlines > 0;
}

static bool is_to_renew(const struct note *note)
{
    return note->is_taken && link_clock_ms() - note->renewed_ms >= RENEW_MS;
}

/* A page that has nothing to mend is only looked at, which needs no right to write, except to renew
 * the note. */
static int mend_page(const struct attempt *attempt, struct mending *mending)
{
    struct page page = {0};
    bool mends = mending->telling == TELLS || is_to_renew(mending->note);
    if (!mends && ask_for_page(attempt, mending, false, &page) != 0)
        return -1;
    mends = mends || has_found(&page);
    if (mends && ask_for_page(attempt, mending, true, &page) != 0)
        return -1;
    if (mends)
        *mending->note = (struct note){true, link_clock_ms()};
    mending->n += page.n_lost;
    mending->n_untold += mending->telling == HAS_TOLD ? page.n_lost : 0;
    if (mending->telling == TELLS || page.n_lost > 0)
        mending->telling = HAS_TOLD;
    return go_to(attempt, mending, page.next);
}

/* The attempt's time begins anew for each page, and after the last one. */
static int mend_pages(struct attempt *attempt, struct mending *mending)
{
    struct kv_store *store = attempt->store;
    do {
        if (attempt->begin_page(attempt) != 0 || mend_page(attempt, mending) != 0)
            return -1;
    } while (buffer_slice(&mending->at).len != 0);
    attempt->until_ms = link_clock_ms() + store->settings.timeout_ms;
    return 0;
}

/* mending: at its end, how many keys were lost, or regained. Returns: -1 and *reterr. */
static int mend(struct attempt *attempt, struct mending *mending, const char *from)
{
    int result = go_to(attempt, mending, kv_slice_of(from));
    if (result == 0)
        result = mend_pages(attempt, mending);
    buffer_clear(&mending->at);
    return result;
}

static void report(const struct kv_store *store, int64_t n, const char *text)
{
    if (n > 0)
        store->host->base.log(&store->host->base, KV_LOG_ERROR,
                              "Redis at %s, partition %" PRIu32 ": %" PRId64
                              " %s: subscribers are shown the present state",
                              store->settings.address.text, store->part, n, text);
}

/* A subscriber that starts over is shown the records that are there, even while the index has more.
 * So a loss is told with the first page that shows it. */
static int mend_index(struct attempt *attempt, bool tells, struct note *note)
{
    struct mending mending = of_index;
    mending.note = note;
    mending.telling = tells ? TELLS : TELLS_IF_LOST;
    int result = mend(attempt, &mending, "-");
    report(attempt->store, mending.n, "keys have been lost");
    return result;
}

/* A subscriber that starts over is not shown records that are not in the index yet. So if more than
 * one page had such records, subscribers have to start over once more at the end. */
static int regain(struct attempt *attempt, struct note *note)
{
    struct mending records = of_records, end_of_index = of_index;
    records.note = end_of_index.note = note;
    end_of_index.telling = TELLS;
    int result = mend(attempt, &records, "0");
    report(attempt->store, records.n, "keys that were not in the index have been found");
    if (result != 0 || records.n_untold == 0)
        return result;
    return mend(attempt, &end_of_index, "+");
}

/* From now on, no other server goes on with it. */
static int end_mending(const struct attempt *attempt)
{
    struct mending end_of_index = of_index;
    struct page page;
    end_of_index.telling = HAS_TOLD;
    int result = go_to(attempt, &end_of_index, KV_SLICE("+"));
    if (result == 0)
        result = ask_for_page(attempt, &end_of_index, true, &page);
    buffer_clear(&end_of_index.at);
    return result;
}

/* A server that has died may not have told of the last records that it had found. If there is
 * surely something to mend, the note is taken with the first page, before others begin with the
 * same. */
static int mend_all(struct attempt *attempt, struct found_keys *found)
{
    const struct kv_store *store = attempt->store;
    bool goes_on = found->unfinished != UNFINISHED_NOTHING;
    bool tells =
        !found->agrees || has_lost_index(store, found) || found->unfinished == UNFINISHED_RECORDS;
    struct note note = {.is_taken = goes_on || found->excess < 0};
    if (mend_index(attempt, tells, &note) != 0 || check(attempt, found) != 0)
        return -1;
    bool may_have_more = store->whole.is_in_doubt || !found->has_sets || goes_on;
    bool is_to_regain = found->is_known && found->excess > 0 && may_have_more;
    if (is_to_regain && (regain(attempt, &note) != 0 || check(attempt, found) != 0))
        return -1;
    return found->is_known && note.is_taken ? end_mending(attempt) : 0;
}

static bool is_whole(const struct kv_store *store, const struct found_keys *found)
{
    bool may_lack_sets = store->whole.is_in_doubt && !found->has_sets;
    return found->excess == 0 && found->agrees && !found->is_late && !may_lack_sets &&
           found->unfinished == UNFINISHED_NOTHING && !has_lost_index(store, found);
}

int whole_make(struct attempt *attempt)
{
    struct kv_store *store = attempt->store;
    struct found_keys found;
    store->whole.is_counted = store->whole.is_asked = false;
    if (!is_used(store))
        return 0;
    if (check(attempt, &found) != 0)
        return -1;
    store->whole.is_to_count = found.is_being_mended;
    if (!found.is_known || found.is_being_mended)
        return 0;
    if (!is_whole(store, &found) && mend_all(attempt, &found) != 0)
        return -1;
    if (found.is_known) {
        count(store, &found);
        store->whole.is_in_doubt = false;
        store->whole.is_counted = found.excess == 0;
    }
    return 0;
}

/* ---- while the partition is connected ---- */

bool whole_is_to_check(struct kv_store *store, struct job *ret_job)
{
    int64_t now_ms = link_clock_ms();
    if (!is_used(store) || store->whole.is_asked || now_ms < store->whole.check_at_ms)
        return false;
    store->whole.is_asked = true;
    store->whole.check_at_ms = now_ms + CHECK_MS;
    *ret_job = (struct job){.kind = JOB_CHECK, .since_ms = now_ms};
    return true;
}

void whole_write_check(const struct kv_store *store, struct buffer *out)
{
    struct check_words request = {0};
    make_check(store, 0, &request);
    request_begin(out, N_CHECK_WORDS);
    for (size_t i = 0; i < N_CHECK_WORDS; i++)
        request_word(out, request.words[i]);
}

bool whole_take_check(struct kv_store *store, const struct resp_value *answer,
                      struct kv_slice reply)
{
    struct found_keys found;
    store->whole.is_asked = false;
    if (says_moving(answer))
        whole_doubt(store);
    read_check(answer, reply, &found);
    if (!found.is_known || found.is_being_mended)
        return true;
    bool is_other = found.excess < 0 || (store->whole.is_counted && found.excess != 0);
    is_other = is_other || has_lost_index(store, &found) || found.unfinished != UNFINISHED_NOTHING;
    if (!is_other && !store->whole.is_in_doubt) {
        count(store, &found);
        store->whole.is_counted |= store->whole.is_to_count && found.excess == 0;
        store->whole.is_to_count = false;
        return true;
    }
    whole_doubt(store);
    return false;
}
