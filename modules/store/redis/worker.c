/*
 * Invariant: a job is in the inbox, or waiting, sent, held, or in the outbox, and nowhere else.
 */
#include "worker.h"

#include "answers.h"
#include "catch_ups.h"
#include "chain.h"
#include "clock.h"
#include "commands.h"
#include "expiring.h"
#include "fence.h"
#include "lease.h"
#include "master.h"
#include "nodes.h"
#include "recall.h"
#include "replies.h"
#include "report.h"
#include "session.h"
#include "waiting.h"
#include "whole.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LANE_SENT =
        128,       /* answers of as many times 64 KiB are less than Redis lets a subscriber have */
    BULK_SENT = 6, /* two of them for observers */
    LOOK_MS = 500,
    FIRST_RETRY_MS = 20,
    LAST_RETRY_MS = 2000,
    LAST_NODE_RETRY_MS = 200, /* another node may have been promoted */
    LOOK_AGAIN_MS = 1,
    GLANCE_MS = 50,   /* how often waiting jobs are looked at while there is no connection */
    US_PER_MS = 1000, /* of revisions, which follow Redis's clock */
    CONGESTED_MS = 5, /* how often the host is asked whether it takes changes again */
    MOST_SENT_BYTES = 16 << 20,
    MOST_HELD_BYTES = 16 << 20, /* of arrived messages, until the fence has held */
    N_POLLED = 4,
};

static void say(struct kv_store *store, bool is_ok, const char *text)
{
    report_connection(store, is_ok, text);
    store->host->health(store->host, is_ok, text);
}

/* ---- sending ---- */

/* The requests on the lane do not depend on the bulk. */
static void lose(struct kv_store *store, const struct lane *lane)
{
    if (lane == &store->bulk)
        store->is_bulk_lost = true;
    else
        store->is_lost = true;
}

static void send_job(struct kv_store *store, struct lane *lane, struct job *job)
{
    if (!jobs_reserve(&lane->sent, 1) || !command_write(store, job, &lane->link.out)) {
        answers_fail(store, job, KV_FULL);
        return;
    }
    if (lane->sent.n == 0)
        lane->link.heard_ms = link_clock_ms();
    jobs_append(&lane->sent, job);
    lane->sent_bytes += job->n_bytes;
}

static void send_waiting(struct kv_store *store, struct lane *lane)
{
    int64_t now_ms = clock_now_ms(store);
    while (!store->is_leaving && lane->waiting.n != 0 && lane->sent.n < lane->most_sent &&
           lane->sent_bytes < MOST_SENT_BYTES) {
        struct job job = jobs_take_first(&lane->waiting);
        job.sent_at_ms = now_ms;
        send_job(store, lane, &job);
    }
    if (link_flush(&lane->link) != 0)
        lose(store, lane);
}

/* At the last look, Redis's clock was at `upto`: this is when it reaches the revision that is
 * waited for. The clock may be set meanwhile, so that it is sooner. */
static int64_t look_at_ms(const struct kv_store *store)
{
    uint64_t upto = store->upto, wanted = store->look_for;
    if (upto >= wanted)
        return store->look_at_ms;
    uint64_t missing_ms = (wanted - upto) / US_PER_MS;
    int64_t pause_ms = missing_ms < GLANCE_MS ? (int64_t)missing_ms : GLANCE_MS;
    return store->looked_ms + (pause_ms < LOOK_AGAIN_MS ? LOOK_AGAIN_MS : pause_ms);
}

static void look_in_time(struct kv_store *store)
{
    int64_t now_ms = link_clock_ms();
    struct job look = {.kind = JOB_LOOK, .since_ms = now_ms};
    if (store->is_looking || store->is_read_only || now_ms < look_at_ms(store))
        return;
    store->is_looking = true;
    store->looked_ms = now_ms;
    store->look_at_ms = now_ms + LOOK_MS;
    send_job(store, &store->lane, &look);
}

static void check_in_time(struct kv_store *store)
{
    struct job job;
    if (whole_is_to_check(store, &job))
        send_job(store, &store->lane, &job);
}

/* An expiry does not wait behind commands: Redis decides what is due, and each command first ends
 * the key that it meets, if that is due. */
static void expire_in_time(struct kv_store *store)
{
    struct job job;
    if (expiring_is_to_call(store, &job))
        send_job(store, &store->lane, &job);
}

