/*
 * The turn, and the sleep between turns. Invariant: a thread that adds work first makes it visible
 * and then calls kv_loop_wake(); the loop first announces its sleep (`is_awake` false) and then
 * looks for work. Both are sequentially consistent, so one of the two sees the other, and no
 * wake-up is lost; and while the loop is awake a wake-up costs no system call.
 *
 * Answers are written by the stages, outside of libh2o's own run. The call-backs of writes that
 * completed at once are run right after them (finish_writes()). If they were left to the next run,
 * they would come after libh2o has decided what to poll each socket for: a connection that does not
 * read and is writing, as it is between its answer and its next request, would be polled for
 * writing and then again for reading: two more system calls and one more turn of the loop for each
 * request.
 */
#include "loop/loop.h"

#include <errno.h>
#include <h2o.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/inbox.h"
#include "base/mem.h"

struct kv_loop {
    h2o_evloop_t *evloop;
    const struct kv_clock *clock;
    uint32_t index;
    int64_t began_ns;  /* when the turn's work began; 0: not yet */
    uint32_t n_inputs; /* inputs read so far */
    int64_t now_ms;
    int64_t ended_ns; /* when the last turn ended */
    struct kv_histogram turns;
    struct kv_turn_work *work;
    struct kv_turn_work no_work; /* where nobody has any */
    struct kv_heap timers;
    struct kv_list stages;
    h2o_socket_t *waker; /* an eventfd */
    struct kv_inbox posts;
    atomic_bool is_awake;
    atomic_bool is_stopped;
    bool has_taken_long; /* in this turn */
};

enum {
    LONGEST_SLEEP_MS = 60000
};

static void on_woken(h2o_socket_t *waker, const char *err)
{
    (void)err;
    uint64_t count;
    ssize_t got = read(h2o_socket_get_fd(waker), &count, sizeof(count));
    (void)got; /* EAGAIN is fine: the write only had to end the sleep */
}

static void look_at_clock(struct kv_loop *loop)
{
    int64_t now_ns = loop->clock->now_ns(loop->clock);
    if (loop->began_ns == 0)
        loop->began_ns = now_ns;
    loop->now_ms = now_ns / KV_NS_PER_MS;
}

void kv_loop_begin_work(struct kv_loop *loop)
{
    if (loop->n_inputs++ == 0)
        look_at_clock(loop);
}

/* With a single input, the clock has just been read. */
static void begin_turn(struct kv_loop *loop)
{
    if (loop->n_inputs != 1)
        look_at_clock(loop);
    loop->n_inputs = 0;
    loop->has_taken_long = false;
}

/* The following sleep is computed from the same reading of the clock. */
static void end_turn(struct kv_loop *loop)
{
    loop->ended_ns = loop->clock->now_ns(loop->clock);
    bool has_gone_back = loop->ended_ns < loop->began_ns; /* the clock */
    uint64_t took_ns = has_gone_back ? 0 : (uint64_t)(loop->ended_ns - loop->began_ns);
    unsigned bucket = kv_histogram_bucket(took_ns);
    loop->began_ns = 0;
    kv_histogram_add_in(&loop->turns, bucket, took_ns, 1);
    kv_turn_work_end(loop->work, took_ns, bucket);
}

void kv_loop_set_work(struct kv_loop *loop, struct kv_turn_work *work)
{
    loop->work = work;
}

void kv_loop_end_work(struct kv_loop *loop)
{
    KV_LIST_EACH(&loop->stages, link, after)
    {
        struct kv_loop_stage *stage = KV_CONTAINER(link, struct kv_loop_stage, link);
        if (stage->relieve != NULL)
            stage->relieve(stage);
    }
}

