/*
 * A host without event loops: it sends no commands, so the store only delivers pages of the scan,
 * for which the main thread waits. Changes and deadlines are ignored.
 */
#include "daemon/export.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "daemon/meter.h"
#include "daemon/signals.h"
#include "wire/line.h"

enum {
    PAGE_KEYS = 1024,
    OUT_BYTES = 256 << 10 /* longer texts are written directly */
};

struct export
{
    struct kv_store_host host;
    char store_name[64];
    const struct kv_store_ops *ops;
    struct kv_store *store;
    struct kv_meter meter;
    struct kv_buffer out;
    uint64_t n_keys;

    pthread_mutex_t lock; /* of the flag below */
    pthread_cond_t came;
    bool page_has_come;
};

/* ---- the host ---- */

static struct export *export_of(const struct kv_host *base)
{
    return KV_CONTAINER((uintptr_t)base, struct export, host.base);
}

static int64_t host_now_ms(const struct kv_host *base)
{
    (void)base;
    return kv_clock_now_ms(&kv_clock_boot);
}

static int64_t host_wall_us(const struct kv_host *base)
{
    (void)base;
    return kv_wall_us();
}

static void host_log(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kv_vlog(level, export_of(base)->store_name, format, args);
    va_end(args);
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

static void host_resync(const struct kv_store_host *host, uint32_t part)
{
    (void)host;
    (void)part;
}

static void host_health(const struct kv_store_host *host, bool is_well, const char *text)
{
    (void)host;
    (void)is_well;
    (void)text;
}

static void host_touched(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                         uint64_t revision, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)key;
    (void)revision;
    (void)deadline_ms;
}

static bool host_may_tell(const struct kv_store_host *host)
{
    (void)host;
    return true;
}

static void host_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)deadline_ms;
}

static void host_done(const struct kv_store_host *host, uint32_t loop, struct kv_cmd *const *cmds,
                      size_t n)
{
    (void)host;
    (void)loop;
    (void)cmds;
    (void)n;
}

static void host_scan_done(const struct kv_store_host *host, uint32_t loop, struct kv_scan *scan)
{
    struct export *export = export_of(&host->base);
    (void)loop;
    (void)scan;
    pthread_mutex_lock(&export->lock);
    export->page_has_come = true;
    pthread_cond_signal(&export->came);
    pthread_mutex_unlock(&export->lock);
}

static void init(struct export *export, const struct kv_loaded_module *store)
{
    *export = (struct export){
        .host = {.base = {.size = sizeof(export->host),
                          .now_ms = host_now_ms,
                          .wall_us = host_wall_us,
                          .log = host_log},
                 .n_loops = 1,
                 .hash = host_hash,
                 .changed = host_changed,
                 .wake_at = host_wake_at,
                 .done = host_done,
                 .scan_done = host_scan_done,
                 .changed_elsewhere = host_changed,
                 .resync = host_resync,
                 .health = host_health,
                 .may_tell = host_may_tell,
                 .touched = host_touched},
        .ops = kv_module_store_ops(store),
    };
    snprintf(export->store_name, sizeof(export->store_name), "store/%s", store->identity->name);
    pthread_mutex_init(&export->lock, NULL);
    pthread_cond_init(&export->came, NULL);
}

static void fini(struct export *export)
{
    kv_buffer_fini(&export->out);
    pthread_cond_destroy(&export->came);
    pthread_mutex_destroy(&export->lock);
}

/* ---- the output ---- */

/* The output may be a pipe that is non-blocking. */
static void await_room(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    poll(&output, 1, -1);
}

static int write_all(struct kv_slice bytes, struct kv_error *reterr)
{
    while (bytes.len != 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.bytes, bytes.len);
        if (n < 0 && errno == EAGAIN)
            await_room();
        else if (n < 0 && errno != EINTR)
            return kv_error_set(reterr, "cannot write to the standard output: %s", strerror(errno));
        if (n > 0)
            bytes = (struct kv_slice){bytes.bytes + n, bytes.len - (size_t)n};
    }
    return 0;
}

static int flush(struct export *export, struct kv_error *reterr)
{
    int result = write_all(kv_buffer_slice(&export->out), reterr);
    export->out.len = 0;
    return result;
}

static int put(struct export *export, struct kv_slice bytes, struct kv_error *reterr)
{
    if (bytes.len < OUT_BYTES) {
        kv_buffer_append(&export->out, bytes);
        return 0;
    }
    return flush(export, reterr) != 0 ? -1 : write_all(bytes, reterr);
}

static int put_value(struct export *export, struct kv_slice value, struct kv_error *reterr)
{
    for (;;) {
        size_t run = kv_line_value_run(value);
        if (put(export, (struct kv_slice){value.bytes, run}, reterr) != 0)
            return -1;
        if (run == value.len)
            return 0;
        kv_buffer_append_char(&export->out, ' ');
        value = (struct kv_slice){value.bytes + run + 1, value.len - run - 1};
    }
}

