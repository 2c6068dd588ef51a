#include "whole.h"

#include "nodes.h"
#include "../../redis_client/request.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    CHECK_MS = 500,
    LOG_ENTRIES = 1000, /* what a lost master had not passed on is among them */
    PAGE = 1000,        /* keys */
    LONGEST_NUMBER = 24,
    N_CHECKED = 8,
    N_CHECK_WORDS = 3 + N_CHECKED + 3,
    N_MENDED = 5,
    N_MEND_WORDS = 3 + N_MENDED + 8,
};

/* The words of a request, and the numbers among them. */
struct check_words {
    char slot[LONGEST_NUMBER], entries[LONGEST_NUMBER];
    struct kv_slice words[N_CHECK_WORDS];
};

struct found_keys {
    bool is_known;
    int64_t excess; /* keys of the slot that are not the partition's; below 0: it lacks some */
    bool agrees;    /* the log, with the keys */
    bool has_sets;  /* an index, and deadlines */
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
    struct resp_value excess, agrees, has_sets;
    *ret = (struct found_keys){0};
    if (answer->type != RESP_ARRAY || !resp_next(&reply, &excess) || !resp_next(&reply, &agrees) ||
        !resp_next(&reply, &has_sets))
        return;
    *ret = (struct found_keys){true, excess.number, agrees.number == 1, has_sets.number == 1};
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
    read_check(&answer, reply, ret);
    return 0;
}

/* ---- mending ---- */

/* A position in the index, or a cursor of SCAN. */
struct mending {
    struct kv_slice function;
    bool tells; /* a loss, in any case */
    struct kv_slice at;
    int64_t n;
};

static int mend_page(const struct attempt *attempt, struct mending *mending)
{
    struct kv_store *store = attempt->store;
    const struct names *names = &store->names;
    char log[LONGEST_NUMBER], step[LONGEST_NUMBER], after[LONGEST_NUMBER], page[LONGEST_NUMBER];
    struct resp_value answer, at = {0}, n = {0};
    struct kv_slice reply;
    snprintf(log, sizeof(log), "%" PRId64, store->settings.log_entries);
    snprintf(step, sizeof(step), "%" PRIu32, store->n_parts);
    snprintf(after, sizeof(after), "%" PRIu64, (uint64_t)store->upto);
    snprintf(page, sizeof(page), "%d", PAGE);
    const struct kv_slice words[N_MEND_WORDS] = {
        KV_SLICE("FCALL"),
        mending->function,
        KV_SLICE("5"),
        name_slice(&names->index),
        name_slice(&names->newest),
        name_slice(&names->log),
        name_slice(&names->deadlines),
        name_slice(&names->nothing),
        name_slice(&names->channel),
        kv_slice_of(log),
        kv_slice_of(step),
        kv_slice_of(after),
        name_slice(&names->record),
        mending->at,
        kv_slice_of(page),
        mending->tells ? KV_SLICE("1") : KV_SLICE("0"),
    };
    if (login_demand(attempt, words, N_MEND_WORDS, &answer, &reply) != 0)
        return -1;
    if (!resp_next(&reply, &at) || !resp_next(&reply, &n) || n.type != RESP_INTEGER)
        return kv_error_set(attempt->reterr, "Redis at %s answers %.*s not as expected",
                            login_address(attempt)->text, (int)mending->function.len,
                            mending->function.bytes);
    mending->tells = false;
    mending->at = at.text; /* in the link's input until the next answer */
    mending->n += n.number;
    return 0;
}

/* Each page has its time. Returns: how many keys were mended, or -1 and *reterr. */
static int64_t mend(const struct attempt *attempt, struct kv_slice function, const char *from,
                    bool tells)
{
    struct attempt page = *attempt;
    struct mending mending = {.function = function, .at = kv_slice_of(from), .tells = tells};
    do {
        page.until_ms = link_clock_ms() + attempt->store->settings.timeout_ms;
        if (mend_page(&page, &mending) != 0)
            return -1;
    } while (mending.at.len != 0);
    return mending.n;
}

static void report(const struct kv_store *store, int64_t n, const char *text)
{
    if (n > 0)
        store->host->base.log(&store->host->base, KV_LOG_ERROR,
                              "Redis at %s, partition %" PRIu32 ": %" PRId64
                              " %s: subscribers are shown the present state",
                              store->settings.address.text, store->part, n, text);
}

static int mend_all(const struct attempt *attempt, struct found_keys *found)
{
    struct kv_store *store = attempt->store;
    int64_t n = mend(attempt, KV_SLICE("kv1_mend"), "-", !found->agrees);
    if (n < 0)
        return -1;
    report(store, n, "keys have been lost");
    if (check(attempt, found) != 0)
        return -1;
    bool may_have_more = store->whole.is_in_doubt || !found->has_sets;
    if (!found->is_known || found->excess <= 0 || !may_have_more)
        return 0;
    n = mend(attempt, KV_SLICE("kv1_regain"), "0", false);
    report(store, n, "keys that were not in the index have been found");
    return n < 0 ? -1 : check(attempt, found);
}

static bool is_whole(const struct kv_store *store, const struct found_keys *found)
{
    bool may_lack_sets = store->whole.is_in_doubt && !found->has_sets;
    return found->excess == 0 && found->agrees && !may_lack_sets;
}

int whole_make(const struct attempt *attempt)
{
    struct kv_store *store = attempt->store;
    struct found_keys found;
    store->whole.is_counted = false;
    if (!is_used(store))
        return 0;
    if (check(attempt, &found) != 0)
        return -1;
    if (!found.is_known)
        return 0;
    if (!is_whole(store, &found) && mend_all(attempt, &found) != 0)
        return -1;
    if (found.is_known) {
        store->whole.is_in_doubt = false;
        store->whole.is_counted = found.excess == 0;
    }
    return 0;
}

/* ---- while the partition is connected ---- */

bool whole_is_to_check(struct kv_store *store, struct job *ret_job)
{
    int64_t now_ms = link_clock_ms();
    if (!is_used(store) || now_ms < store->whole.check_at_ms)
        return false;
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
    if (says_moving(answer))
        whole_doubt(store);
    read_check(answer, reply, &found);
    if (!found.is_known)
        return true;
    bool is_other = store->whole.is_counted && found.excess != 0;
    if (!is_other && !store->whole.is_in_doubt)
        return true;
    whole_doubt(store);
    return false;
}
