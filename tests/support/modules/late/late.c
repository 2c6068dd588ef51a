/*
 * A store for tests that completes everything late: submit() only queues, and a thread takes
 * commands from the queue in bursts of random size after random delays. Within a burst, writes run
 * in the order submitted, reads at a random time; results are returned in random order. So it uses
 * every freedom that the contract gives a store, and exposes a host that relies on more.
 *
 * The state itself is kept by another store, compiled in as inner_module_entry(). Its handle and
 * this store's are both a `struct kv_store *`; this file never looks into the inner one.
 *
 * Invariant: a job is in the queue or in the thread's burst, and only the thread takes from the
 * queue; so writes of all loops run in the order queued.
 */
#include <kvserver/store.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The largest burst. */
#define BURST_MAX 64

/* One command or one scan. */
struct job {
    uint32_t loop;
    struct kv_cmd *cmd;
    struct kv_scan *scan; /* if cmd is NULL */
};

struct kv_store {
    const struct kv_store_host *host;
    const struct kv_store_ops *inner_ops;
    struct kv_store *inner;
    int64_t max_delay_us;
    unsigned seed;     /* the thread's */
    char *failing_key; /* the thread's; the next GET of this key fails; NULL: none */
    int64_t close_delay_ms;
    pthread_t thread;

    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t stirred;
    struct job *jobs;
    size_t n_jobs;
    size_t capacity;
    bool is_closing;
};

const struct kv_module *inner_module_entry(void);

/* A random number below n. */
static size_t draw(struct kv_store *store, size_t n)
{
    return (size_t)rand_r(&store->seed) % n;
}

/* ---- the queue ---- */

/* Under the lock. Returns: false if there is not enough memory for n more jobs. */
static bool reserve_jobs(struct kv_store *store, size_t n)
{
    size_t capacity = store->capacity;
    while (capacity - store->n_jobs < n)
        capacity = capacity == 0 ? BURST_MAX : 2 * capacity;
    struct job *jobs = reallocarray(store->jobs, capacity, sizeof(*jobs));
    if (jobs == NULL)
        return false;
    store->jobs = jobs;
    store->capacity = capacity;
    return true;
}

static void late_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n)
{
    pthread_mutex_lock(&store->lock);
    bool has_room = reserve_jobs(store, n);
    for (size_t i = 0; i < n; i++) {
        cmds[i]->is_deferred = has_room;
        if (has_room)
            store->jobs[store->n_jobs++] = (struct job){.loop = loop, .cmd = cmds[i]};
        else
            cmds[i]->status = KV_FULL;
    }
    pthread_cond_signal(&store->stirred);
    pthread_mutex_unlock(&store->lock);
}

static void late_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    pthread_mutex_lock(&store->lock);
    scan->is_deferred = reserve_jobs(store, 1);
    if (!scan->is_deferred) {
        pthread_mutex_unlock(&store->lock);
        scan->status = KV_FULL;
        return;
    }
    store->jobs[store->n_jobs++] = (struct job){.loop = loop, .scan = scan};
    pthread_cond_signal(&store->stirred);
    pthread_mutex_unlock(&store->lock);
}

/* ---- the thread ---- */

/* Waits for a random time, under the lock. The state may change meanwhile. */
static void dawdle(struct kv_store *store)
{
    if (store->max_delay_us <= 0)
        return;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(draw(store, (size_t)store->max_delay_us + 1) * 1000);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (pthread_cond_timedwait(&store->stirred, &store->lock, &until) == 0)
        ;
}

/* Waits for jobs and takes some from the front. Returns: their number; 0 at the end. */
static size_t take_burst(struct kv_store *store, struct job burst[BURST_MAX])
{
    pthread_mutex_lock(&store->lock);
    while (store->n_jobs == 0 && !store->is_closing)
        pthread_cond_wait(&store->stirred, &store->lock);
    size_t n = 0;
    if (store->n_jobs != 0) {
        dawdle(store);
        n = 1 + draw(store, store->n_jobs < BURST_MAX ? store->n_jobs : BURST_MAX);
        memcpy(burst, store->jobs, n * sizeof(*burst));
        store->n_jobs -= n;
        memmove(store->jobs, store->jobs + n, store->n_jobs * sizeof(*burst));
    }
    pthread_mutex_unlock(&store->lock);
    return n;
}