static void catch_up(struct kv_store *store)
{
    struct job job;
    if (catch_ups_are_to_ask(store, &job))
        send_job(store, &store->lane, &job);
}

/* ---- leaving ---- */

/* The node no longer serves the partition: nothing further is sent to it, and the connection is
 * given up when what is under way has been answered. Otherwise those writes would be answered 504.
 */
static void leave(struct kv_store *store)
{
    if (!store->is_leaving)
        store->leave_by_ms = link_clock_ms() + nodes_patience_ms(store);
    store->is_leaving = true;
    store->connected_to = 0;
}

static bool has_left(const struct kv_store *store)
{
    bool has_all = store->lane.sent.n == 0 && store->bulk.sent.n == 0;
    return store->is_leaving && (has_all || link_clock_ms() > store->leave_by_ms);
}

/* ---- receiving ---- */

static void take_push(struct kv_store *store, struct kv_slice push)
{
    struct resp_value kind = {0}, value = {0};
    resp_next(&push, &value);
    resp_next(&push, &kind);
    resp_next(&push, &value);
    if (kv_slice_equals(kind.text, KV_SLICE("sunsubscribe")))
        leave(store);
    if (!kv_slice_equals(kind.text, KV_SLICE("smessage")) || !resp_next(&push, &value))
        return;
    if (chain_take(store, value.text) != 0)
        store->is_lost = true;
}

/* The writes behind it are refused as well: so the order is kept. */
static void be_refused(struct kv_store *store, struct job *job)
{
    leave(store);
    if (jobs_reserve(&store->refused, 1))
        jobs_append(&store->refused, job);
    else
        answers_fail(store, job, KV_UNAVAILABLE);
}

/* A read that was answered without a refused write to the same key, which was sent before it. */
static bool is_too_early(const struct kv_store *store, const struct lane *lane,
                         const struct job *job)
{
    bool is_read = lane == &store->lane && job->kind == JOB_COMMAND && command_is_read(job);
    for (size_t i = 0; is_read && i < store->refused.n; i++) {
        const struct job *refused = jobs_at(&store->refused, i);
        if (refused->kind == JOB_COMMAND && kv_slice_equals(refused->cmd->key, job->cmd->key))
            return true;
    }
    return false;
}

static void take_reply(struct kv_store *store, struct lane *lane, struct kv_slice reply)
{
    struct job job = jobs_take_first(&lane->sent);
    lane->sent_bytes -= job.n_bytes;
    if (is_too_early(store, lane, &job)) {
        be_refused(store, &job);
        return;
    }
    enum outcome outcome = reply_take(store, &job, reply);
    if (job.kind == JOB_LOOK)
        store->is_looking = false;
    if (outcome == OUTCOME_LOST)
        leave(store);
    if (outcome == OUTCOME_REFUSED)
        be_refused(store, &job);
    else if (outcome == OUTCOME_AGAIN)
        waiting_add(store, &job);
    else if (outcome != OUTCOME_NONE)
        answers_give_back_in_time(store, &job);
}

static void take_message(struct kv_store *store, struct lane *lane, struct kv_slice message)
{
    if (message.bytes[0] == RESP_PUSH)
        take_push(store, message);
    else if (lane->sent.n != 0)
        take_reply(store, lane, message);
    else
        store->is_lost = true; /* nothing was asked for */
}

/* Takes what has arrived and is not held. */
static void take_messages(struct kv_store *store, struct lane *lane)
{
    struct kv_slice message;
    int found;
    while ((found = link_next(&lane->link, &message)) == 1)
        take_message(store, lane, message);
    if (found < 0)
        lose(store, lane);
}

static void receive(struct kv_store *store, struct lane *lane)
{
    bool is_closed = link_read(&lane->link) != 0;
    take_messages(store, lane);
    if (is_closed)
        lose(store, lane);
}

static void pass_fence(struct kv_store *store)
{
    if (fence_receive(store, &store->loss) != 0) {
        store->is_lost = true;
        return;
    }
    take_messages(store, &store->bulk);
    take_messages(store, &store->lane);
}

/* Answers may have arrived unread: the thread, or the whole process, may not have run. */
static bool is_silent(const struct kv_store *store, const struct lane *lane)
{
    return lane->sent.n != 0 && !link_is_holding(&lane->link) &&
           link_clock_ms() - lane->link.heard_ms > nodes_patience_ms(store) &&
           !link_is_stale(&lane->link);
}

