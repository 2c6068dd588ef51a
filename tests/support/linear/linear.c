/*
 * Calls and returns are one list in the order of their stamps. To place the call of a command, the
 * search removes its call and its return from the list, and tries the first call again. A return at
 * the front of the list means that its command should have been placed before: the latest placement
 * is undone, and the next call is tried instead.
 */
#include "support/linear/linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct event {
    struct event *next, *prev;
    struct event *returned; /* of a call; NULL: this is a return */
    size_t op;
};

struct placing {
    struct event *call;
    struct linear_state before;
};

/* A set of placed commands and the resulting state. */
struct memory {
    struct memory *next;
    uint64_t hash;
    struct linear_state state;
    uint64_t placed[];
};

enum {
    N_CHAINS = 1 << 12
};

struct search {
    const struct linear_op *ops;
    size_t n;
    struct event *events; /* the first one is the list's anchor */
    size_t *earlier;      /* 1 + the index of the same client's previous command; 0: none */
    struct linear_state state;
    uint64_t *placed;
    size_t n_words;
    struct placing *stack;
    size_t depth, deepest;
    size_t stuck;
    struct memory *chains[N_CHAINS];
};

/* ---- one command on one state ---- */

static bool is_revision(uint64_t told, uint64_t actual)
{
    return told == LINEAR_NOT_TOLD || actual == LINEAR_NOT_TOLD || told == actual;
}

static bool holds(const struct linear_op *op, const struct linear_state *state)
{
    struct kv_cmd cmd = {.cond = op->cond, .if_revisions = &op->if_revision, .n_if_revisions = 1};
    if (state->revision == LINEAR_NOT_TOLD && (op->cond & KV_COND_REVISION) != 0 && state->is_there)
        return op->status != KV_CONDITION;
    return kv_cmd_holds(&cmd, state->is_there, state->revision);
}

static bool take_revision(const struct linear_op *op, struct linear_state *state)
{
    if (op->revision == LINEAR_NOT_TOLD)
        return true;
    if (op->revision <= state->newest)
        return false;
    state->newest = op->revision;
    return true;
}

static bool step_set(const struct linear_op *op, struct linear_state *state)
{
    bool is_same = state->is_there && state->value == op->value;
    bool keeps_deadline = state->is_there && op->keeps_deadline;
    if (op->status == KV_UNCHANGED && (!is_same || !is_revision(op->revision, state->revision)))
        return false;
    if (op->status == KV_OK) {
        if (is_same || !take_revision(op, state))
            return false;
        state->is_there = true;
        state->value = op->value;
        state->revision = op->revision;
    }
    if (!keeps_deadline) {
        state->earliest_deadline_ms = op->earliest_deadline_ms;
        state->latest_deadline_ms = op->latest_deadline_ms;
    }
    return op->status == KV_OK || op->status == KV_UNCHANGED;
}

static bool step_update(const struct linear_op *op, struct linear_state *state)
{
    if (op->seen_value != (state->is_there ? state->value : 0))
        return false;
    return op->status == KV_DECLINED || step_set(op, state);
}

static bool step_delete(const struct linear_op *op, struct linear_state *state)
{
    if (!state->is_there)
        return op->status == KV_MISSING;
    state->is_there = false;
    return op->status == KV_OK && take_revision(op, state);
}

static bool step_touch(const struct linear_op *op, struct linear_state *state)
{
    if (!state->is_there)
        return op->status == KV_MISSING;
    state->earliest_deadline_ms = op->earliest_deadline_ms;
    state->latest_deadline_ms = op->latest_deadline_ms;
    return op->status == KV_OK && is_revision(op->revision, state->revision);
}

static bool step_get(const struct linear_op *op, const struct linear_state *state)
{
    if (!state->is_there)
        return op->status == KV_MISSING;
    return op->status == KV_OK && op->seen_value == state->value &&
           is_revision(op->revision, state->revision);
}

/* Applies the command once it is decided whether the key has expired. Returns: whether that yields
 * the command's outcome. */