static bool is_read(const struct job *job)
{
    return job->cmd == NULL || job->cmd->op == KV_OP_GET;
}

/* Fails only once, so that a test can observe the behaviour after the failure. */
static bool takes_failure(struct kv_store *store, const struct kv_cmd *cmd)
{
    if (store->failing_key == NULL || cmd->op != KV_OP_GET ||
        cmd->key.len != strlen(store->failing_key) ||
        memcmp(cmd->key.bytes, store->failing_key, cmd->key.len) != 0)
        return false;
    free(store->failing_key);
    store->failing_key = NULL;
    return true;
}

static void run_job(struct kv_store *store, const struct job *job)
{
    if (job->cmd != NULL && takes_failure(store, job->cmd)) {
        job->cmd->status = KV_IO;
        job->cmd->revision = 0;
    } else if (job->cmd != NULL) {
        store->inner_ops->submit(store->inner, job->loop, &job->cmd, 1);
    } else {
        store->inner_ops->scan(store->inner, job->loop, job->scan);
    }
}

/* Three rounds: some reads early, then writes and reads in order, then late reads. */
static void run_burst(struct kv_store *store, const struct job *burst, size_t n)
{
    enum {
        EARLY,
        IN_ORDER,
        LATE,
        N_ROUNDS
    };
    unsigned char rounds[BURST_MAX];
    for (size_t i = 0; i < n; i++)
        rounds[i] = is_read(&burst[i]) ? (unsigned char)draw(store, N_ROUNDS) : IN_ORDER;
    for (int round = EARLY; round < N_ROUNDS; round++)
        for (size_t i = 0; i < n; i++)
            if (rounds[i] == round)
                run_job(store, &burst[i]);
}

/* The Fisher-Yates shuffle. */
static void shuffle(struct kv_store *store, struct job *burst, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = draw(store, i);
        struct job job = burst[i - 1];
        burst[i - 1] = burst[j];
        burst[j] = job;
    }
}

/* Returns: the number of commands of one loop at the front. */
static size_t collect(const struct job *burst, size_t n, struct kv_cmd *cmds[BURST_MAX])
{
    size_t count = 0;
    while (count < n && burst[count].cmd != NULL && burst[count].loop == burst[0].loop) {
        cmds[count] = burst[count].cmd;
        count++;
    }
    return count;
}

static void give_back(struct kv_store *store, const struct job *burst, size_t n)
{
    struct kv_cmd *cmds[BURST_MAX];
    for (size_t i = 0; i < n;) {
        size_t count = collect(burst + i, n - i, cmds);
        if (count != 0)
            store->host->done(store->host, burst[i].loop, cmds, count);
        else
            store->host->scan_done(store->host, burst[i].loop, burst[i].scan);
        i += count != 0 ? count : 1;
    }
}

static void *be_late(void *arg)
{
    struct kv_store *store = arg;
    struct job burst[BURST_MAX];
    for (size_t n; (n = take_burst(store, burst)) != 0;) {
        run_burst(store, burst, n);
        shuffle(store, burst, n);
        give_back(store, burst, n);
    }
    return NULL;
}

/* ---- lifecycle ---- */

enum {
    OPTION_MAX_BYTES, /* the inner store's options come first: it reads the same array */
    OPTION_DELAY,
    OPTION_SEED,
    OPTION_OPEN_DELAY,
    OPTION_CLOSE_DELAY,
    OPTION_FAILING_KEY,
    N_OPTIONS
};