/* A key whose deadline has passed since the page was filled no longer exists. */
static int put_entry(struct export *export, const struct kv_scan_entry *entry,
                     struct kv_error *reterr)
{
    int64_t ttl_ms = 0;
    if (entry->item.deadline_ms != KV_NEVER) {
        if (entry->item.deadline_ms <= kv_clock_now_ms(&kv_clock_boot))
            return 0;
        ttl_ms = kv_clock_left_ms(&kv_clock_boot, entry->item.deadline_ms);
        if (ttl_ms < 1)
            ttl_ms = 1; /* 0 is no expiry */
    }
    kv_line_append_front(&export->out, entry->key);
    if (put_value(export, entry->item.value, reterr) != 0)
        return -1;
    kv_line_append_back(&export->out, ttl_ms, entry->item.revision);
    export->n_keys++;
    return export->out.len < OUT_BYTES ? 0 : flush(export, reterr);
}

/* ---- the walk ---- */

/* Waits for the page. Returns: its status. */
static enum kv_status fill_page(struct export *export, struct kv_scan *page)
{
    page->is_deferred = false;
    page->status = KV_PENDING;
    export->page_has_come = false;
    export->ops->scan(export->store, 0, page);
    if (page->is_deferred) {
        pthread_mutex_lock(&export->lock);
        while (!export->page_has_come)
            pthread_cond_wait(&export->came, &export->lock);
        pthread_mutex_unlock(&export->lock);
    }
    return page->status;
}

/* Writes the page, as far as possible, and releases it. */
static int put_page(struct export *export, const struct kv_scan *page, struct kv_error *reterr)
{
    int result = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        if (result == 0)
            result = put_entry(export, &page->entries[i], reterr);
        export->ops->unref(export->store, page->entries[i].item.ref);
    }
    kv_meter_set(&export->meter, export->n_keys);
    return result;
}

static void release_cursor(struct export *export, void *cursor_ref)
{
    if (cursor_ref != NULL)
        export->ops->unref(export->store, cursor_ref);
}

static int put_all(struct export *export, struct kv_error *reterr)
{
    static struct kv_scan_entry entries[PAGE_KEYS];
    struct kv_scan page = {.wants_values = true, .entries = entries, .capacity = PAGE_KEYS};
    void *cursor_ref = NULL;
    int result;
    do {
        enum kv_status status = fill_page(export, &page);
        release_cursor(export, cursor_ref);
        if (status != KV_OK)
            return kv_error_set(reterr, "%s: %s", export->store_name,
                                kv_command_status_text(status));
        result = put_page(export, &page, reterr);
        page.cursor = page.next;
        cursor_ref = page.next_ref;
    } while (result == 0 && page.next.len != 0);
    release_cursor(export, cursor_ref);
    return result != 0 ? -1 : flush(export, reterr);
}

static int run(struct export *export, const struct kv_option_value *options,
               struct kv_error *reterr)
{
    if (export->ops->open_to_read(&export->host, options, &export->store, reterr) != 0)
        return -1;
    kv_meter_start(&export->meter, "exported", !isatty(STDOUT_FILENO));
    int result = put_all(export, reterr);
    if (result == 0)
        kv_meter_finish(&export->meter);
    else
        kv_meter_erase(&export->meter);
    export->ops->close(export->store);
    return result;
}

static int demand_reading(const struct kv_loaded_module *store, struct kv_error *reterr)
{
    if ((store->identity->capabilities & KV_STORE_DURABLE) == 0)
        return kv_error_set(reterr, "store/%s is volatile: it keeps nothing that could be exported",
                            store->identity->name);
    if (kv_module_store_ops(store)->open_to_read == NULL)
        return kv_error_set(
            reterr,
            "store/%s can neither be exported nor have a backup restored into it: it "
            "was built for module ABI %u.%u, which has no way to open a store "
            "without making one (1.3 has)",
            store->identity->name, store->identity->abi_major, store->identity->abi_minor);
    return 0;
}

/* A library of the store may create threads that outlive it, such as RocksDB's, and the process may
 * go on to serve.
 * If the store does not exist, the module's error begins with this text (kvserver/store.h). */
static int look(struct export *export, const struct kv_option_value *options, bool *ret_is_there,
                struct kv_error *reterr)
{
    static const char missing[] = "there is no store at ";
    sigset_t before = kv_signals_hold_back();
    *ret_is_there = export->ops->open_to_read(&export->host, options, &export->store, reterr) == 0;
    if (*ret_is_there)
        export->ops->close(export->store);
    kv_signals_let_through(before);
    return *ret_is_there || strncmp(reterr->text, missing, sizeof(missing) - 1) == 0 ? 0 : -1;
}

int kv_export_looks_for_store(const struct kv_config *config, bool *ret_is_there,
                              struct kv_error *reterr)
{
    struct export export;
    if (demand_reading(config->store.module, reterr) != 0)
        return -1;
    kv_clock_init();
    kv_hash_init();
    init(&export, config->store.module);
    int result = look(&export, config->store.options, ret_is_there, reterr);
    fini(&export);
    return result;
}

int kv_export_run(const struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_loaded_module *store = config->store.module;
    struct export export;
    if (demand_reading(store, reterr) != 0)
        return -1;
    signal(SIGPIPE, SIG_IGN); /* if the reader is gone, write() returns an error */
    kv_clock_init();
    kv_hash_init();
    init(&export, store);
    int result = run(&export, config->store.options, reterr);
    fini(&export);
    return result;
}
