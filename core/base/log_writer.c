/*
 * The thread takes all waiting lines at once and writes them without the lock, which is held only
 * to copy a line. A blocked write cannot be interrupted: if standard error accepts nothing at the
 * end, the thread is abandoned, and its unwritten lines are lost.
 */
#include "base/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"

enum {
    LARGEST_KEPT = 64 << 10, /* of the buffer, while no line waits */
    LONGEST_END_S = 2
};

enum state {
    STOPPED, /* each caller writes its own lines */
    STARTED,
    STOPPING,
    ABANDONED, /* the thread did not end: nothing more is written */
};

static struct {
    pthread_mutex_t lock; /* of the members below */
    pthread_cond_t changed;
    enum state state;
    struct kv_buffer waiting;
    uint64_t n_untold;
    pthread_t thread;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static _Atomic uint64_t n_dropped;

/* Errors cannot be reported anywhere. */
static void write_all(struct kv_slice text)
{
    while (text.len != 0) {
        ssize_t n = write(STDERR_FILENO, text.bytes, text.len);
        if (n >= 0)
            text = (struct kv_slice){text.bytes + n, text.len - (size_t)n};
        else if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            return;
    }
}

/* Under the lock. Returns: false if there is nothing to write, and nothing will come. */
static bool await_lines(void)
{
    while (queue.waiting.len == 0 && queue.state == STARTED)
        pthread_cond_wait(&queue.changed, &queue.lock);
    return queue.waiting.len != 0;
}

static void *run(void *argument)
{
    struct kv_buffer lines = {0};
    (void)pthread_setname_np(pthread_self(), "log");
    pthread_mutex_lock(&queue.lock);
    while (await_lines()) {
        struct kv_buffer taken = queue.waiting;
        queue.waiting = lines;
        pthread_mutex_unlock(&queue.lock);
        write_all(kv_buffer_slice(&taken));
        kv_buffer_trim(&taken, LARGEST_KEPT);
        lines = taken;
        lines.len = 0;
        pthread_mutex_lock(&queue.lock);
    }
    pthread_mutex_unlock(&queue.lock);
    kv_buffer_fini(&lines);
    return argument;
}

static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&queue.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void kv_log_start(void)
{
    pthread_mutex_lock(&queue.lock);
    if (queue.state == STOPPED && start_thread() == 0)
        queue.state = STARTED;
    pthread_mutex_unlock(&queue.lock);
}

void kv_log_stop(void)
{
    struct timespec until;
    pthread_mutex_lock(&queue.lock);
    bool is_started = queue.state == STARTED;
    if (is_started)
        queue.state = STOPPING;
    pthread_cond_signal(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    if (!is_started)
        return;
    clock_gettime(CLOCK_REALTIME,
                  &until); /* ThreadSanitizer does not support joins with another clock */
    until.tv_sec += LONGEST_END_S;
    bool has_ended = pthread_timedjoin_np(queue.thread, NULL, &until) == 0;
    pthread_mutex_lock(&queue.lock);
    queue.state = has_ended ? STOPPED : ABANDONED;
    struct kv_buffer last = {0}; /* from other threads, since it ended */
    if (has_ended) {
        last = queue.waiting;
        queue.waiting = (struct kv_buffer){0};
    }
    pthread_mutex_unlock(&queue.lock);
    write_all(kv_buffer_slice(&last));
    kv_buffer_fini(&last);
}

/* Under the lock. */
static bool enqueue(struct kv_slice line, size_t most)
{
    bool fits = queue.state != ABANDONED && queue.waiting.len + line.len <= most;
    if (!fits) {
        queue.n_untold++;
        atomic_fetch_add_explicit(&n_dropped, 1, memory_order_relaxed);
        return false;
    }
    if (queue.waiting.len == 0)
        pthread_cond_signal(&queue.changed);
    kv_buffer_append(&queue.waiting, line);
    return true;
}

bool kv_log_writer_put(struct kv_slice line, size_t most)
{
    pthread_mutex_lock(&queue.lock);
    bool is_direct = queue.state == STOPPED;
    bool is_taken = is_direct || enqueue(line, most);
    pthread_mutex_unlock(&queue.lock);
    if (is_direct)
        write_all(line);
    return is_taken;
}

uint64_t kv_log_writer_take_dropped(void)
{
    pthread_mutex_lock(&queue.lock);
    uint64_t n = queue.n_untold;
    queue.n_untold = 0;
    pthread_mutex_unlock(&queue.lock);
    return n;
}

uint64_t kv_log_n_dropped(void)
{
    return atomic_load_explicit(&n_dropped, memory_order_relaxed);
}