/* ---- losing the connection ---- */

enum sent {
    SENT_NOTHING = 1,
    SENT_PART, /* so that nothing has happened */
    SENT_ALL,
};

/* *unsent: bytes that have not been sent, of this job and those behind it. */
static enum sent take_unsent(const struct job *job, size_t *unsent)
{
    enum sent sent = *unsent == 0 ? SENT_ALL : *unsent < job->n_bytes ? SENT_PART : SENT_NOTHING;
    *unsent -= job->n_bytes < *unsent ? job->n_bytes : *unsent;
    return sent;
}

/* If a request was cut off twice, it may be too long, and the reason why Redis closes connections.
 */
static bool is_to_be_repeated(struct job *job, enum sent sent)
{
    bool is_the_hosts = job->kind == JOB_COMMAND || job->kind == JOB_SCAN;
    bool was_cut_off = job->was_cut_off;
    job->was_cut_off = was_cut_off || sent == SENT_PART;
    return is_the_hosts && !(sent == SENT_PART && was_cut_off);
}

/* A job that Redis refused was not executed, even if the answer was held by the fence. */
static void mark_refused(struct lane *lane)
{
    struct kv_slice message;
    link_let_go(&lane->link, UINT64_MAX);
    for (size_t i = 0; i < lane->sent.n && link_next(&lane->link, &message) == 1;)
        if (message.bytes[0] != RESP_PUSH)
            jobs_at(&lane->sent, i++)->is_refused = resp_is_error(message);
}

/* Commands that share a request have waited for different times, so each goes on waiting by itself.
 * Returns: false if the job is no such request, or there is no memory. */
static bool take_back_catch_ups(struct kv_store *store, const struct job *job)
{
    return catch_ups_is_request(store, job) && catch_ups_take_back(store);
}

/* A write may have been executed, or not. */
static void take_back_sent(struct kv_store *store, struct lane *lane)
{
    mark_refused(lane);
    size_t unsent = buffer_slice(&lane->link.out).len;
    while (lane->sent.n != 0) {
        struct job job = jobs_take_last(&lane->sent);
        enum sent sent = take_unsent(&job, &unsent);
        if (take_back_catch_ups(store, &job))
            continue;
        bool may_be_repeated = sent != SENT_ALL || command_is_read(&job) || job.is_refused;
        if (may_be_repeated && !job.is_refused && is_to_be_repeated(&job, sent) &&
            jobs_reserve(&lane->waiting, 1))
            jobs_prepend(&lane->waiting, &job);
        else
            answers_fail(store, &job, may_be_repeated ? KV_UNAVAILABLE : KV_UNKNOWN);
    }
    lane->sent_bytes = 0;
}

static void take_back_refused(struct kv_store *store)
{
    while (store->refused.n != 0) {
        struct job job = jobs_take_last(&store->refused);
        struct jobs *waiting = &waiting_lane(store, &job)->waiting;
        if (take_back_catch_ups(store, &job))
            continue;
        if (jobs_reserve(waiting, 1))
            jobs_prepend(waiting, &job);
        else
            answers_fail(store, &job, KV_UNAVAILABLE);
    }
}

static void disconnect(struct kv_store *store)
{
    bool is_refused = store->refused.n != 0;
    struct kv_error text = store->loss;
    if (text.text[0] == '\0')
        kv_error_set(&text, "the connection to Redis at %s was lost", store->settings.address.text);
    store->loss.text[0] = '\0';
    take_back_sent(store, &store->lane);
    take_back_sent(store, &store->bulk);
    take_back_refused(store);
    session_close(store);
    if (store->nodes != NULL)
        nodes_try_next(store);
    lease_be_unsure(store);
    store->is_lost = store->is_bulk_lost = store->is_looking = store->is_leaving = false;
    store->is_connected = false;
    store->connected_to = 0;
    store->retry_at_ms = link_clock_ms() + (is_refused ? FIRST_RETRY_MS : 0);
    store->retry_delay_ms = FIRST_RETRY_MS;
    say(store, false, text.text);
}

