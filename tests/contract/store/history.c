/*
 * A store may tell changes of different keys in any order, unless it promises the order of
 * revisions; it tells changes of one key in order, and each begins with the state in which the
 * previous one ended. So the changes are sorted by key, then by position, and each is compared with
 * its neighbour.
 */
#include "contract/store/history.h"

/* By key, then in the order in which they were told. */
static int by_key(const void *a, const void *b)
{
    const struct told *const *left = a;
    const struct told *const *right = b;
    int order = kv_slice_compare((*left)->change.key, (*right)->change.key);
    if (order != 0)
        return order;
    return (*left > *right) - (*left < *right);
}

static int by_revision(const void *a, const void *b)
{
    const struct told *const *left = a;
    const struct told *const *right = b;
    uint64_t mine = (*left)->change.revision;
    uint64_t other = (*right)->change.revision;
    return (mine > other) - (mine < other);
}

static int check_alone(const struct told *told, uint32_t parts, struct kv_error *reterr)
{
    const struct kv_change *change = &told->change;
    bool is_set = change->reason == KV_REASON_SET;
    if (told->part >= parts)
        return kv_error_set(reterr, "a change of part %u of %u", told->part, parts);
    if (change->revision == 0 || change->revision > KV_REVISION_MAX)
        return kv_error_set(reterr, "a change of revision %ju", (uintmax_t)change->revision);
    if (change->after.revision != (is_set ? change->revision : 0))
        return kv_error_set(reterr, "a change %ju ends with revision %ju",
                            (uintmax_t)change->revision, (uintmax_t)change->after.revision);
    if (!is_set && change->before.revision == 0)
        return kv_error_set(reterr, "change %ju takes away what was not there",
                            (uintmax_t)change->revision);
    return 0;
}

/* `next` was told directly after `told`, for the same key. */
static int check_pair(const struct told *told, const struct told *next, struct kv_error *reterr)
{
    if (told->part != next->part)
        return kv_error_set(reterr, "a key moved from part %u to %u", told->part, next->part);
    if (told->change.revision >= next->change.revision)
        return kv_error_set(reterr, "change %ju of a key was told after %ju",
                            (uintmax_t)next->change.revision, (uintmax_t)told->change.revision);
    if (told->change.after.revision != next->change.before.revision)
        return kv_error_set(reterr, "change %ju begins with revision %ju, the one before left %ju",
                            (uintmax_t)next->change.revision,
                            (uintmax_t)next->change.before.revision,
                            (uintmax_t)told->change.after.revision);
    return 0;
}

static int check_keys(const struct told **order, size_t n, uint32_t parts, struct kv_error *reterr)
{
    qsort(order, n, sizeof(*order), by_key);
    for (size_t i = 0; i < n; i++) {
        if (check_alone(order[i], parts, reterr) != 0)
            return -1;
        if (i + 1 < n && kv_slice_equals(order[i]->change.key, order[i + 1]->change.key) &&
            check_pair(order[i], order[i + 1], reterr) != 0)
            return -1;
    }
    return 0;
}

static int check_revisions(const struct told **order, size_t n, struct kv_error *reterr)
{
    qsort(order, n, sizeof(*order), by_revision);
    for (size_t i = 1; i < n; i++)
        if (order[i - 1]->change.revision == order[i]->change.revision)
            return kv_error_set(reterr, "two changes of revision %ju",
                                (uintmax_t)order[i]->change.revision);
    return 0;
}

/* For a store with KV_STORE_IN_ORDER. */
static int check_order(const struct told *told, size_t n, struct kv_error *reterr)
{
    for (size_t i = 1; i < n; i++)
        if (told[i].change.revision <= told[i - 1].change.revision)
            return kv_error_set(reterr, "change %ju was told after %ju",
                                (uintmax_t)told[i].change.revision,
                                (uintmax_t)told[i - 1].change.revision);
    return 0;
}

int history_check(const struct fixture *fixture, struct kv_error *reterr)
{
    size_t n = fixture->n_told;
    const struct told **order = calloc(n + 1, sizeof(*order));
    for (size_t i = 0; i < n; i++)
        order[i] = &fixture->told[i];
    int rc = check_keys(order, n, fixture->info.parts, reterr);
    if (rc == 0)
        rc = check_revisions(order, n, reterr);
    if (rc == 0 && (fixture->capabilities & KV_STORE_IN_ORDER) != 0)
        rc = check_order(fixture->told, n, reterr);
    free(order);
    return rc;
}
