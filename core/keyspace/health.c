#include "keyspace/health.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum {
    FIRST_PAUSE_MS = 1000,
    LAST_PAUSE_MS = 60000,
};

void kv_health_init(struct kv_health *health, const char *store_name)
{
    health->store_name = store_name;
    atomic_init(&health->is_ill, false);
    pthread_mutex_init(&health->lock, NULL);
}

void kv_health_fini(struct kv_health *health)
{
    pthread_mutex_destroy(&health->lock);
}

static void log_reason(struct kv_health *health, const char *why, int64_t now_ms)
{
    snprintf(health->reason, sizeof(health->reason), "%s", why);
    health->logged_ms = now_ms;
    kv_log(KV_LOG_WARN, health->store_name, "cannot serve: %s", why);
}

/* The cause of the first failure often leads to further ones, so these are logged at growing
 * intervals. */
static void be_ill(struct kv_health *health, bool was_ill, const char *why)
{
    int64_t now_ms = kv_clock_now_ms(&kv_clock_boot);
    if (!was_ill) {
        health->pause_ms = FIRST_PAUSE_MS;
        log_reason(health, why, now_ms);
    } else if (strncmp(why, health->reason, sizeof(health->reason) - 1) != 0 &&
               now_ms - health->logged_ms >= health->pause_ms) {
        health->pause_ms =
            2 * health->pause_ms < LAST_PAUSE_MS ? 2 * health->pause_ms : LAST_PAUSE_MS;
        log_reason(health, why, now_ms);
    }
}

void kv_health_set(struct kv_health *health, bool is_well, const char *why)
{
    pthread_mutex_lock(&health->lock);
    bool was_ill = atomic_exchange(&health->is_ill, !is_well);
    if (!is_well)
        be_ill(health, was_ill, why == NULL ? "no reason given" : why);
    else if (was_ill)
        kv_log(KV_LOG_INFO, health->store_name, "serves again");
    pthread_mutex_unlock(&health->lock);
}