/* Results that are still held show changes that Redis has lost with its master. */
static void take_back_held(struct kv_store *store)
{
    for (size_t n = store->held.n; n > 0; n--) {
        struct job job = jobs_take_first(&store->held);
        answers_drop_result(&job);
        if (job.kind == JOB_SCAN || (job.kind == JOB_COMMAND && command_is_read(&job)))
            waiting_add(store, &job);
        else
            answers_fail(store, &job, KV_UNKNOWN);
    }
}

static void connect_again(struct kv_store *store)
{
    struct kv_error error;
    if (link_clock_ms() < store->retry_at_ms)
        return;
    if (session_open(store, &error) == 0) {
        store->is_connected = true;
        store->connected_to = nodes_number(store);
        store->is_refusing = false;
        store->n_reconnects++;
        store->look_at_ms = 0;
        store->host->wake_at(store->host, PART, clock_now_ms(store));
        answers_release_held(store);
        take_back_held(store);
        say(store, true, "");
        return;
    }
    say(store, false, error.text);
    store->retry_at_ms = link_clock_ms() + store->retry_delay_ms;
    store->retry_delay_ms *= 2;
    int64_t last_ms = may_be_replaced(store) ? LAST_NODE_RETRY_MS : LAST_RETRY_MS;
    if (store->retry_delay_ms > last_ms)
        store->retry_delay_ms = last_ms;
}

static void connect_bulk_again(struct kv_store *store)
{
    struct kv_error error;
    store->is_bulk_lost = false;
    take_back_sent(store, &store->bulk);
    waiting_fail_overdue(store, &store->bulk.waiting);
    if (session_open_bulk(store, &error) != 0)
        store->is_lost = true;
}

/* ---- the thread ---- */

static bool may_tell(const struct kv_store *store)
{
    return store->host->may_tell(store->host);
}

static int look_time(const struct kv_store *store, bool is_congested)
{
    int64_t at_ms = store->is_connected ? look_at_ms(store) : store->retry_at_ms;
    int64_t most_ms = is_congested ? CONGESTED_MS : store->is_connected ? LOOK_MS : GLANCE_MS;
    int64_t left_ms = at_ms - link_clock_ms();
    bool has_no_time = store->is_connected && (store->is_looking || store->is_read_only);
    if (left_ms > most_ms || has_no_time)
        return (int)most_ms;
    return left_ms > 1 ? (int)left_ms : 1;
}

static int poll_time(const struct kv_store *store, bool is_congested)
{
    int look_ms = look_time(store, is_congested);
    if (!store->is_connected)
        return look_ms;
    int lease_ms = lease_wait_ms(store);
    int expiry_ms = store->is_leaving ? look_ms : expiring_wait_ms(store);
    int own_ms = lease_ms < expiry_ms ? lease_ms : expiry_ms;
    return own_ms < look_ms ? own_ms : look_ms;
}

static short link_events(const struct link *link, bool may_read)
{
    bool has_room = !link_is_holding(link) || buffer_slice(&link->in).len < MOST_HELD_BYTES;
    short events = may_read && has_room ? POLLIN : 0;
    return buffer_slice(&link->out).len != 0 ? (short)(events | POLLOUT) : events;
}

static void wait_for_work(struct kv_store *store)
{
    bool may_read = may_tell(store);
    struct pollfd polled[N_POLLED] = {
        {.fd = store->wake_fd, .events = POLLIN},
        {.fd = store->bulk.link.fd, .events = link_events(&store->bulk.link, true)},
        {.fd = store->lane.link.fd, .events = link_events(&store->lane.link, may_read)},
        {.fd = store->fence.link.fd, .events = link_events(&store->fence.link, true)},
    };
    uint64_t n_wakes;
    poll(polled, N_POLLED, poll_time(store, !may_read));
    if (polled[0].revents != 0 && read(store->wake_fd, &n_wakes, sizeof(n_wakes)) < 0)
        return; /* nothing to take */
    if (store->is_connected && (polled[1].revents & ~POLLOUT) != 0)
        receive(store, &store->bulk);
    if (store->is_connected && (polled[2].revents & ~POLLOUT) != 0)
        receive(store, &store->lane);
    if (store->is_connected && polled[3].revents != 0)
        pass_fence(store);
    if (store->held.n != 0)
        answers_release_held(store);
}

/* On the bulk: the lane is not read while subscribers have no room. */
static void serve_observers(struct kv_store *store)
{
    struct job job;
    lease_look(store);
    if (lease_is_to_ask(store, &job))
        send_job(store, &store->bulk, &job);
    if (lease_is_to_read(store, &job))
        send_job(store, &store->bulk, &job);
}

