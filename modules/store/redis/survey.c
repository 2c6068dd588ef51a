#include "survey.h"

#include "nodes.h"
#include "opening.h"
#include "session.h"
#include "split.h"

#include <time.h>

enum {
    GLANCE_MS = 50,
    SETTLING_MS = 1000, /* another server may be making the store just now */
    LONGEST_LIST = 4 * MOST_PARTS,
};

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* ---- judging ---- */

static bool is_there(const struct found *found)
{
    return found->is_described && found->has_newest;
}

static bool is_absent(const struct found *found)
{
    return !found->is_described && !found->has_newest;
}

static bool are_of_one_store(const struct found *one, const struct found *other)
{
    return strcmp(one->epoch, other->epoch) == 0 &&
           placement_equals(&one->placement, &other->placement);
}

enum survey_state survey_judge(const struct survey *survey)
{
    const struct found *first = &survey->found[0];
    uint32_t n_absent = 0, n_there = 0;
    for (uint32_t i = 0; i < survey->n; i++) {
        const struct found *found = &survey->found[i];
        n_absent += is_absent(found);
        n_there += is_there(found) && is_there(first) && are_of_one_store(first, found);
    }
    if (n_there == survey->n)
        return STORE_WHOLE;
    bool is_being_made = n_there != 0 && first->is_being_made;
    bool is_new = n_absent == survey->n || (is_being_made && n_absent + n_there == survey->n);
    return is_new ? STORE_NEW : STORE_DAMAGED;
}

/* An empty partition fits any store. */
static bool fits_all(const struct survey *survey, const struct found *wanted)
{
    for (uint32_t i = 0; i < survey->n; i++) {
        const struct found *found = &survey->found[i];
        if (found->is_described && found->has_keys &&
            !placement_equals(&wanted->placement, &found->placement))
            return false;
    }
    return true;
}

static bool has_epoch(const struct found *found, const char *epoch)
{
    return found->is_described && strcmp(found->epoch, epoch) == 0;
}

static uint32_t count_epoch(const struct survey *survey, const char *epoch)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < survey->n; i++)
        n += has_epoch(&survey->found[i], epoch);
    return n;
}

/* If the epoch behind it is there as well, clients may know that one already. */
const char *survey_suggest(const struct survey *survey)
{
    const char *best = NULL;
    uint32_t most = 0;
    for (uint32_t i = 0; i < survey->n; i++) {
        const struct found *found = &survey->found[i];
        char next[KV_EPOCH_MAX];
        if (!found->is_described || !fits_all(survey, found))
            continue;
        placement_next_epoch(found->epoch, next);
        uint32_t n = count_epoch(survey, found->epoch);
        if (n > most && count_epoch(survey, next) == 0) {
            most = n;
            best = found->epoch;
        }
    }
    return best;
}

/* ---- refusing ---- */

/* Returns: whether there are any. */
static bool list(const struct survey *survey, const char *epoch, bool wants_lost,
                 char ret[LONGEST_LIST])
{
    size_t len = 0;
    ret[0] = '\0';
    for (uint32_t i = 0; i < survey->n; i++) {
        const struct found *found = &survey->found[i];
        bool is_lost = !is_there(found);
        bool is_wanted = wants_lost ? is_lost : !is_lost && strcmp(found->epoch, epoch) != 0;
        if (is_wanted)
            len += (size_t)snprintf(ret + len, LONGEST_LIST - len, len == 0 ? "%u" : ", %u", i);
    }
    return len != 0;
}

static int refuse(const struct survey *survey, struct kv_error *reterr)
{
    char lost[LONGEST_LIST], others[LONGEST_LIST];
    const char *epoch = survey_suggest(survey);
    bool has_lost = list(survey, epoch == NULL ? "" : epoch, true, lost);
    if (epoch == NULL)
        return kv_error_set(reterr,
                            "Redis Cluster: partitions of several stores are mixed%s%s; restore "
                            "them from backups, or use another `prefix`",
                            has_lost ? ", and these are lost: " : "", lost);
    bool has_others = list(survey, epoch, false, others);
    return kv_error_set(reterr,
                        "Redis Cluster: of the %u partitions of the store, %s%s%s%s%s. Bring back "
                        "their data, or add `accept_loss: \"%s\"` to the options of the store to "
                        "go on with what is left",
                        survey->n, has_lost ? "these are lost: " : "", lost,
                        has_lost && has_others ? "; " : "",
                        has_others ? "these have another epoch: " : "", others, epoch);
}

/* ---- looking ---- */

/* Some nodes may be down. */
static int visit(struct kv_store *part, int (*act)(const struct attempt *attempt, void *context),
                 void *context, struct kv_error *reterr)
{
    int64_t until_ms = link_clock_ms() + part->settings.timeout_ms;
    int result;
    while ((result = session_visit(part, act, context, reterr)) != 0 &&
           link_clock_ms() < until_ms) {
        opening_note(part, reterr);
        pause_ms(GLANCE_MS);
    }
    return result;
}

struct looking {
    struct kv_store *const *parts;
    struct survey *survey;
    bool are_seen[MOST_PARTS];
};

