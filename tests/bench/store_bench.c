/*
 * The cost of a store by itself, without server and sockets:
 *
 *   store_bench MODULE.so WHAT [KEYS] [option=value ...]
 *
 *   memory         bytes for each key beyond key and value, at several sizes
 *   memory-ttl     the same, with deadlines
 *   memory-spread  the same, with keys in random order
 *   pause          the longest time of one write while the store grows
 *   commands       the time of a get and a set of existing keys, alone and in vectors
 *   insert         the time of a set of a new key, in order and in random order
 *   page           the time of a page of ten keys with a prefix, among other keys
 *   walk           the time of a walk over all keys, and of its longest page
 *   log            the time to read all changes back, in pages of 64, from a store that logs them
 *
 * Keys have 16 bytes, values 32. Times of all but `commands` are thread CPU time; those of `pause`
 * and `insert` are the least of three loads. For a store that answers late, on threads of its own,
 * `page`, `walk` and `log` measure the elapsed time until the answer arrives.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "contract/store/options.h"
#include "module/module.h"
#include "support/client/fork.h"

enum {
    KEY_LEN = 16,
    VALUE_LEN = 32,
    VECTOR = 64,
    DAY_MS = 24 * 3600 * 1000
};

static const struct kv_store_ops *ops;
static struct kv_store *store;

/* ---- the smallest possible host ---- */

static int64_t host_now_ms(const struct kv_host *host)
{
    (void)host;
    return kv_clock_now_ms(&kv_clock_boot);
}

static int64_t host_wall_us(const struct kv_host *host)
{
    (void)host;
    return kv_wall_us();
}

static void host_log(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    (void)host;
    (void)level;
    (void)format;
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    return kv_hash(key);
}

static void host_changed(const struct kv_store_host *host, uint32_t part,
                         const struct kv_change *change)
{
    (void)host;
    (void)part;
    (void)change;
}

static void host_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)deadline_ms;
}

/* Answers that arrived late: commands and pages. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static size_t n_answers;

static void count_answers(size_t n)
{
    pthread_mutex_lock(&lock);
    n_answers += n;
    pthread_cond_signal(&came);
    pthread_mutex_unlock(&lock);
}

/* Waits for n more answers. */
static void await_answers(size_t n)
{
    pthread_mutex_lock(&lock);
    while (n_answers < n)
        pthread_cond_wait(&came, &lock);
    n_answers -= n;
    pthread_mutex_unlock(&lock);
}

static void host_done(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                      size_t n)
{
    (void)host;
    (void)loop;
    (void)cmds;
    count_answers(n);
}

static void host_scan_done(const struct kv_store_host *host, uint32_t loop, struct kv_scan *scan)
{
    (void)host;
    (void)loop;
    (void)scan;
    count_answers(1);
}

static void host_log_done(const struct kv_store_host *host, uint32_t loop, struct kv_log_page *page)
{
    (void)host;
    (void)loop;
    (void)page;
    count_answers(1);
}

static const struct kv_store_host host = {
    .base = {.size = sizeof(host), .now_ms = host_now_ms, .wall_us = host_wall_us, .log = host_log},
    .n_loops = 1,
    .hash = host_hash,
    .changed = host_changed,
    .wake_at = host_wake_at,
    .done = host_done,
    .scan_done = host_scan_done,
    .log_done = host_log_done,
    .log_bytes = (uint64_t)1 << 40,
    .log_ms = DAY_MS,
};