static bool step_now(const struct linear_op *op, struct linear_state *state)
{
    uint64_t standing = state->is_there ? state->revision : 0;
    if (op->op == KV_OP_GET)
        return step_get(op, state);
    if (!holds(op, state))
        return op->status == KV_CONDITION && is_revision(op->revision, standing);
    switch (op->op) {
    case KV_OP_SET:
        return step_set(op, state);
    case KV_OP_UPDATE:
        return step_update(op, state);
    case KV_OP_DELETE:
        return step_delete(op, state);
    default:
        return step_touch(op, state);
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A SET that keeps the deadline may have found the key expired; then it gives the key its own. The
 * outcome is the same. */
static void doubt_deadline(const struct linear_op *op, const struct linear_state *before,
                           struct linear_state *state)
{
    bool is_certain = op->op != KV_OP_SET || !op->keeps_deadline || op->status != KV_OK;
    if (is_certain || !before->is_there || before->earliest_deadline_ms > op->returned_ms)
        return;
    state->earliest_deadline_ms = earlier(state->earliest_deadline_ms, op->earliest_deadline_ms);
    state->latest_deadline_ms = later(state->latest_deadline_ms, op->latest_deadline_ms);
}

/* Tries the case that the key has not expired first: it rules out less. */
static bool step(const struct linear_op *op, const struct linear_state *before,
                 struct linear_state *ret)
{
    int64_t time_ms = later(before->time_ms, op->called_ms);
    if (time_ms > op->returned_ms)
        return false;
    *ret = *before;
    ret->time_ms = time_ms;
    if ((!before->is_there || time_ms < before->latest_deadline_ms) && step_now(op, ret)) {
        doubt_deadline(op, before, ret);
        return true;
    }
    if (!before->is_there || before->earliest_deadline_ms > op->returned_ms)
        return false;
    *ret = *before;
    ret->time_ms = later(time_ms, before->earliest_deadline_ms);
    ret->is_there = false;
    return step_now(op, ret);
}

/* ---- the list ---- */

static void take_out(struct event *event)
{
    event->prev->next = event->next;
    event->next->prev = event->prev;
}

static void put_back(struct event *event)
{
    event->prev->next = event;
    event->next->prev = event;
}

static void lift(struct event *call)
{
    take_out(call);
    take_out(call->returned);
}

static void lower(struct event *call)
{
    put_back(call->returned);
    put_back(call);
}

struct stamp {
    uint64_t at;
    struct event *event;
};

static int by_stamp(const void *a, const void *b)
{
    uint64_t one = ((const struct stamp *)a)->at;
    uint64_t other = ((const struct stamp *)b)->at;
    return (one > other) - (one < other);
}

static void make_list(struct search *search)
{
    size_t n_events = 2 * search->n;
    search->events = kv_calloc(n_events + 1, sizeof(struct event));
    struct stamp *stamps = kv_calloc(n_events + 1, sizeof(*stamps));
    for (size_t i = 0; i < search->n; i++) {
        struct event *call = &search->events[1 + 2 * i];
        call->op = call[1].op = i;
        call->returned = call + 1;
        stamps[2 * i] = (struct stamp){search->ops[i].called, call};
        stamps[2 * i + 1] = (struct stamp){search->ops[i].returned, call + 1};
    }
    qsort(stamps, n_events, sizeof(*stamps), by_stamp);
    struct event *last = search->events;
    for (size_t i = 0; i < n_events; i++) {
        last->next = stamps[i].event;
        stamps[i].event->prev = last;
        last = stamps[i].event;
    }
    last->next = search->events;
    search->events->prev = last;
    free(stamps);
}

/* The commands of each client, at least, come in the order of their calls. */
static void find_earlier(struct search *search)
{
    search->earlier = kv_calloc(search->n + 1, sizeof(size_t));
    for (size_t i = 0; i < search->n; i++)
        for (size_t j = i; j-- > 0;)
            if (search->ops[j].client == search->ops[i].client) {
                search->earlier[i] = j + 1;
                break;
            }
}

/* ---- cache of visited states ---- */

static bool is_placed(const struct search *search, size_t op)
{
    return (search->placed[op / 64] >> op % 64 & 1) != 0;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct search *search, const struct linear_state *state)
{
    uint64_t hash = mix(state->revision, state->value);
    hash = mix(hash, (uint64_t)state->time_ms * 2 + state->is_there);
    for (size_t i = 0; i < search->n_words; i++)
        hash = mix(hash, search->placed[i]);
    return hash;
}

static bool is_same_state(const struct linear_state *a, const struct linear_state *b)
{
    return a->is_there == b->is_there && a->revision == b->revision && a->value == b->value &&
           a->earliest_deadline_ms == b->earliest_deadline_ms &&
           a->latest_deadline_ms == b->latest_deadline_ms && a->newest == b->newest &&
           a->time_ms == b->time_ms;
}

/* Whether the set of placed commands and the state are new together. */
static bool remember(struct search *search, const struct linear_state *state)
{
    uint64_t hash = hash_of(search, state);
    size_t size = search->n_words * sizeof(uint64_t);
    struct memory **chain = &search->chains[hash % N_CHAINS];
    for (struct memory *one = *chain; one != NULL; one = one->next)
        if (one->hash == hash && is_same_state(&one->state, state) &&
            memcmp(one->placed, search->placed, size) == 0)
            return false;
    struct memory *fresh = kv_alloc(sizeof(*fresh) + size);
    *fresh = (struct memory){.next = *chain, .hash = hash, .state = *state};
    memcpy(fresh->placed, search->placed, size);
    *chain = fresh;
    return true;
}

/* ---- the search ---- */

static bool place(struct search *search, struct event *call)
{
    const struct linear_op *op = &search->ops[call->op];
    struct linear_state after;
    if (search->earlier[call->op] != 0 && !is_placed(search, search->earlier[call->op] - 1))
        return false;
    if (!step(op, &search->state, &after))
        return false;
    search->placed[call->op / 64] ^= UINT64_C(1) << call->op % 64;
    if (!remember(search, &after)) {
        search->placed[call->op / 64] ^= UINT64_C(1) << call->op % 64;
        return false;
    }
    search->stack[search->depth++] = (struct placing){call, search->state};
    search->state = after;
    lift(call);
    return true;
}

/* Returns: the call whose placement was undone; NULL if there is none. */
static struct event *take_back(struct search *search, const struct event *returned)
{
    if (search->depth >= search->deepest) {
        search->deepest = search->depth;
        search->stuck = returned->op;
    }
    if (search->depth == 0)
        return NULL;
    struct placing *last = &search->stack[--search->depth];
    search->state = last->before;
    search->placed[last->call->op / 64] ^= UINT64_C(1) << last->call->op % 64;
    lower(last->call);
    return last->call;
}

static bool run(struct search *search)
{
    struct event *anchor = search->events;
    struct event *event = anchor->next;
    while (anchor->next != anchor) {
        if (event->returned == NULL) {
            event = take_back(search, event);
            if (event == NULL)
                return false;
            event = event->next;
        } else if (place(search, event)) {
            event = anchor->next;
        } else {
            event = event->next;
        }
    }
    return true;
}

static void forget(struct search *search)
{
    for (size_t i = 0; i < N_CHAINS; i++)
        for (struct memory *one = search->chains[i], *next; one != NULL; one = next) {
            next = one->next;
            free(one);
        }
}

bool linear_check(const struct linear_state *state, const struct linear_op *ops, size_t n,
                  const struct linear_op **ret_stuck)
{
    struct search *search = kv_calloc(1, sizeof(*search));
    search->ops = ops;
    search->n = n;
    search->state = *state;
    search->n_words = n / 64 + 1;
    search->placed = kv_calloc(search->n_words, sizeof(uint64_t));
    search->stack = kv_calloc(n + 1, sizeof(*search->stack));
    make_list(search);
    find_earlier(search);
    bool found = run(search);
    if (!found)
        *ret_stuck = &ops[search->stuck];
    forget(search);
    free(search->earlier);
    free(search->events);
    free(search->stack);
    free(search->placed);
    free(search);
    return found;
}

size_t linear_operations(size_t n)
{
    const char *wanted = getenv("KV_TEST_OPERATIONS"), *length = getenv("KV_TEST_LENGTH");
    if (wanted != NULL)
        return strtoull(wanted, NULL, 10);
    return length != NULL && strcmp(length, "short") == 0 ? n / 5 : n;
}

void linear_describe(const struct linear_op *op, struct kv_error *ret)
{
    static const char *const names[] = {"?", "get", "set", "delete", "touch", "update"};
    kv_error_set(ret,
                 "client %u, %s of value %" PRIu64 " under condition %u (revision %" PRIu64
                 "), called at %" PRIu64 " (%" PRId64 " ms), back at %" PRIu64 " (%" PRId64
                 " ms): status %d, revision %" PRIu64 ", value %" PRIu64,
                 op->client, names[op->op], op->value, op->cond, op->if_revision, op->called,
                 op->called_ms, op->returned, op->returned_ms, op->status, op->revision,
                 op->seen_value);
}