static int look(const struct attempt *attempt, struct looking *looking)
{
    uint32_t part = attempt->store->part;
    looking->are_seen[part] = finding_look(attempt, &looking->survey->found[part]) == 0;
    return looking->are_seen[part] ? 0 : -1;
}

/* At one partition, and over the same connection at the others that the node has. */
static int look_at_node(const struct attempt *attempt, void *context)
{
    struct looking *looking = context;
    struct attempt one = *attempt;
    bool are_beside[MOST_PARTS];
    uint32_t n = looking->survey->n;
    if (look(attempt, looking) != 0 ||
        nodes_find_beside(attempt, looking->parts, n, are_beside) != 0)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        one.store = looking->parts[i];
        one.until_ms = link_clock_ms() + one.store->settings.timeout_ms;
        if (are_beside[i] && !looking->are_seen[i] && look(&one, looking) != 0)
            return -1;
    }
    return 0;
}

static int look_at_all(struct kv_store *const *parts, struct survey *survey,
                       struct kv_error *reterr)
{
    struct looking looking = {.parts = parts, .survey = survey};
    for (uint32_t i = 0; i < survey->n; i++)
        if (!looking.are_seen[i] && visit(parts[i], look_at_node, &looking, reterr) != 0)
            return -1;
    return 0;
}

/* Where keys of a partition are at another master, too, its own may seem lost. */
static int look_at_whole_slots(struct kv_store *const *parts, struct survey *survey,
                               struct kv_error *reterr)
{
    int64_t until_ms = link_clock_ms() + parts[0]->settings.timeout_ms;
    for (;;) {
        if (look_at_all(parts, survey, reterr) != 0)
            return -1;
        if (split_look_at_all(parts, survey->n, reterr) == 0)
            return 0;
        if (link_clock_ms() > until_ms)
            return -1;
        opening_note(parts[0], reterr);
        pause_ms(GLANCE_MS);
    }
}

/* ---- accepting ---- */

struct adoption {
    char epoch[KV_EPOCH_MAX];
    struct placement placement;
};

static int adopt(const struct attempt *attempt, void *context)
{
    const struct adoption *adoption = context;
    return finding_adopt(attempt, adoption->epoch, &adoption->placement);
}

static const struct found *find_accepted(const struct survey *survey, struct kv_slice epoch)
{
    for (uint32_t i = 0; i < survey->n; i++) {
        const struct found *found = &survey->found[i];
        if (found->is_described && kv_slice_equals(kv_slice_of(found->epoch), epoch) &&
            fits_all(survey, found))
            return found;
    }
    return NULL;
}

/* Those that have the accepted epoch come last: so it is there until all is done. */
static int accept_loss(struct kv_store *const *parts, const struct survey *survey,
                       const struct found *accepted, struct kv_error *reterr)
{
    const struct kv_host *host = &parts[0]->host->base;
    struct adoption adoption = {.placement = accepted->placement};
    placement_next_epoch(accepted->epoch, adoption.epoch);
    for (int turn = 0; turn < 2; turn++)
        for (uint32_t i = 0; i < survey->n; i++)
            if (has_epoch(&survey->found[i], accepted->epoch) == (turn == 1) &&
                visit(parts[i], adopt, &adoption, reterr) != 0)
                return -1;
    host->log(host, KV_LOG_WARN,
              "lost partitions of the store were made anew, as accept_loss says; the epoch is %s "
              "now, no longer %s",
              adoption.epoch, accepted->epoch);
    return 0;
}

/* ---- from outside ---- */

int survey_partitions(struct kv_store *const *parts, uint32_t n, struct kv_error *reterr)
{
    struct survey survey = {.n = n};
    enum survey_state state;
    const struct found *accepted = NULL;
    bool has_accepted = false;
    int64_t until_ms = link_clock_ms() + SETTLING_MS;
    for (;;) {
        if (look_at_whole_slots(parts, &survey, reterr) != 0)
            return -1;
        state = survey_judge(&survey);
        if (state != STORE_DAMAGED)
            break;
        if (!has_accepted && !parts[0]->is_read_only)
            accepted = find_accepted(&survey, parts[0]->settings.accept_loss);
        if (!has_accepted && accepted != NULL) {
            has_accepted = true;
            if (accept_loss(parts, &survey, accepted, reterr) != 0)
                return -1;
        } else if (link_clock_ms() > until_ms) {
            return refuse(&survey, reterr);
        } else {
            pause_ms(GLANCE_MS);
        }
    }
    if (state == STORE_NEW && parts[0]->is_read_only && !survey.found[0].is_being_made)
        return finding_miss(parts[0], reterr);
    /* A server may have died after it had made the last partition, before it could say so. */
    bool is_new = state == STORE_NEW || (state == STORE_WHOLE && survey.found[0].is_being_made);
    for (uint32_t i = 0; i < n; i++)
        parts[i]->may_create = is_new;
    return 0;
}

static int end_making(const struct attempt *attempt, void *context)
{
    (void)context;
    return finding_end_making(attempt);
}

int survey_end(struct kv_store *first, struct kv_error *reterr)
{
    bool is_new = first->may_create && !first->is_read_only;
    return is_new ? visit(first, end_making, NULL, reterr) : 0;
}