struct kv_loop *kv_loop_create(uint32_t index, const struct kv_clock *clock)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct kv_loop *loop = kv_calloc(1, sizeof(*loop));
    loop->evloop = h2o_evloop_create();
    loop->clock = clock;
    loop->index = index;
    loop->now_ms = kv_clock_now_ms(clock);
    loop->no_work.durations = &loop->turns;
    loop->work = &loop->no_work;
    kv_list_init(&loop->stages);
    atomic_init(&loop->is_awake, true);
    loop->waker = h2o_evloop_socket_create(loop->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
    h2o_socket_read_start(loop->waker, on_woken);
    return loop;
}

void kv_loop_destroy(struct kv_loop *loop)
{
    if (loop == NULL)
        return;
    h2o_socket_close(loop->waker);
    h2o_evloop_run(loop->evloop, 0); /* frees the closed sockets */
    h2o_evloop_destroy(loop->evloop);
    kv_heap_fini(&loop->timers);
    free(loop);
}

h2o_evloop_t *kv_loop_evloop(struct kv_loop *loop)
{
    return loop->evloop;
}

uint32_t kv_loop_index(const struct kv_loop *loop)
{
    return loop->index;
}

bool kv_loop_may_take_long(struct kv_loop *loop)
{
    bool is_first = !loop->has_taken_long;
    loop->has_taken_long = true;
    return is_first;
}

int64_t kv_loop_now_ms(const struct kv_loop *loop)
{
    return loop->now_ms;
}

const int64_t *kv_loop_began_ns(const struct kv_loop *loop)
{
    return &loop->began_ns;
}

static void collect_busy_time(struct kv_loop *const *loops, uint32_t n,
                              struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {"kvserver_loop_busy_seconds", KV_METRIC_COUNTER,
                                            "seconds", "Time that an event loop was at work"};
    char index[16];
    kv_metrics_begin(text, &metric);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(index, sizeof(index), "%u", i);
        kv_metrics_sample_ns(text, (struct kv_labels){{{"loop", index}}},
                             kv_counter_read(&loops[i]->turns.sum_ns));
    }
}

void kv_loops_collect(struct kv_loop *const *loops, uint32_t n, struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {
        "kvserver_loop_turn_duration_seconds", KV_METRIC_HISTOGRAM, "seconds",
        "Work of one turn of an event loop: nobody else on the loop is served meanwhile"};
    struct kv_histogram_sum sum = {0};
    for (uint32_t i = 0; i < n; i++)
        kv_histogram_sum_add(&sum, &loops[i]->turns);
    kv_metrics_begin(text, &metric);
    kv_metrics_histogram(text, KV_NO_LABELS, &sum);
    collect_busy_time(loops, n, text);
}

void kv_loop_wake(struct kv_loop *loop)
{
    if (atomic_exchange(&loop->is_awake, true))
        return;
    uint64_t one = 1;
    ssize_t written = write(h2o_socket_get_fd(loop->waker), &one, sizeof(one));
    (void)written; /* it fails only if the counter is full, and then the loop wakes anyway */
}

void kv_loop_stop(struct kv_loop *loop)
{
    atomic_store(&loop->is_stopped, true);
    kv_loop_wake(loop);
}

void kv_loop_post(struct kv_loop *loop, struct kv_post *post)
{
    kv_inbox_push(&loop->posts, &post->link);
    kv_loop_wake(loop);
}

void kv_timer_start(struct kv_loop *loop, struct kv_timer *timer, int64_t at_ms)
{
    kv_heap_put(&loop->timers, &timer->node, at_ms);
}

void kv_timer_hasten(struct kv_loop *loop, struct kv_timer *timer, int64_t at_ms)
{
    if (kv_heap_node_is_in(&timer->node) && timer->node.at > at_ms)
        kv_timer_start(loop, timer, at_ms);
}

void kv_timer_stop(struct kv_loop *loop, struct kv_timer *timer)
{
    kv_heap_remove(&loop->timers, &timer->node);
}

void kv_loop_add_stage(struct kv_loop *loop, struct kv_loop_stage *stage)
{
    kv_list_append(&loop->stages, &stage->link);
}