/* ---- measuring ---- */

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t resident_bytes(void)
{
    size_t total = 0;
    size_t resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%zu %zu", &total, &resident) != 2)
        abort();
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* The splitmix64 generator (Steele, Lea and Flood, 2014). */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- commands ---- */

struct vector {
    struct kv_cmd cmds[VECTOR];
    struct kv_cmd *refs[VECTOR];
    char keys[VECTOR][32];
};

static const char value[VALUE_LEN + 1] = "\"abcdefghijklmnopqrstuvwxyz0123\"";

static void fill(struct vector *vector, size_t i, enum kv_op op, uint64_t number,
                 int64_t deadline_ms)
{
    snprintf(vector->keys[i], sizeof(vector->keys[i]), "key:%012ju", (uintmax_t)number);
    struct kv_slice key = {vector->keys[i], KEY_LEN};
    vector->cmds[i] = (struct kv_cmd){.op = op,
                                      .hash = kv_hash(key),
                                      .key = key,
                                      .value = {value, VALUE_LEN},
                                      .deadline_ms = deadline_ms};
    vector->refs[i] = &vector->cmds[i];
}

static void run(struct vector *vector, size_t n)
{
    size_t n_deferred = 0;
    ops->submit(store, 0, vector->refs, n);
    for (size_t i = 0; i < n; i++)
        n_deferred += vector->cmds[i].is_deferred ? 1 : 0;
    await_answers(n_deferred);
    for (size_t i = 0; i < n; i++) {
        if (vector->cmds[i].item.ref != NULL)
            ops->unref(store, vector->cmds[i].item.ref);
        if (vector->cmds[i].status > KV_MISSING) {
            fprintf(stderr, "a command ended with status %d\n", vector->cmds[i].status);
            exit(1);
        }
    }
}

/* The order of keys, and the way of inserting them. */
struct manner {
    bool is_spread; /* in no order */
    bool with_ttl;
    size_t n_vector;
};

static uint64_t number_of(size_t i, const struct manner *manner)
{
    uint64_t state = i;
    return manner->is_spread ? draw(&state) % UINT64_C(1000000000000) : i;
}

/* Returns: the CPU time that the store took. */
static double load(size_t from, size_t to, const struct manner *manner)
{
    static struct vector vector;
    int64_t deadline_ms = manner->with_ttl ? host_now_ms(NULL) + DAY_MS : KV_NEVER;
    double spent = 0;
    for (size_t i = from; i < to;) {
        size_t n = 0;
        for (; n < manner->n_vector && i < to; n++, i++)
            fill(&vector, n, KV_OP_SET, number_of(i, manner), deadline_ms);
        double start = seconds(CLOCK_THREAD_CPUTIME_ID);
        run(&vector, n);
        spent += seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    return spent;
}

/* ---- measurements ---- */

static void measure_memory(const char *name, struct manner manner)
{
    static const size_t sizes[] = {100000, 350000, 700000, 1000000, 1400000};
    size_t before = resident_bytes();
    size_t loaded = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        load(loaded, sizes[i], &manner);
        loaded = sizes[i];
        double each = (double)(resident_bytes() - before) / (double)loaded;
        printf("%s keys=%zu overhead=%.1f B/key\n", name, loaded, each - KEY_LEN - VALUE_LEN);
    }
}

/* Loads the keys one by one; lowers least[i] to the time of the i-th write, if that is less. */
static void load_timed(size_t n_keys, float *least)
{
    static struct vector vector;
    for (size_t i = 0; i < n_keys; i++) {
        fill(&vector, 0, KV_OP_SET, i, KV_NEVER);
        double start = seconds(CLOCK_THREAD_CPUTIME_ID);
        run(&vector, 1);
        float took = (float)(seconds(CLOCK_THREAD_CPUTIME_ID) - start);
        least[i] = took < least[i] ? took : least[i];
    }
}

/* The same load several times, each in a new process with the same initial state. A write that is
 * slow because of the store is slow each time; one that the machine delayed (stolen time counts as
 * CPU time) is hardly delayed at the same place again. */
static void measure_pause(size_t n_keys)
{
    enum {
        TIMES = 3
    };
    float *least = mmap(NULL, n_keys * sizeof(float), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (least == MAP_FAILED)
        abort();
    for (size_t i = 0; i < n_keys; i++)
        least[i] = 1e9F;
    for (int i = 0; i < TIMES; i++) {
        if (kv_test_fork() == 0) {
            load_timed(n_keys, least);
            _exit(0);
        }
        wait(NULL);
    }
    float longest = 0;
    for (size_t i = 0; i < n_keys; i++)
        longest = least[i] > longest ? least[i] : longest;
    printf("pause keys=%zu longest=%.3f ms\n", n_keys, (double)longest * 1e3);
    munmap(least, n_keys * sizeof(float));
}

static void time_commands(enum kv_op op, size_t n_keys, size_t n_vector)
{
    static struct vector vector;
    enum {
        COMMANDS = 2000000
    };
    uint64_t state = 1;
    double spent = 0;
    for (size_t done = 0; done < COMMANDS; done += n_vector) {
        for (size_t i = 0; i < n_vector; i++)
            fill(&vector, i, op, draw(&state) % n_keys, KV_NEVER);
        double start = seconds(CLOCK_MONOTONIC);
        run(&vector, n_vector);
        spent += seconds(CLOCK_MONOTONIC) - start;
    }
    printf("commands keys=%zu op=%s vector=%zu each=%.0f ns\n", n_keys,
           op == KV_OP_GET ? "get" : "set", n_vector, spent / COMMANDS * 1e9);
}

static void measure_commands(size_t n_keys)
{
    load(0, n_keys, &(struct manner){.n_vector = VECTOR});
    for (size_t n = 1; n <= VECTOR; n *= 8) {
        time_commands(KV_OP_GET, n_keys, n);
        time_commands(KV_OP_SET, n_keys, n);
    }
}

/* Loads an empty store, in a new process. Returns: the time of each set. */
static double time_load(size_t n_keys, const struct manner *manner)
{
    double *spent =
        mmap(NULL, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (spent == MAP_FAILED)
        abort();
    if (kv_test_fork() == 0) {
        *spent = load(0, n_keys, manner);
        _exit(0);
    }
    wait(NULL);
    double each = *spent / (double)n_keys;
    munmap(spent, sizeof(double));
    return each;
}

static void measure_insert(size_t n_keys)
{
    enum {
        TIMES = 3
    };
    for (int i = 0; i < 4; i++) {
        struct manner manner = {.is_spread = i % 2 == 1, .n_vector = i < 2 ? 1 : VECTOR};
        double least = 1e9;
        for (int j = 0; j < TIMES; j++) {
            double each = time_load(n_keys, &manner);
            least = each < least ? each : least;
        }
        printf("insert keys=%zu order=%s vector=%zu each=%.0f ns\n", n_keys,
               manner.is_spread ? "none" : "rising", manner.n_vector, least * 1e9);
    }
}

/* ---- scans ---- */

enum {
    PAGES = 20000,
    MOST_ENTRIES = 1024
};

/* One page. Returns: its CPU time; for a late answer, the elapsed time. */
static double run_scan(struct kv_scan *scan)
{
    static struct kv_scan_entry entries[MOST_ENTRIES];
    scan->entries = entries;
    scan->is_deferred = false;
    double asked = seconds(CLOCK_MONOTONIC);
    double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    ops->scan(store, 0, scan);
    double spent = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    if (scan->is_deferred) {
        await_answers(1);
        spent = seconds(CLOCK_MONOTONIC) - asked;
    }
    if (scan->status != KV_OK)
        abort();
    for (uint32_t i = 0; i < scan->n; i++)
        ops->unref(store, entries[i].item.ref);
    return spent;
}

static int by_time(const void *a, const void *b)
{
    double one = *(const double *)a;
    double other = *(const double *)b;
    return (one > other) - (one < other);
}

/* Pages of ten adjacent keys; ten keys of each hundred thousand. */
static void measure_page(size_t n_keys)
{
    static double spent[PAGES];
    uint64_t state = 1;
    load(0, n_keys, &(struct manner){.n_vector = VECTOR});
    for (size_t i = 0; i < PAGES; i++) {
        char prefix[32];
        snprintf(prefix, sizeof(prefix), "key:%011ju", (uintmax_t)(draw(&state) % (n_keys / 10)));
        struct kv_scan scan = {.prefix = kv_slice_of(prefix), .capacity = 20};
        spent[i] = run_scan(&scan);
        if (scan.n != 10 || scan.next.len != 0)
            abort();
    }
    qsort(spent, PAGES, sizeof(double), by_time);
    printf("page keys=%zu p50=%.3f ms p99=%.3f ms longest=%.3f ms\n", n_keys,
           spent[PAGES / 2] * 1e3, spent[PAGES / 100 * 99] * 1e3, spent[PAGES - 1] * 1e3);
}

static void walk_all(size_t n_keys, uint32_t capacity)
{
    struct kv_scan scan = {.capacity = capacity, .wants_values = true};
    void *cursor_ref = NULL;
    double total = 0;
    double longest = 0;
    size_t n = 0;
    do {
        double spent = run_scan(&scan);
        total += spent;
        longest = spent > longest ? spent : longest;
        n += scan.n;
        if (cursor_ref != NULL)
            ops->unref(store, cursor_ref);
        scan.cursor = scan.next;
        cursor_ref = scan.next_ref;
    } while (scan.cursor.len != 0);
    printf("walk keys=%zu page=%u each=%.0f ns longest page=%.3f ms\n", n, capacity,
           total / (double)n_keys * 1e9, longest * 1e3);
}

static void measure_walk(size_t n_keys)
{
    load(0, n_keys, &(struct manner){.is_spread = true, .n_vector = VECTOR});
    walk_all(n_keys, 64);
    walk_all(n_keys, MOST_ENTRIES);
}

/* ---- the change log ---- */

enum {
    LOG_PAGE = 64
};

static void read_log_page(struct kv_log_page *page, uint64_t after)
{
    static struct kv_log_entry entries[LOG_PAGE];
    *page = (struct kv_log_page){
        .after = after, .entries = entries, .capacity = LOG_PAGE, .most_bytes = SIZE_MAX};
    ops->read_log(store, 0, page);
    if (page->is_deferred)
        await_answers(1);
    if (page->status != KV_OK)
        abort();
    for (uint32_t i = 0; i < page->n; i++)
        ops->unref(store, entries[i].ref);
}

static void measure_log(size_t n_keys)
{
    struct kv_log_page page = {.upto = ops->revision(store)};
    size_t n = 0;
    load(0, n_keys, &(struct manner){.n_vector = VECTOR});
    double start = seconds(CLOCK_MONOTONIC);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    do {
        read_log_page(&page, page.upto);
        n += page.n;
    } while (!page.is_last);
    if (n != n_keys)
        abort();
    printf("log changes=%zu each=%.0f ns processor=%.0f ns\n", n,
           (seconds(CLOCK_MONOTONIC) - start) / (double)n * 1e9,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)n * 1e9);
}

/* ---- the program ---- */

static int n_settings;
static char **settings;

static struct kv_option_value *open_store(const struct kv_loaded_module *module)
{
    struct kv_error error;
    struct kv_option_value *options =
        options_create(module->identity, n_settings, settings, ".", &error);
    ops = kv_module_store_ops(module);
    if (options == NULL || ops->open(&host, options, &store, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    return options;
}

static const struct {
    const char *name;
    void (*measure)(size_t n_keys);
} kinds[] = {
    {"pause", measure_pause}, {"commands", measure_commands}, {"insert", measure_insert},
    {"page", measure_page},   {"walk", measure_walk},         {"log", measure_log},
};

static void measure(const char *what, size_t n_keys)
{
    if (strcmp(what, "memory") == 0)
        measure_memory(what, (struct manner){.n_vector = VECTOR});
    else if (strcmp(what, "memory-ttl") == 0)
        measure_memory(what, (struct manner){.with_ttl = true, .n_vector = VECTOR});
    else if (strcmp(what, "memory-spread") == 0)
        measure_memory(what, (struct manner){.is_spread = true, .n_vector = VECTOR});
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(what, kinds[i].name) == 0)
            kinds[i].measure(n_keys);
}

int main(int argc, char **argv)
{
    struct kv_loaded_module *module;
    struct kv_error error;
    if (argc < 3) {
        fprintf(stderr,
                "usage: %s MODULE.so "
                "memory|memory-ttl|memory-spread|pause|commands|insert|page|walk|log "
                "[KEYS] [option=value ...]\n",
                argv[0]);
        return 2;
    }
    bool has_keys = argc > 3 && strchr(argv[3], '=') == NULL;
    n_settings = argc - 3 - has_keys;
    settings = argv + 3 + has_keys;
    kv_hash_init();
    if (kv_module_load_file(argv[1], KV_MODULE_STORE, &module, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    struct kv_option_value *options = open_store(module);
    measure(argv[2], has_keys ? strtoull(argv[3], NULL, 10) : 1000000);
    ops->close(store);
    options_destroy(module->identity, options);
    kv_module_unload(module);
    return 0;
}
