#include "keyspace/host.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

static struct kv_keyspace_host *host_of(const struct kv_store_host *base)
{
    return KV_CONTAINER((uintptr_t)base, struct kv_keyspace_host, base);
}

static struct kv_keyspace_host *of(const struct kv_host *base)
{
    return KV_CONTAINER((uintptr_t)base, struct kv_keyspace_host, base.base);
}

static int64_t now_ms(const struct kv_host *base)
{
    return kv_clock_now_ms(of(base)->parts->clock);
}

static int64_t wall_us(const struct kv_host *base)
{
    (void)base;
    return kv_wall_us();
}

static void log_line(const struct kv_host *base, enum kv_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kv_vlog(level, of(base)->parts->store_name, format, args);
    va_end(args);
}

static uint64_t hash(const struct kv_store_host *base, struct kv_slice key)
{
    (void)base;
    return kv_hash(key);
}

static void changed(const struct kv_store_host *base, uint32_t part, const struct kv_change *change)
{
    struct kv_keyspace_host *host = host_of(base);
    if (change->reason == KV_REASON_EXPIRE)
        kv_expiry_note(host->expiry, part, change->before.deadline_ms);
    kv_feed_changed(host->feed, change);
}

static void changed_elsewhere(const struct kv_store_host *base, uint32_t part,
                              const struct kv_change *change)
{
    (void)part;
    kv_feed_changed_elsewhere(host_of(base)->feed, change);
}

/* The keys of a part are unknown here, so all subscribers begin anew. */
static void resync(const struct kv_store_host *base, uint32_t part)
{
    (void)part;
    kv_feed_resync(host_of(base)->feed);
}

static void health(const struct kv_store_host *base, bool is_well, const char *text)
{
    kv_health_set(&host_of(base)->health, is_well, text);
}

static bool may_tell(const struct kv_store_host *base)
{
    return !kv_feed_is_congested(host_of(base)->feed);
}

static void touched(const struct kv_store_host *base, uint32_t part, struct kv_slice key,
                    uint64_t revision, int64_t deadline_ms)
{
    struct kv_touches *touches = &host_of(base)->feed->touches;
    (void)part;
    if (revision == 0)
        kv_touches_miss(touches);
    else
        kv_touches_tell(touches, &(struct kv_touch){key, revision, deadline_ms});
}

static void show(const struct kv_store_host *base, uint32_t part, uint64_t claim, uint16_t mark,
                 const struct kv_change *change)
{
    kv_showing_show(host_of(base)->showing, part, claim, mark, change);
}

/* If hooks and sinks have no room, they hold writes back. */
static bool may_show(const struct kv_store_host *base)
{
    const struct kv_keyspace_host *host = host_of(base);
    return kv_showing_has_room(host->showing) && !kv_gate_holds_writes(host->expiry->rules);
}

static bool remember(const struct kv_store_host *base, uint64_t after, uint64_t upto,
                     const struct kv_change *change, int64_t at_ms)
{
    return kv_change_log_remember(&host_of(base)->feed->log, after, upto, change, at_ms);
}

static void wake_at(const struct kv_store_host *base, uint32_t part, int64_t deadline_ms)
{
    kv_expiry_wake_at(host_of(base)->expiry, part, deadline_ms);
}

static void done(const struct kv_store_host *base, uint32_t loop, struct kv_cmd *const *cmds,
                 size_t n)
{
    kv_batch_done(host_of(base)->batches[loop], cmds, n);
}

static void scan_done(const struct kv_store_host *base, uint32_t loop, struct kv_scan *scan)
{
    kv_scans_done(host_of(base)->scans[loop], scan);
}

static void log_done(const struct kv_store_host *base, uint32_t loop, struct kv_log_page *page)
{
    kv_log_reads_done(host_of(base)->log_reads[loop], page);
}

void kv_keyspace_host_init(struct kv_keyspace_host *host, const struct kv_keyspace_parts *parts,
                           struct kv_feed *feed, struct kv_showing *showing,
                           struct kv_expiry *expiry)
{
    host->parts = parts;
    host->feed = feed;
    host->showing = showing;
    host->expiry = expiry;
    kv_health_init(&host->health, parts->store_name);
    host->base = (struct kv_store_host){
        .base = {.size = sizeof(struct kv_store_host),
                 .now_ms = now_ms,
                 .wall_us = wall_us,
                 .log = log_line},
        .n_loops = parts->n_loops,
        .hash = hash,
        .changed = changed,
        .wake_at = wake_at,
        .done = done,
        .scan_done = scan_done,
        .log_done = log_done,
        .log_bytes = parts->log_bytes,
        .log_ms = parts->log_ms,
        .changed_elsewhere = changed_elsewhere,
        .resync = resync,
        .health = health,
        .may_tell = may_tell,
        .touched = touched,
        .has_observers = feed->has_observers,
        .show = show,
        .may_show = may_show,
        .remember = remember,
    };
}

void kv_keyspace_host_fini(struct kv_keyspace_host *host)
{
    kv_health_fini(&host->health);
}