static void run_posts(struct kv_loop *loop)
{
    for (struct kv_link *link = kv_inbox_take_all(&loop->posts), *next; link != NULL; link = next) {
        struct kv_post *post = KV_CONTAINER(link, struct kv_post, link);
        next = link->next;
        post->run(post);
    }
}

static void fire_timers(struct kv_loop *loop)
{
    struct kv_heap_node *first;
    while ((first = kv_heap_first(&loop->timers)) != NULL && first->at <= loop->now_ms) {
        struct kv_timer *timer = KV_CONTAINER(first, struct kv_timer, node);
        kv_heap_remove(&loop->timers, first);
        timer->fire(timer);
    }
}

static void run_stages(struct kv_loop *loop)
{
    KV_LIST_EACH(&loop->stages, link, after)
    {
        struct kv_loop_stage *stage = KV_CONTAINER(link, struct kv_loop_stage, link);
        if (stage->run != NULL)
            stage->run(stage);
    }
}

static void settle_stages(struct kv_loop *loop)
{
    KV_LIST_EACH(&loop->stages, link, after)
    {
        struct kv_loop_stage *stage = KV_CONTAINER(link, struct kv_loop_stage, link);
        if (stage->settle != NULL)
            stage->settle(stage);
    }
}

/* The time when the next turn has to begin; a past time for at once. */
static int64_t next_turn_ms(struct kv_loop *loop)
{
    if (loop->evloop->_pending_as_server != NULL || loop->evloop->_pending_as_client != NULL ||
        !kv_inbox_is_empty(&loop->posts) || atomic_load(&loop->is_stopped))
        return INT64_MIN;
    struct kv_heap_node *first = kv_heap_first(&loop->timers);
    int64_t next = first == NULL ? INT64_MAX : first->at;
    KV_LIST_EACH(&loop->stages, link, after)
    {
        struct kv_loop_stage *stage = KV_CONTAINER(link, struct kv_loop_stage, link);
        int64_t wanted = stage->wake_at == NULL ? INT64_MAX : stage->wake_at(stage);
        if (wanted < next)
            next = wanted;
    }
    return next;
}

static int32_t milliseconds_until(struct kv_loop *loop, int64_t at_ms)
{
    if (at_ms <= loop->now_ms)
        return 0;
    int64_t wait = at_ms == INT64_MAX ? LONGEST_SLEEP_MS : at_ms - loop->ended_ns / KV_NS_PER_MS;
    if (wait < 0)
        return 0;
    return wait > LONGEST_SLEEP_MS ? LONGEST_SLEEP_MS : (int32_t)wait;
}

static void finish_writes(struct kv_loop *loop)
{
    h2o_timeout__do_post_callback(loop->evloop);
}

static void run_turn(struct kv_loop *loop, int32_t wait_ms)
{
    /* -1 is EINTR, or an epoll_ctl that failed for one socket: the turn continues. */
    (void)h2o_evloop_run(loop->evloop, wait_ms);
    atomic_store(&loop->is_awake, true);
    begin_turn(loop);
    run_posts(loop);
    fire_timers(loop);
    run_stages(loop);
    finish_writes(loop);
    settle_stages(loop);
    end_turn(loop);
}

void kv_loop_turn(struct kv_loop *loop)
{
    run_turn(loop, 0);
}

/* For tools that show threads, such as `top -H`. */
static void name_thread(const struct kv_loop *loop)
{
    char name[16];
    snprintf(name, sizeof(name), "loop %u", loop->index);
    (void)pthread_setname_np(pthread_self(), name);
}

void kv_loop_run(struct kv_loop *loop)
{
    name_thread(loop);
    loop->ended_ns = loop->clock->now_ns(loop->clock);
    while (!atomic_load(&loop->is_stopped)) {
        atomic_store(&loop->is_awake, false);
        run_turn(loop, milliseconds_until(loop, next_turn_ms(loop)));
    }
    while (!kv_inbox_is_empty(&loop->posts)) { /* posts that came with the stop */
        loop->has_taken_long = false;
        run_posts(loop);
    }
}
