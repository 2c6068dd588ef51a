#include "keyspace/health.h"

#include "base/log.h"

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

void kv_health_set(struct kv_health *health, bool is_well, const char *why)
{
    pthread_mutex_lock(&health->lock);
    bool was_ill = atomic_exchange(&health->is_ill, !is_well);
    if (!is_well && !was_ill)
        kv_log(KV_LOG_WARN, health->store_name, "cannot serve: %s",
               why == NULL ? "it does not say why" : why);
    else if (is_well && was_ill)
        kv_log(KV_LOG_INFO, health->store_name, "serves again");
    pthread_mutex_unlock(&health->lock);
}
