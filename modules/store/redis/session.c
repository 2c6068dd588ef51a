#include "session.h"

#include "chain.h"
#include "clock.h"
#include "entry.h"
#include "fence.h"
#include "finding.h"
#include "library.h"
#include "login.h"
#include "master.h"
#include "moving.h"
#include "nodes.h"
#include "split.h"
#include "waiting.h"
#include "whole.h"
#include "../../redis_client/request.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

enum {
    PAGE = 100,        /* entries of the log */
    N_READINGS = 3,    /* of Redis's clock */
    LONGEST_TEXT = 64, /* of a number, and the like */
    CONGESTED_MS = 5,  /* how often the host is asked whether it takes changes again */
};

/* *ret_is_another: whether Redis has been restarted since, and numbers its connections anew. It may
 * not allow to ask. */
static int learn_run(const struct attempt *attempt, bool *ret_is_another)
{
    struct kv_store *store = attempt->store;
    char run_id[RUN_ID] = "";
    if (login_ask_run(attempt, run_id) != 0)
        return -1;
    *ret_is_another =
        run_id[0] != '\0' && store->run_id[0] != '\0' && strcmp(run_id, store->run_id) != 0;
    if (run_id[0] != '\0')
        memcpy(store->run_id, run_id, RUN_ID);
    if (run_id[0] == '\0' || *ret_is_another)
        store->clock.taken_ms = 0; /* it may have another clock */
    return 0;
}

/* Requests of the lost connection must not take effect after those of this one. Where Redis
 * does not allow to say so, that cannot be helped. */
static int end_predecessor(const struct attempt *attempt)
{
    char number[LONGEST_TEXT];
    struct kv_slice reply;
    bool is_another = false;
    if (learn_run(attempt, &is_another) != 0)
        return -1;
    if (attempt->store->client_id == 0 || is_another)
        return 0;
    snprintf(number, sizeof(number), "%" PRIu64, attempt->store->client_id);
    const struct kv_slice words[] = {KV_SLICE("CLIENT"), KV_SLICE("KILL"), KV_SLICE("ID"),
                                     kv_slice_of(number)};
    return login_ask(attempt, words, 4, &reply);
}

/* ---- the library ---- */

/* One that is newer is left: it does whatever this one does. */
static int load_library(const struct attempt *attempt)
{
    static const struct kv_slice asking[] = {{"FCALL_RO", 8}, {"kv1_version", 11}, {"0", 1}};
    struct resp_value value;
    struct kv_slice reply;
    if (login_ask(attempt, asking, 3, &reply) != 0)
        return -1;
    if (resp_next(&reply, &value) && value.type == RESP_INTEGER && value.number >= library_version)
        return 0;
    const struct kv_slice loading[] = {KV_SLICE("FUNCTION"), KV_SLICE("LOAD"), KV_SLICE("REPLACE"),
                                       library_text()};
    return login_demand_done(attempt, loading, 4);
}

/* ---- the chain ---- */

static int fail_to_look(const struct attempt *attempt)
{
    const struct kv_store *store = attempt->store;
    const char *address = login_address(attempt)->text, *name = store->names.newest.bytes;
    if (store->nodes != NULL)
        return kv_error_set(attempt->reterr,
                            "Redis at %s: key %s is missing, or not a revision: the server has to "
                            "be started anew, and then says how to go on",
                            address, name);
    return kv_error_set(attempt->reterr,
                        "Redis at %s: key %s is missing, or not a revision. Bring it back, or add "
                        "`accept_loss: \"%s\"` to the options of the store and start the server "
                        "anew, to go on with what is left",
                        address, name, store->epoch);
}

/* Takes a reading of the clock, too. */
static int look(const struct attempt *attempt, int64_t *ret_us, uint64_t *ret_newest)
{
    struct kv_store *store = attempt->store;
    const struct kv_slice words[] = {KV_SLICE("FCALL_RO"), KV_SLICE("kv1_look"), KV_SLICE("2"),
                                     name_slice(&store->names.store),
                                     name_slice(&store->names.newest)};
    struct resp_value value, us, newest;
    struct kv_slice reply;
    int64_t asked_ms = clock_now_ms(store);
    if (login_demand(attempt, words, 5, &value, &reply) != 0)
        return -1;
    if (!resp_next(&reply, &us) || !resp_next(&reply, &newest) || newest.number <= 0 ||
        (uint64_t)newest.number > KV_REVISION_MAX || !clock_is_time(us.number))
        return fail_to_look(attempt);
    clock_take(store, us.number, asked_ms);
    *ret_us = us.number;
    *ret_newest = (uint64_t)newest.number;
    return 0;
}

