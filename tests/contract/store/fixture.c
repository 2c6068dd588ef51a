/*
 * The test's host. Lock order: the store's locks come before the fixture's. The store calls
 * changed() and wake_at() under its own locks, and they take the fixture's lock for an append; the
 * fixture holds no lock when it calls the store, except for ops->ref, which takes none.
 */
#include "contract/store/fixture.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "contract/store/history.h"
#include "contract/store/options.h"

/* Long enough for the slowest machine under the slowest sanitizer; never reached if the store
 * works. */
#define PATIENCE_S 60
#define LOG_BYTES  (64 << 20)
#define LOG_MS     INT64_C(3600000)

static const struct kv_loaded_module *tested;
static int n_tested_settings;
static char **tested_settings;

/* The option values of the open store: one test runs at a time. */
static struct kv_option_value *open_values;

/* This thread is inside submit() or scan(), where done() must not be called. */
static _Thread_local bool is_submitting;

void fixture_configure(const struct kv_loaded_module *module, int n_settings, char **settings)
{
    tested = module;
    n_tested_settings = n_settings;
    tested_settings = settings;
}

static struct fixture *fixture_of(const struct kv_store_host *host)
{
    return KV_CONTAINER((uintptr_t)host, struct fixture, host);
}

/* ---- violations ---- */

/* Under the lock. */
static void vnote(struct fixture *fixture, const char *format, va_list args)
{
    if (fixture->violation[0] == '\0')
        vsnprintf(fixture->violation, sizeof(fixture->violation), format, args);
}

static void note_locked(struct fixture *fixture, const char *format, ...) KV_PRINTF(2, 3);
static void note_locked(struct fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vnote(fixture, format, args);
    va_end(args);
}

void note_violation(struct fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&fixture->lock);
    vnote(fixture, format, args);
    pthread_mutex_unlock(&fixture->lock);
    va_end(args);
}

void assert_no_violation(struct fixture *fixture)
{
    char violation[sizeof(fixture->violation)];
    pthread_mutex_lock(&fixture->lock);
    memcpy(violation, fixture->violation, sizeof(violation));
    pthread_mutex_unlock(&fixture->lock);
    if (violation[0] != '\0')
        fail_msg("%s", violation);
}

void skip_without(const struct fixture *fixture, enum kv_store_capability capability)
{
    if ((fixture->capabilities & capability) == 0)
        skip(); /* the store does not claim it */
}

/* ---- the host's functions ---- */

/* Yields to other threads now and then, so that rare interleavings between two steps of a store
 * become frequent. */
static void hold_up(struct fixture *fixture)
{
    static _Thread_local unsigned seed;
    if (!atomic_load_explicit(&fixture->is_restless, memory_order_relaxed))
        return;
    if (rand_r(&seed) % 8 == 0)
        sched_yield();
}

static int64_t host_now_ms(const struct kv_host *base)
{
    const struct kv_store_host *host = KV_CONTAINER((uintptr_t)base, struct kv_store_host, base);
    hold_up(fixture_of(host));
    int64_t now_ms = atomic_load(&fixture_of(host)->now_ms);
    hold_up(fixture_of(host)); /* the time just read may now be past */
    return now_ms;
}

static int64_t host_wall_us(const struct kv_host *base)
{
    return START_WALL_US + (host_now_ms(base) - START_MS) * 1000;
}

