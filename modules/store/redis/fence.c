#include "fence.h"

#include "nodes.h"
#include "../../redis_client/request.h"

enum {
    GRACE_MS = 1000, /* for the answer, once the time of the WAIT is over */
    QUICK = 2,       /* a connection is opened in at most a part of the timeout */
    LONGEST_NUMBER = 24,
};

/* Whether what was received before the fence is safe. */
enum held {
    HELD = 1,
    HELD_NOT_YET, /* an answer is missing */
    HELD_AGAIN,   /* it has to be sent again */
    HELD_NOT,
};

bool fence_is_used(const struct kv_store *store)
{
    return store->settings.ack != ACK_PRIMARY && !store->is_read_only;
}

/* ---- requests ---- */

static bool append_wait(const struct kv_store *store, struct buffer *out, int64_t ms)
{
    char replicas[LONGEST_NUMBER], time[LONGEST_NUMBER];
    snprintf(replicas, sizeof(replicas), "%lld", (long long)store->settings.n_replicas);
    snprintf(time, sizeof(time), "%lld", (long long)ms);
    const struct kv_slice wait[] = {KV_SLICE("WAIT"), kv_slice_of(replicas), kv_slice_of(time)};
    const struct kv_slice wait_aof[] = {KV_SLICE("WAITAOF"), KV_SLICE("1"), KV_SLICE("0"),
                                        kv_slice_of(time)};
    return store->settings.ack == ACK_DISK ? request_words(out, wait_aof, 4)
                                           : request_words(out, wait, 3);
}

/* The write is a function, as Redis refuses a plain one when it is full. While the partition's slot
 * is being moved, the node may no longer have the key: then it is a tiny library that is loaded, as
 * that needs no key and goes to the replicas as well. */
static bool append_fence(struct kv_store *store, int64_t ms)
{
    const struct kv_slice write[] = {KV_SLICE("FCALL"), KV_SLICE("kv1_fence"), KV_SLICE("1"),
                                     name_slice(&store->names.fence)};
    const struct kv_slice load[] = {KV_SLICE("FUNCTION"), KV_SLICE("LOAD"), KV_SLICE("REPLACE"),
                                    KV_SLICE("#!lua name=kvserver_fence\n"
                                             "redis.register_function('kv_fence_of_node', "
                                             "function() return 1 end)")};
    struct fence *fence = &store->fence;
    fence->has_written = fence->has_moved = false;
    return request_words(&fence->link.out, fence->is_of_node ? load : write, 4) &&
           append_wait(store, &fence->link.out, ms);
}

/* ---- answers ---- */

static int fail_by_error(const struct kv_store *store, struct kv_slice text,
                         struct kv_error *reterr)
{
    bool is_unknown = memmem(text.bytes, text.len, "unknown command", 15) != NULL;
    return kv_error_set(reterr, "Redis at %s: %s%.*s", store->settings.address.text,
                        is_unknown ? "`ack: disk` needs Redis 7.2 or Valkey: " : "", (int)text.len,
                        text.bytes);
}

static int judge(const struct kv_store *store, int64_t n, struct kv_error *reterr)
{
    int64_t needed = store->settings.n_replicas;
    if (store->settings.ack == ACK_DISK)
        return n >= 1
                   ? 0
                   : kv_error_set(reterr, "Redis at %s does not sync its append-only file in time",
                                  store->settings.address.text);
    return n >= needed
               ? 0
               : kv_error_set(reterr, "replicas of Redis at %s: %lld of %lld answer",
                              store->settings.address.text, (long long)n, (long long)needed);
}

/* The answer to WAIT counts only if the write before it has succeeded. MOVED does not mean that the
 * key has moved: the node may have been replaced. */
static enum held take_answer(struct kv_store *store, struct kv_slice reply, struct kv_error *reterr)
{
    struct fence *fence = &store->fence;
    struct resp_value value = {0};
    bool is_of_write = !fence->has_written;
    resp_next(&reply, &value);
    if (value.type == RESP_ARRAY) /* of WAITAOF: first the local disk, then the replicas */
        resp_next(&reply, &value);
    fence->has_written = true;
    if (is_of_write && value.type == RESP_ERROR && !fence->is_of_node &&
        kv_slice_has_prefix(value.text, KV_SLICE("ASK ")))
        fence->has_moved = true;
    else if (value.type == RESP_ERROR && fail_by_error(store, value.text, reterr) != 0)
        return HELD_NOT;
    if (is_of_write)
        return HELD_NOT_YET;
    if (fence->has_moved) {
        fence->is_of_node = true;
        return HELD_AGAIN;
    }
    if (judge(store, value.number, reterr) == 0)
        return HELD;
    if (link_clock_ms() >= fence->give_up_ms)
        return HELD_NOT;
    reterr->text[0] = '\0';
    return HELD_AGAIN;
}