static int look_often(const struct attempt *attempt, int64_t *ret_us, uint64_t *ret_newest)
{
    int result = 0;
    for (int i = 0; i < N_READINGS && result == 0; i++)
        result = look(attempt, ret_us, ret_newest);
    return result;
}

/* A change that is missing then is noticed: the next one names the one before it. */
static int fail_at_entry(const struct attempt *attempt, const struct entry *entry)
{
    const struct kv_store *store = attempt->store;
    return kv_error_set(attempt->reterr,
                        "Redis at %s, partition %" PRIu32
                        ": entry %.*s of the log %s cannot be read. Remove it by XDEL: if changes "
                        "are lost with it, subscribers are shown the present state, and hooks and "
                        "sinks miss them",
                        login_address(attempt)->text, store->part, (int)entry->id.len,
                        entry->id.bytes, store->names.log.bytes);
}

static int take_entry(const struct attempt *attempt, const struct entry *entry)
{
    int result =
        entry->has_events ? chain_take_logged(attempt->store, entry->events) : CHAIN_BROKEN;
    if (result == CHAIN_BROKEN)
        return fail_at_entry(attempt, entry);
    if (result == CHAIN_NOT_NOW)
        return kv_error_set(attempt->reterr,
                            "Redis at %s: there is no memory for a change in the log, or its value "
                            "cannot be read",
                            login_address(attempt)->text);
    return 0;
}

static int take_page(const struct attempt *attempt, struct kv_slice reply, int64_t n)
{
    struct entry entry;
    for (int64_t i = 0; i < n; i++) {
        if (!entry_next(&reply, &entry))
            return kv_error_set(attempt->reterr, "Redis at %s: its answer to XRANGE is malformed",
                                login_address(attempt)->text);
        if (take_entry(attempt, &entry) != 0)
            return -1;
    }
    return 0;
}

/* Returns: the number of entries, or -1 and *reterr. */
static int64_t read_page(const struct attempt *attempt)
{
    char behind[LONGEST_TEXT], most[LONGEST_TEXT];
    struct resp_value value;
    struct kv_slice reply;
    snprintf(behind, sizeof(behind), "(%" PRIu64 "-1", attempt->store->position);
    snprintf(most, sizeof(most), "%d", PAGE);
    const struct kv_slice words[] = {KV_SLICE("XRANGE"),  name_slice(&attempt->store->names.log),
                                     kv_slice_of(behind), KV_SLICE("+"),
                                     KV_SLICE("COUNT"),   kv_slice_of(most)};
    if (login_demand(attempt, words, 6, &value, &reply) != 0 || fence_wait(attempt) != 0)
        return -1;
    return take_page(attempt, reply, value.number) == 0 ? value.number : -1;
}

/* The host has to take all that is read. Where the host does not take it in time, the next attempt
 * goes on from there. */
static int wait_for_room(struct attempt *attempt)
{
    const struct kv_store *store = attempt->store;
    int64_t until_ms = link_clock_ms() + nodes_patience_ms(store);
    while (attempt->begin_page(attempt) == 0) {
        if (store->host->may_tell(store->host))
            return 0;
        if (link_clock_ms() > until_ms)
            return kv_error_set(attempt->reterr, "too many changes of Redis at %s wait to be told",
                                login_address(attempt)->text);
        poll(NULL, 0, CONGESTED_MS);
    }
    return -1;
}

/* Takes what the log has. Each page has its time. */
static int read_log(struct attempt *attempt)
{
    int64_t n;
    do {
        if (wait_for_room(attempt) != 0)
            return -1;
        n = read_page(attempt);
    } while (n == PAGE);
    return n < 0 ? -1 : 0;
}

/* Redis confirms by a push, and fails by an answer: so something else is asked for behind it. */
static int subscribe(const struct attempt *attempt)
{
    const struct kv_slice words[] = {KV_SLICE("SSUBSCRIBE"),
                                     name_slice(&attempt->store->names.channel)};
    if (!request_words(&attempt->link->out, words, 2))
        return kv_error_set(attempt->reterr, "no memory");
    return login_demand_done(attempt, (struct kv_slice[]){KV_SLICE("PING")}, 1);
}

/* The log has none. */
static void miss_touches(struct kv_store *store)
{
    store->host->touched(store->host, PART, (struct kv_slice){0}, 0, 0);
}