static const struct kv_option late_options[N_OPTIONS] = {
    [OPTION_MAX_BYTES] = {.name = "max_bytes",
                          .type = KV_OPTION_SIZE,
                          .fallback = "0",
                          .doc = "the most that keys and values may add up to; 0: no limit"},
    [OPTION_DELAY] = {.name = "delay",
                      .type = KV_OPTION_DURATION,
                      .fallback = "2",
                      .max = 1000,
                      .doc = "the longest pause before a burst"},
    [OPTION_OPEN_DELAY] = {.name = "open_delay",
                           .type = KV_OPTION_DURATION,
                           .fallback = "0",
                           .doc = "how long opening takes"},
    [OPTION_CLOSE_DELAY] = {.name = "close_delay",
                            .type = KV_OPTION_DURATION,
                            .fallback = "0",
                            .doc = "how long closing takes"},
    [OPTION_FAILING_KEY] = {.name = "failing_key",
                            .type = KV_OPTION_STRING,
                            .fallback = "",
                            .doc = "a key whose first GET fails"},
    [OPTION_SEED] = {.name = "seed",
                     .type = KV_OPTION_INT,
                     .fallback = "1",
                     .doc = "of the random delays and orders"},
};

static void init_signals(struct kv_store *store)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&store->stirred, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&store->lock, NULL);
}

static void destroy(struct kv_store *store)
{
    if (store->inner != NULL)
        store->inner_ops->close(store->inner);
    pthread_cond_destroy(&store->stirred);
    pthread_mutex_destroy(&store->lock);
    free(store->jobs);
    free(store->failing_key);
    free(store);
}

static int start(struct kv_store *store, const struct kv_option_value *options,
                 struct kv_error *reterr)
{
    if (store->inner_ops->open(store->host, options, &store->inner, reterr) != 0)
        return -1;
    int fault = pthread_create(&store->thread, NULL, be_late, store);
    if (fault != 0)
        return kv_error_set(reterr, "store late: no thread: %s", strerror(fault));
    return 0;
}

static void pass_time(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int late_open(const struct kv_store_host *host, const struct kv_option_value *options,
                     struct kv_store **ret_store, struct kv_error *reterr)
{
    struct kv_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return kv_error_set(reterr, "store late: no memory");
    pass_time(options[OPTION_OPEN_DELAY].integer);
    store->host = host;
    store->inner_ops = inner_module_entry()->ops;
    store->max_delay_us = options[OPTION_DELAY].integer * 1000;
    store->close_delay_ms = options[OPTION_CLOSE_DELAY].integer;
    store->seed = (unsigned)options[OPTION_SEED].integer;
    struct kv_slice failing_key = options[OPTION_FAILING_KEY].string;
    if (failing_key.len != 0)
        store->failing_key = strndup(failing_key.bytes, failing_key.len);
    init_signals(store);
    if ((failing_key.len != 0 && store->failing_key == NULL) ||
        start(store, options, reterr) != 0) {
        destroy(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static void late_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    store->inner_ops->info(store->inner, ret_info);
}

static int64_t late_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    return store->inner_ops->expire(store->inner, part, now_ms, max);
}

static void late_metrics(struct kv_store *store, struct kv_metrics_out *out)
{
    store->inner_ops->metrics(store->inner, out);
}

static uint64_t late_revision(struct kv_store *store)
{
    return store->inner_ops->revision(store->inner);
}

static void late_ref(struct kv_store *store, void *ref)
{
    store->inner_ops->ref(store->inner, ref);
}

static void late_unref(struct kv_store *store, void *ref)
{
    store->inner_ops->unref(store->inner, ref);
}

static void late_close(struct kv_store *store)
{
    pass_time(store->close_delay_ms);
    pthread_mutex_lock(&store->lock);
    store->is_closing = true;
    pthread_cond_signal(&store->stirred);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    destroy(store);
}

static const struct kv_store_ops late_ops = {
    .size = sizeof(late_ops),
    .open = late_open,
    .info = late_info,
    .submit = late_submit,
    .scan = late_scan,
    .expire = late_expire,
    .ref = late_ref,
    .unref = late_unref,
    .close = late_close,
    .revision = late_revision,
    .metrics = late_metrics,
};

static const struct kv_module late_module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "late",
    .version = "1.0",
    .capabilities = KV_STORE_ORDERED | KV_STORE_SEEKS | KV_STORE_UPDATES | KV_STORE_IN_ORDER,
    .options = late_options,
    .n_options = N_OPTIONS,
    .ops = &late_ops,
};

KV_MODULE_EXPORT(&late_module)