/* ---- opening ---- */

/* A name may resolve to two servers while one replaces the other. */
static int check_run(const struct attempt *attempt)
{
    char run_id[RUN_ID] = "";
    if (login_ask_run(attempt, run_id) != 0)
        return -1;
    if (strcmp(run_id, attempt->store->run_id) == 0)
        return 0;
    return kv_error_set(attempt->reterr, "connections to %s reach different Redis servers",
                        login_address(attempt)->text);
}

int fence_open(const struct attempt *lane)
{
    struct kv_store *store = lane->store;
    struct attempt attempt = login_attempt(store, &store->fence.link, lane->reterr);
    uint64_t id;
    if (!fence_is_used(store))
        return 0;
    store->fence.is_sent = store->fence.is_of_node = false;
    store->fence.give_up_ms = 0;
    return login_connect(&attempt, &id) == 0 ? check_run(&attempt) : -1;
}

int fence_wait(const struct attempt *lane)
{
    struct kv_store *store = lane->store;
    struct attempt attempt = login_attempt(store, &store->fence.link, lane->reterr);
    struct kv_slice reply;
    enum held held = HELD_AGAIN;
    if (!fence_is_used(store))
        return 0;
    while (held == HELD_AGAIN || held == HELD_NOT_YET) {
        if (held == HELD_AGAIN && !append_fence(store, store->settings.timeout_ms / QUICK))
            return kv_error_set(lane->reterr, "no memory");
        if (link_wait(attempt.link, login_address(&attempt), attempt.until_ms, &reply,
                      lane->reterr) != 0)
            return -1;
        held = take_answer(store, reply, lane->reterr);
    }
    return held == HELD ? 0 : -1;
}

/* ---- while commands are under way ---- */

void fence_hold(struct kv_store *store, struct link *link)
{
    if (fence_is_used(store))
        link_hold(link);
}

static int flush(struct kv_store *store, struct kv_error *reterr)
{
    if (!fence_is_used(store) || link_flush(&store->fence.link) == 0)
        return 0;
    return kv_error_set(reterr, "Redis at %s closed the connection", store->settings.address.text);
}

/* Where the master may be replaced, Redis is asked for short waits, one after the other: so a
 * master that hangs is noticed by its silence before `timeout`. */
static bool append_short_fence(struct kv_store *store)
{
    int64_t ms = may_be_replaced(store) ? nodes_patience_ms(store) / 2 : store->settings.timeout_ms;
    store->fence.until_ms = link_clock_ms() + ms + GRACE_MS;
    return append_fence(store, ms);
}

int fence_send(struct kv_store *store, struct kv_error *reterr)
{
    struct fence *fence = &store->fence;
    int64_t now_ms = link_clock_ms();
    if (fence->is_sent && now_ms > fence->until_ms)
        return kv_error_set(reterr, "Redis at %s does not answer", store->settings.address.text);
    if (fence->is_sent)
        return flush(store, reterr);
    if (!(link_is_holding(&store->lane.link) || link_is_holding(&store->bulk.link)))
        return 0;
    fence->is_sent = true;
    fence->give_up_ms = now_ms + store->settings.timeout_ms;
    fence->lane_mark = store->lane.link.n_read;
    fence->bulk_mark = store->bulk.link.n_read;
    if (!append_short_fence(store))
        return kv_error_set(reterr, "no memory");
    return flush(store, reterr);
}

static void let_go(struct kv_store *store)
{
    struct fence *fence = &store->fence;
    fence->is_sent = false;
    link_let_go(&store->lane.link, fence->lane_mark);
    link_let_go(&store->bulk.link, fence->bulk_mark);
}

int fence_receive(struct kv_store *store, struct kv_error *reterr)
{
    struct kv_slice reply;
    bool is_closed = link_read(&store->fence.link) != 0;
    int found;
    while ((found = link_next(&store->fence.link, &reply)) == 1) {
        enum held held = store->fence.is_sent ? take_answer(store, reply, reterr) : HELD_NOT_YET;
        if (held == HELD_NOT)
            return -1;
        if (held == HELD_AGAIN && !append_short_fence(store))
            return kv_error_set(reterr, "no memory");
        if (held == HELD)
            let_go(store);
    }
    if (!is_closed && found == 0)
        return 0;
    return kv_error_set(reterr, "Redis at %s closed the connection", store->settings.address.text);
}