static void host_log(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
    KV_PRINTF(3, 4);
static void host_log(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
{
    (void)base;
    if (level < KV_LOG_WARN)
        return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* FNV-1a; any function of the key would do. */
static uint64_t hash_of(struct kv_slice key)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    return hash_of(key);
}

static void keep_item(struct fixture *fixture, const struct kv_item *item)
{
    if (item->revision != 0)
        fixture->ops->ref(fixture->store, item->ref);
}

static struct told keep_change(struct fixture *fixture, uint32_t part,
                               const struct kv_change *change)
{
    struct told told = {.part = part, .change = *change};
    if (!atomic_load_explicit(&fixture->is_restless, memory_order_relaxed)) {
        keep_item(fixture, &change->before);
        keep_item(fixture, &change->after);
        return told;
    }
    told.key_copy = kv_memdup(change->key.bytes, change->key.len);
    told.change.key.bytes = told.key_copy;
    told.change.before.value = told.change.after.value = (struct kv_slice){0};
    return told;
}

static bool is_in_order(const struct fixture *fixture)
{
    return (fixture->capabilities & KV_STORE_IN_ORDER) != 0;
}

/* Returns: 0 if the store has no revision(). */
static uint64_t revision_of(const struct fixture *fixture)
{
    return fixture->ops->revision == NULL ? 0 : fixture->ops->revision(fixture->store);
}

static void begin_telling(struct fixture *fixture, const struct kv_change *change)
{
    if (is_in_order(fixture) && atomic_exchange(&fixture->is_telling, true))
        note_violation(fixture, "two changes are told at once");
    hold_up(fixture);
    if (fixture->ops->revision != NULL && revision_of(fixture) < change->revision)
        note_violation(fixture, "revision() is behind a change that is told");
}

static void host_changed(const struct kv_store_host *host, uint32_t part,
                         const struct kv_change *change)
{
    struct fixture *fixture = fixture_of(host);
    begin_telling(fixture, change);
    struct told told = keep_change(fixture, part, change);
    pthread_mutex_lock(&fixture->lock);
    if (fixture->n_told == fixture->capacity) {
        fixture->capacity = fixture->capacity == 0 ? 64 : 2 * fixture->capacity;
        fixture->told = kv_realloc(fixture->told, fixture->capacity * sizeof(*fixture->told));
    }
    fixture->told[fixture->n_told++] = told;
    if (change->hash != hash_of(change->key))
        note_locked(fixture, "a change bears another hash than its key");
    pthread_mutex_unlock(&fixture->lock);
    atomic_store(&fixture->is_telling, false);
}

/* No other server uses this store, so it cannot lose changes. */
static void host_resync(const struct kv_store_host *host, uint32_t part)
{
    note_violation(fixture_of(host), "resync() for part %u, though nothing was lost", part);
}

static void host_health(const struct kv_store_host *host, bool is_well, const char *text)
{
    if (!is_well && text == NULL)
        note_violation(fixture_of(host), "the store is ill and does not say why");
}

static void host_touched(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                         uint64_t revision, int64_t deadline_ms)
{
    struct fixture *fixture = fixture_of(host);
    if ((fixture->capabilities & KV_STORE_TOUCHES) == 0)
        note_violation(fixture, "a touch is told by a store that does not claim to tell them");
    if (part >= fixture->info.parts && fixture->info.parts != 0)
        note_violation(fixture, "a touch of no part is told");
    pthread_mutex_lock(&fixture->lock);
    if (revision != 0) {
        snprintf(fixture->touch.key, sizeof(fixture->touch.key), "%.*s", (int)key.len, key.bytes);
        fixture->touch.revision = revision;
        fixture->touch.deadline_ms = deadline_ms;
        fixture->n_touches++;
    }
    pthread_mutex_unlock(&fixture->lock);
}

static bool host_may_tell(const struct kv_store_host *host)
{
    (void)host;
    return true;
}

static bool host_may_show(const struct kv_store_host *host)
{
    return atomic_load(&fixture_of(host)->may_show);
}

/* Under the lock. */
static void check_shown(struct fixture *fixture, const struct shown *shown)
{
    struct shown *latest = &fixture->latest[shown->part];
    if (shown->claim == 0)
        note_locked(fixture, "a change is shown without a claim");
    if (shown->claim == latest->claim && shown->revision <= latest->revision)
        note_locked(fixture, "a change is shown out of order, or twice under one claim");
    *latest = *shown;
}

static void host_show(const struct kv_store_host *host, uint32_t part, uint64_t claim,
                      uint16_t mark, const struct kv_change *change)
{
    struct fixture *fixture = fixture_of(host);
    struct shown shown = {.part = part,
                          .claim = claim,
                          .mark = mark,
                          .reason = change->reason,
                          .revision = change->revision,
                          .key = kv_memdup(change->key.bytes, change->key.len),
                          .key_len = change->key.len};
    pthread_mutex_lock(&fixture->lock);
    check_shown(fixture, &shown);
    if (change->hash != hash_of(change->key))
        note_locked(fixture, "a change that is shown bears another hash than its key");
    if (fixture->n_shown == fixture->shown_capacity) {
        fixture->shown_capacity = fixture->shown_capacity == 0 ? 64 : 2 * fixture->shown_capacity;
        fixture->shown =
            kv_realloc(fixture->shown, fixture->shown_capacity * sizeof(*fixture->shown));
    }
    fixture->shown[fixture->n_shown++] = shown;
    pthread_cond_broadcast(&fixture->arrived);
    pthread_mutex_unlock(&fixture->lock);
}

static void host_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    struct fixture *fixture = fixture_of(host);
    if (part >= MAX_PARTS) {
        note_violation(fixture, "wake_at() for part %u", part);
        return;
    }
    int64_t planned = atomic_load(&fixture->wake_at_ms[part]);
    while (planned > deadline_ms &&
           !atomic_compare_exchange_weak(&fixture->wake_at_ms[part], &planned, deadline_ms))
        ;
    pthread_mutex_lock(&fixture->lock);
    fixture->woken_at_ms[part] = deadline_ms;
    fixture->n_wakes[part]++;
    pthread_cond_broadcast(&fixture->arrived);
    pthread_mutex_unlock(&fixture->lock);
}

/* Under the lock. */
static void take_back(struct fixture *fixture, uint32_t loop, uint32_t expected_loop, bool *is_done)
{
    if (loop != expected_loop)
        note_locked(fixture, "loop %u got what loop %u submitted", loop, expected_loop);
    if (is_submitting)
        note_locked(fixture, "done() was called within submit()");
    if (*is_done)
        note_locked(fixture, "a command came back twice");
    *is_done = true;
}

static void host_done(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                      size_t n)
{
    struct fixture *fixture = fixture_of(host);
    pthread_mutex_lock(&fixture->lock);
    for (size_t i = 0; i < n; i++) {
        struct call *call = KV_CONTAINER(cmds[i], struct call, cmd);
        if (!call->cmd.is_deferred)
            note_locked(fixture, "a command came back that was not deferred");
        take_back(fixture, loop, call->loop, &call->is_done);
    }
    pthread_cond_broadcast(&fixture->arrived);
    pthread_mutex_unlock(&fixture->lock);
}

static void host_scan_done(const struct kv_store_host *host, uint32_t loop, struct kv_scan *scan)
{
    struct fixture *fixture = fixture_of(host);
    struct page *page = KV_CONTAINER(scan, struct page, scan);
    pthread_mutex_lock(&fixture->lock);
    take_back(fixture, loop, page->loop, &page->is_done);
    pthread_cond_broadcast(&fixture->arrived);
    pthread_mutex_unlock(&fixture->lock);
}

static void host_log_done(const struct kv_store_host *host, uint32_t loop, struct kv_log_page *log)
{
    struct fixture *fixture = fixture_of(host);
    struct log_page *page = KV_CONTAINER(log, struct log_page, page);
    pthread_mutex_lock(&fixture->lock);
    take_back(fixture, loop, page->loop, &page->is_done);
    pthread_cond_broadcast(&fixture->arrived);
    pthread_mutex_unlock(&fixture->lock);
}

/* ---- opening and closing ---- */

static void init_host(struct fixture *fixture)
{
    fixture->host = (struct kv_store_host){
        .base = {.size = sizeof(fixture->host),
                 .now_ms = host_now_ms,
                 .wall_us = host_wall_us,
                 .log = host_log},
        .n_loops = N_LOOPS,
        .hash = host_hash,
        .changed = host_changed,
        .wake_at = host_wake_at,
        .done = host_done,
        .scan_done = host_scan_done,
        .log_done = host_log_done,
        .log_bytes = LOG_BYTES,
        .log_ms = LOG_MS,
        .changed_elsewhere = host_changed,
        .resync = host_resync,
        .health = host_health,
        .may_tell = host_may_tell,
        .touched = host_touched,
        .has_observers = true,
        .show = host_show,
        .may_show = host_may_show,
    };
    atomic_init(&fixture->now_ms, START_MS);
    atomic_init(&fixture->may_show, true);
    for (size_t i = 0; i < MAX_PARTS; i++)
        atomic_init(&fixture->wake_at_ms[i], KV_NEVER);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->arrived, NULL);
}