static void be_connected(struct kv_store *store)
{
    if (!store->is_leaving) {
        expire_in_time(store);
        catch_up(store);
        look_in_time(store);
        check_in_time(store);
        serve_observers(store);
    }
    if (fence_send(store, &store->loss) != 0)
        store->is_lost = true;
    send_waiting(store, &store->lane);
    send_waiting(store, &store->bulk);
    if (!may_tell(store))
        store->lane.link.heard_ms = link_clock_ms(); /* nothing is read from it meanwhile */
    if (is_silent(store, &store->lane) || is_silent(store, &store->bulk))
        store->is_lost = true;
}

static void be_unconnected(struct kv_store *store)
{
    waiting_fail_all_overdue(store);
    connect_again(store);
    if (!store->is_connected)
        waiting_fail_overdue_held(store);
}

/* Nothing is written to it any more. */
static void leave_old_master(struct kv_store *store)
{
    kv_error_set(&store->loss, "the sentinels have replaced Redis at %s",
                 store->settings.address.text);
    disconnect(store);
}

static void *talk(void *arg)
{
    struct kv_store *store = arg;
    while (!store->is_closing) {
        waiting_take_inbox(store);
        if (store->is_connected && master_is_another(store))
            leave_old_master(store);
        if (!store->is_connected)
            be_unconnected(store);
        if (store->is_connected)
            be_connected(store);
        answers_flush(store);
        report_commands(store);
        wait_for_work(store);
        if (has_left(store))
            store->is_lost = true;
        if (store->is_bulk_lost && !store->is_lost)
            connect_bulk_again(store);
        if (store->is_lost)
            disconnect(store);
        answers_flush(store);
    }
    lease_release(store);
    return NULL;
}

/* ---- from outside ---- */

void worker_wake(struct kv_store *store)
{
    uint64_t one = 1;
    while (write(store->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

bool worker_submit(struct kv_store *store, const struct job *jobs, size_t n)
{
    pthread_mutex_lock(&store->lock);
    bool was_empty = store->inbox.n == 0;
    bool has_room = jobs_reserve(&store->inbox, n);
    for (size_t i = 0; has_room && i < n; i++)
        jobs_append(&store->inbox, &jobs[i]);
    pthread_mutex_unlock(&store->lock);
    if (has_room && was_empty)
        worker_wake(store);
    return has_room;
}

int worker_init(struct kv_store *store, struct kv_error *reterr)
{
    pthread_mutex_init(&store->lock, NULL);
    report_init(&store->report);
    lease_init(store);
    recall_init(store);
    link_init(&store->lane.link);
    link_init(&store->bulk.link);
    link_init(&store->fetch);
    link_init(&store->fence.link);
    store->lane.most_sent = LANE_SENT;
    store->bulk.most_sent = BULK_SENT;
    store->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (store->wake_fd < 0)
        return kv_error_set(reterr, "no eventfd: %s", strerror(errno));
    return 0;
}

void worker_destroy(struct kv_store *store)
{
    session_close(store);
    resolver_fini(&store->resolver);
    jobs_clear(&store->inbox);
    jobs_clear(&store->spare);
    jobs_clear(&store->held);
    jobs_clear(&store->refused);
    catch_ups_clear(store);
    jobs_clear(&store->lane.waiting);
    jobs_clear(&store->lane.sent);
    jobs_clear(&store->bulk.waiting);
    jobs_clear(&store->bulk.sent);
    if (store->wake_fd >= 0)
        close(store->wake_fd);
    report_fini(&store->report);
    lease_fini(store);
    recall_fini(store);
    pthread_mutex_destroy(&store->lock);
}

int worker_start(struct kv_store *store, struct kv_error *reterr)
{
    store->is_connected = true;
    store->connected_to = nodes_number(store);
    report_connection(store, true, "");
    store->lease.settled = store->position; /* where the first of all begins */
    int fault = pthread_create(&store->thread, NULL, talk, store);
    return fault == 0 ? 0 : kv_error_set(reterr, "no thread: %s", strerror(fault));
}

void worker_end(struct kv_store *store)
{
    store->is_closing = true;
    worker_wake(store);
}

void worker_join(struct kv_store *store)
{
    pthread_join(store->thread, NULL);
}