/* Changes pushed before the log has been read to its end are in the log, and passed over: so
 * nothing else is asked for behind that. Most is read before anything is pushed, as Redis cuts off
 * who has too much waiting then. Once the partition is subscribed, it is looked at anew: from then
 * on, the connection is lost before the slot is split. */
static int continue_chain(struct attempt *attempt, uint64_t newest)
{
    struct kv_store *store = attempt->store;
    bool is_to_look = store->nodes != NULL && store->position != 0;
    if (store->position == 0)
        chain_begin(store, newest);
    miss_touches(store);
    if (newest < store->position) /* Redis has lost its latest writes */
        chain_jump(store, newest);
    if (read_log(attempt) != 0)
        return -1;
    if (store->position < newest)
        chain_jump(store, newest);
    if (subscribe(attempt) != 0 || (is_to_look && split_look(attempt) != 0) ||
        read_log(attempt) != 0)
        return -1;
    miss_touches(store); /* those that were pushed meanwhile, too */
    return 0;
}

/* ---- all of it ---- */

static void name_channel(struct kv_store *store)
{
    struct name *name = &store->names.channel;
    name->len = (size_t)snprintf(name->bytes, sizeof(name->bytes), "%.*s{%s}c%s",
                                 (int)store->settings.prefix.len, store->settings.prefix.bytes,
                                 store->tag, store->epoch);
}

static int open_lane(struct attempt *attempt)
{
    struct kv_store *store = attempt->store;
    uint64_t newest = 0, id = 0;
    int64_t us = 0;
    master_point(store);
    if (store->master != NULL)
        attempt->until_ms = link_clock_ms() + nodes_patience_ms(store);
    if ((store->nodes != NULL ? nodes_connect(attempt, &id) : login_connect(attempt, &id)) != 0 ||
        end_predecessor(attempt) != 0)
        return -1;
    store->client_id = id;
    store->has_dropped = false;
    store->is_split = false;
    attempt->until_ms = link_clock_ms() + store->settings.timeout_ms;
    bool is_to_look = store->nodes != NULL && store->position != 0; /* before, the survey has */
    if (load_library(attempt) != 0 || (is_to_look && split_look(attempt) != 0) ||
        fence_open(attempt) != 0 || finding_open(attempt) != 0)
        return -1;
    name_channel(store);
    if (whole_make(attempt) != 0 || look_often(attempt, &us, &newest) != 0)
        return -1;
    if (!store->is_read_only) {
        int result = continue_chain(attempt, newest);
        if (result == 0)
            chain_pass(store, us);
        return result;
    }
    chain_begin(store, newest);
    return 0;
}

int session_open_bulk(struct kv_store *store, struct kv_error *reterr)
{
    struct attempt bulk = login_attempt(store, &store->bulk.link, reterr);
    uint64_t id;
    if (login_connect(&bulk, &id) != 0)
        return -1;
    store->fence.bulk_mark = 0; /* it counted bytes of the lost connection */
    fence_hold(store, &store->bulk.link);
    return 0;
}

/* Whether Redis refused because only some of the partition's keys are there. */
static bool says_moving(const struct kv_error *error)
{
    return strstr(error->text, ": ASK ") != NULL || strstr(error->text, ": TRYAGAIN ") != NULL;
}

int session_open(struct kv_store *store, struct kv_error *reterr)
{
    struct attempt lane = login_attempt(store, &store->lane.link, reterr);
    lane.begin_page = waiting_begin_page;
    if (open_lane(&lane) == 0 && session_open_bulk(store, reterr) == 0) {
        fence_hold(store, &store->lane.link);
        return 0;
    }
    session_close(store);
    if (store->nodes != NULL && (store->is_split || says_moving(reterr))) {
        whole_doubt(store);
        moving_pass(store);
    }
    if (store->nodes != NULL)
        nodes_try_next(store);
    return -1;
}

int session_visit(struct kv_store *store, int (*act)(const struct attempt *attempt, void *context),
                  void *context, struct kv_error *reterr)
{
    struct attempt attempt = login_attempt(store, &store->fetch, reterr);
    uint64_t id;
    int result = nodes_connect(&attempt, &id);
    attempt.until_ms = link_clock_ms() + store->settings.timeout_ms;
    if (result == 0)
        result = load_library(&attempt) == 0 ? act(&attempt, context) : -1;
    link_close(&store->fetch);
    if (result != 0)
        nodes_try_next(store);
    return result;
}

void session_close(struct kv_store *store)
{
    link_close(&store->lane.link);
    link_close(&store->bulk.link);
    link_close(&store->fetch);
    link_close(&store->fence.link);
}