static int open_store(struct fixture *fixture, struct kv_error *reterr)
{
    fixture->ops = kv_module_store_ops(tested);
    fixture->capabilities = tested->identity->capabilities;
    strcpy(fixture->folder, "/tmp/kv-contract-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL)
        return kv_error_set(reterr, "no temporary folder: %s", strerror(errno));
    open_values = options_create(tested->identity, n_tested_settings, tested_settings,
                                 fixture->folder, reterr);
    if (open_values == NULL)
        return -1;
    return fixture->ops->open(&fixture->host, open_values, &fixture->store, reterr);
}

int fixture_open(void **state)
{
    struct fixture *fixture = kv_calloc(1, sizeof(*fixture));
    init_host(fixture);
    struct kv_error error = {0};
    if (open_store(fixture, &error) != 0)
        fail_msg("%s", error.text);
    fixture->ops->info(fixture->store, &fixture->info);
    fixture->capabilities &= ~fixture->info.lacks;
    *state = fixture;
    return 0;
}

void fixture_close_store(struct fixture *fixture)
{
    forget_changes(fixture);
    fixture->ops->close(fixture->store);
}

void fixture_reopen(struct fixture *fixture)
{
    struct kv_error error = {0};
    fixture_close_store(fixture);
    if (fixture->ops->open(&fixture->host, open_values, &fixture->store, &error) != 0)
        fail_msg("%s", error.text);
    fixture->ops->info(fixture->store, &fixture->info);
}

void fixture_open_to_read(struct fixture *fixture)
{
    struct kv_error error = {0};
    if (fixture->ops->open_to_read(&fixture->host, open_values, &fixture->store, &error) != 0)
        fail_msg("%s", error.text);
    fixture->ops->info(fixture->store, &fixture->info);
}

const struct kv_module *fixture_module(void)
{
    return tested->identity;
}

struct kv_option_value *fixture_options(const char *folder)
{
    struct kv_error error;
    struct kv_option_value *values =
        options_create(tested->identity, n_tested_settings, tested_settings, folder, &error);
    if (values == NULL)
        fail_msg("%s", error.text);
    return values;
}

int fixture_read_nothing(struct fixture *fixture, const char *path, struct kv_error *reterr)
{
    struct kv_store *store = NULL;
    struct kv_option_value *values = fixture_options(path);
    int result = fixture->ops->open_to_read(&fixture->host, values, &store, reterr);
    if (result == 0)
        fixture->ops->close(store);
    options_destroy(tested->identity, values);
    return result;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void destroy(struct fixture *fixture)
{
    nftw(fixture->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    options_destroy(tested->identity, open_values);
    forget_shown(fixture);
    pthread_cond_destroy(&fixture->arrived);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture->told);
    free(fixture->shown);
    free(fixture);
}

int fixture_close(void **state)
{
    struct fixture *fixture = *state;
    struct kv_error error = {0};
    if (history_check(fixture, &error) != 0)
        note_violation(fixture, "%s", error.text);
    forget_changes(fixture);
    fixture->ops->close(fixture->store);
    char violation[sizeof(fixture->violation)];
    memcpy(violation, fixture->violation, sizeof(violation));
    destroy(fixture);
    if (violation[0] != '\0')
        fail_msg("%s", violation);
    return 0;
}

/* ---- making commands ---- */

static struct call make(enum kv_op op, struct kv_slice key)
{
    return (struct call){
        .cmd = {.op = op, .key = key, .hash = hash_of(key), .deadline_ms = KV_NEVER}};
}

struct call call_get(struct kv_slice key)
{
    return make(KV_OP_GET, key);
}

struct call call_set(struct kv_slice key, struct kv_slice value)
{
    return call_set_until(key, value, KV_NEVER);
}

struct call call_set_until(struct kv_slice key, struct kv_slice value, int64_t deadline_ms)
{
    struct call call = make(KV_OP_SET, key);
    call.cmd.value = value;
    call.cmd.deadline_ms = deadline_ms;
    return call;
}

struct call call_delete(struct kv_slice key)
{
    return make(KV_OP_DELETE, key);
}

struct call call_touch(struct kv_slice key, int64_t deadline_ms)
{
    struct call call = make(KV_OP_TOUCH, key);
    call.cmd.deadline_ms = deadline_ms;
    return call;
}

struct call call_catch_up(void)
{
    return make(KV_OP_CATCH_UP, (struct kv_slice){0});
}

struct call call_update(struct kv_slice key, kv_update_fn compute, void *context)
{
    struct call call = make(KV_OP_UPDATE, key);
    call.cmd.compute = compute;
    call.context = context;
    return call;
}

struct call with_cond(struct call call, uint32_t cond)
{
    call.cmd.cond |= cond;
    return call;
}

struct call with_revisions(struct call call, const uint64_t *revisions, size_t n)
{
    call.cmd.cond |= KV_COND_REVISION;
    call.cmd.if_revisions = revisions;
    call.cmd.n_if_revisions = n;
    return call;
}

struct call with_deadline(struct call call, int64_t if_deadline_ms)
{
    call.cmd.cond |= KV_COND_DEADLINE;
    call.cmd.if_deadline_ms = if_deadline_ms;
    return call;
}

struct call keeping_deadline(struct call call)
{
    call.cmd.keeps_deadline = true;
    return call;
}

/* ---- running them ---- */

static bool may_end_so(enum kv_op op, enum kv_status status)
{
    switch (status) {
    case KV_OK:
        return true;
    case KV_UNCHANGED:
        return op == KV_OP_SET || op == KV_OP_UPDATE;
    case KV_MISSING:
        return op != KV_OP_SET;
    case KV_LONGER:
        return op == KV_OP_UPDATE || op == KV_OP_GET;
    case KV_DECLINED:
        return op == KV_OP_UPDATE;
    case KV_CONDITION:
    case KV_FULL:
    case KV_TOO_BIG:
        return op != KV_OP_GET;
    default:
        return false;
    }
}

/* A store without threads of its own makes its changes within the call. */
static void check_revision(struct fixture *fixture, const struct call *call)
{
    const struct kv_cmd *cmd = &call->cmd;
    bool is_change = cmd->status == KV_OK && cmd->op != KV_OP_GET && cmd->op != KV_OP_TOUCH;
    if (is_change && (fixture->capabilities & KV_STORE_SYNC) != 0 &&
        cmd->revision <= call->revision_before)
        note_violation(fixture, "a change of a revision that was given out before");
}

static void check_outcome(struct fixture *fixture, const struct call *call)
{
    const struct kv_cmd *cmd = &call->cmd;
    bool has_item = cmd->item.revision != 0;
    if (!may_end_so(cmd->op, cmd->status))
        note_violation(fixture, "op %d ended with status %d", cmd->op, cmd->status);
    if (has_item != (cmd->op == KV_OP_GET && cmd->status == KV_OK))
        note_violation(fixture, "op %d with status %d %s", cmd->op, cmd->status,
                       has_item ? "brought an item" : "brought no item");
    bool is_write = cmd->op != KV_OP_GET && cmd->op != KV_OP_CATCH_UP;
    if (is_write && (cmd->status == KV_OK || cmd->status == KV_UNCHANGED) && cmd->revision == 0)
        note_violation(fixture, "op %d with status %d tells no revision", cmd->op, cmd->status);
    check_revision(fixture, call);
}

void submit(struct fixture *fixture, uint32_t loop, struct call *calls, size_t n)
{
    struct kv_cmd **cmds = kv_calloc(n, sizeof(*cmds));
    for (size_t i = 0; i < n; i++) {
        calls[i].loop = loop;
        calls[i].revision_before = revision_of(fixture);
        cmds[i] = &calls[i].cmd;
    }
    is_submitting = true;
    fixture->ops->submit(fixture->store, loop, cmds, n);
    is_submitting = false;
    free(cmds);
    for (size_t i = 0; i < n; i++) {
        if (!calls[i].cmd.is_deferred)
            check_outcome(fixture, &calls[i]);
        else if ((fixture->capabilities & KV_STORE_SYNC) != 0)
            note_violation(fixture, "a store with KV_STORE_SYNC deferred a command");
    }
}

static struct timespec patience(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    return until;
}

/* Waits, under the lock, until *is_done. */
static bool wait_until_done(struct fixture *fixture, const bool *is_done)
{
    struct timespec until = patience();
    while (!*is_done)
        if (pthread_cond_timedwait(&fixture->arrived, &fixture->lock, &until) == ETIMEDOUT) {
            note_locked(fixture, "a deferred command did not come back");
            return false;
        }
    return true;
}

void await_shown(struct fixture *fixture, size_t n)
{
    struct timespec until = patience();
    pthread_mutex_lock(&fixture->lock);
    while (fixture->n_shown < n &&
           pthread_cond_timedwait(&fixture->arrived, &fixture->lock, &until) != ETIMEDOUT)
        ;
    size_t n_shown = fixture->n_shown;
    pthread_mutex_unlock(&fixture->lock);
    assert_int_equal(n_shown, n);
    assert_no_violation(fixture);
}

void forget_shown(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    for (size_t i = 0; i < fixture->n_shown; i++)
        free(fixture->shown[i].key);
    fixture->n_shown = 0;
    pthread_mutex_unlock(&fixture->lock);
}

bool wait_for(struct fixture *fixture, struct call *calls, size_t n)
{
    bool are_done = true;
    for (size_t i = 0; i < n && are_done; i++) {
        if (!calls[i].cmd.is_deferred)
            continue;
        pthread_mutex_lock(&fixture->lock);
        are_done = wait_until_done(fixture, &calls[i].is_done);
        pthread_mutex_unlock(&fixture->lock);
        if (are_done)
            check_outcome(fixture, &calls[i]);
    }
    return are_done;
}

void run_all(struct fixture *fixture, struct call *calls, size_t n)
{
    submit(fixture, 0, calls, n);
    wait_for(fixture, calls, n);
    assert_no_violation(fixture);
}

struct call run(struct fixture *fixture, struct call call)
{
    run_all(fixture, &call, 1);
    return call;
}

void run_scan(struct fixture *fixture, struct page *page)
{
    page->scan.entries = page->entries;
    if (page->scan.capacity == 0)
        page->scan.capacity = SCAN_CAPACITY;
    page->scan.status = KV_PENDING;
    page->scan.is_deferred = false;
    page->loop = 0;
    page->is_done = false;
    is_submitting = true;
    fixture->ops->scan(fixture->store, 0, &page->scan);
    is_submitting = false;
    if (page->scan.is_deferred) {
        assert_false(fixture->capabilities & KV_STORE_SYNC);
        pthread_mutex_lock(&fixture->lock);
        wait_until_done(fixture, &page->is_done);
        pthread_mutex_unlock(&fixture->lock);
    }
    if (page->scan.status == KV_OK && page->scan.n > page->scan.capacity)
        note_violation(fixture, "a page of %u entries has room for %u", page->scan.n,
                       page->scan.capacity);
    assert_no_violation(fixture);
}

void run_log(struct fixture *fixture, struct log_page *page)
{
    page->page.entries = page->entries;
    if (page->page.capacity == 0)
        page->page.capacity = SCAN_CAPACITY;
    if (page->page.most_bytes == 0)
        page->page.most_bytes = SIZE_MAX;
    page->page.status = KV_PENDING;
    page->page.is_deferred = false;
    page->loop = 0;
    page->is_done = false;
    is_submitting = true;
    fixture->ops->read_log(fixture->store, 0, &page->page);
    is_submitting = false;
    if (page->page.is_deferred) {
        pthread_mutex_lock(&fixture->lock);
        wait_until_done(fixture, &page->is_done);
        pthread_mutex_unlock(&fixture->lock);
    }
    assert_true(page->page.status != KV_OK || page->page.n <= page->page.capacity);
    assert_no_violation(fixture);
}

void release_log(struct fixture *fixture, struct log_page *page)
{
    for (uint32_t i = 0; page->page.status == KV_OK && i < page->page.n; i++)
        fixture->ops->unref(fixture->store, page->entries[i].ref);
}

void release_page(struct fixture *fixture, struct page *page)
{
    for (uint32_t i = 0; i < page->scan.n; i++)
        release(fixture, &page->entries[i].item);
    if (page->scan.next_ref != NULL)
        fixture->ops->unref(fixture->store, page->scan.next_ref);
    page->scan = (struct kv_scan){.capacity = page->scan.capacity};
}

void release(struct fixture *fixture, struct kv_item *item)
{
    if (item->revision != 0)
        fixture->ops->unref(fixture->store, item->ref);
    *item = (struct kv_item){0};
}

/* Returns: the next deadline, which the store passes to wake_at() after it has returned
 * KV_EXPIRING. */
static int64_t wait_for_wake(struct fixture *fixture, uint32_t part, uint64_t n_before)
{
    struct timespec until = patience();
    pthread_mutex_lock(&fixture->lock);
    while (fixture->n_wakes[part] == n_before)
        if (pthread_cond_timedwait(&fixture->arrived, &fixture->lock, &until) == ETIMEDOUT) {
            note_locked(fixture, "part %u was not woken after KV_EXPIRING", part);
            break;
        }
    int64_t next_ms = fixture->woken_at_ms[part];
    pthread_mutex_unlock(&fixture->lock);
    return next_ms;
}

int64_t expire_part(struct fixture *fixture, uint32_t part, uint32_t max)
{
    pthread_mutex_lock(&fixture->lock);
    uint64_t n_before = fixture->n_wakes[part];
    pthread_mutex_unlock(&fixture->lock);
    int64_t next_ms = fixture->ops->expire(fixture->store, part, now(fixture), max);
    return next_ms == KV_EXPIRING ? wait_for_wake(fixture, part, n_before) : next_ms;
}

void expire_all(struct fixture *fixture)
{
    for (uint32_t part = 0; part < fixture->info.parts; part++)
        while (expire_part(fixture, part, 16) <= now(fixture))
            ;
}

void advance(struct fixture *fixture, int64_t ms)
{
    atomic_fetch_add(&fixture->now_ms, ms);
}

int64_t now(struct fixture *fixture)
{
    return atomic_load(&fixture->now_ms);
}
