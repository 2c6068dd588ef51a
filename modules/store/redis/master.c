#include "master.h"

#include "nodes.h"
#include "../../redis_client/sentinel.h"

#include <stdlib.h>
#include <time.h>

enum {
    ASK_AGAIN_MS = 200
};

struct master {
    struct kv_store *store;
    void (*wake)(struct kv_store *store);
    struct sentinels sentinels;
    struct kv_error fault; /* why no sentinel answers; empty: one does */
    int64_t connected_ms;  /* when the store was last seen to be connected */
    pthread_t thread;
    atomic_bool is_stopping;
    pthread_cond_t is_stopped;
    pthread_mutex_t lock; /* of the rest */
    struct master_address known;
    _Atomic uint64_t version; /* of `known` */
};

/* A sentinel that has missed a failover still names the old master, by a smaller epoch. If the
 * store cannot connect to the known one for long, the sentinels may have begun anew. */
static bool is_believed(const struct master *master, const struct master_address *answer)
{
    bool is_connected = master->store->is_connected;
    bool is_long_lost = link_clock_ms() - master->connected_ms > master->store->settings.timeout_ms;
    return answer->epoch > master->known.epoch || answer->epoch == EPOCH_UNKNOWN || is_long_lost ||
           (!is_connected && answer->epoch == master->known.epoch);
}

static void learn(struct master *master, const struct master_address *answer)
{
    const struct kv_host *host = &master->store->host->base;
    bool is_another = !master_address_equals(answer, &master->known);
    if (!is_believed(master, answer))
        return;
    pthread_mutex_lock(&master->lock);
    master->known = *answer;
    if (is_another)
        master->version++;
    pthread_mutex_unlock(&master->lock);
    if (is_another)
        host->log(host, KV_LOG_WARN, "the sentinels say that the master is at %s:%d now",
                  answer->host, answer->port);
}

static void note_fault(struct master *master, const char *text)
{
    const struct kv_host *host = &master->store->host->base;
    bool had_fault = master->fault.text[0] != '\0';
    if (text[0] != '\0' && !had_fault)
        host->log(host, KV_LOG_WARN, "no sentinel says where the master is: %s", text);
    if (text[0] == '\0' && had_fault)
        host->log(host, KV_LOG_INFO, "a sentinel says again where the master is");
    snprintf(master->fault.text, sizeof(master->fault.text), "%s", text);
}

static void look(struct master *master)
{
    struct master_address answer;
    struct kv_error error;
    if (master->store->is_connected)
        master->connected_ms = link_clock_ms();
    int result = sentinels_find_master(&master->sentinels, master->store->settings.timeout_ms,
                                       &answer, &error);
    if (master->is_stopping)
        return;
    note_fault(master, result == 0 ? "" : error.text);
    if (result == 0)
        learn(master, &answer);
}

static void pause_until_next(struct master *master)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ASK_AGAIN_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&master->lock);
    if (!master->is_stopping)
        pthread_cond_timedwait(&master->is_stopped, &master->lock, &until);
    pthread_mutex_unlock(&master->lock);
}

static void *follow(void *arg)
{
    struct master *master = arg;
    while (!master->is_stopping) {
        pause_until_next(master);
        if (!master->is_stopping)
            look(master);
        if (master->version != master->store->master_version)
            master->wake(master->store);
    }
    return NULL;
}

/* ---- from outside ---- */

static void destroy(struct master *master)
{
    sentinels_fini(&master->sentinels);
    pthread_cond_destroy(&master->is_stopped);
    pthread_mutex_destroy(&master->lock);
    free(master);
}

static struct master *create(struct kv_store *store)
{
    struct master *master = calloc(1, sizeof(*master));
    pthread_condattr_t attributes;
    if (master == NULL)
        return NULL;
    master->store = store;
    master->connected_ms = link_clock_ms();
    master->version = 1;
    pthread_mutex_init(&master->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&master->is_stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    return master;
}

int master_follow(struct kv_store *store, const struct kv_option_value *options,
                  void (*wake)(struct kv_store *store), struct kv_error *reterr)
{
    struct master *master = create(store);
    if (master == NULL)
        return kv_error_set(reterr, "no memory");
    master->wake = wake;
    if (sentinels_init(&master->sentinels, options, &master->is_stopping, reterr) != 0 ||
        sentinels_find_master(&master->sentinels, store->settings.timeout_ms, &master->known,
                              reterr) != 0) {
        destroy(master);
        return -1;
    }
    int fault = pthread_create(&master->thread, NULL, follow, master);
    if (fault != 0) {
        destroy(master);
        return kv_error_set(reterr, "no thread: %s", strerror(fault));
    }
    store->master = master;
    return 0;
}

void master_stop(struct kv_store *store)
{
    struct master *master = store->master;
    if (master == NULL)
        return;
    pthread_mutex_lock(&master->lock);
    master->is_stopping = true;
    pthread_cond_signal(&master->is_stopped);
    pthread_mutex_unlock(&master->lock);
    pthread_join(master->thread, NULL);
    destroy(master);
    store->master = NULL;
}

void master_point(struct kv_store *store)
{
    struct master *master = store->master;
    if (master == NULL)
        return;
    pthread_mutex_lock(&master->lock);
    struct master_address address = master->known;
    store->master_version = master->version;
    pthread_mutex_unlock(&master->lock);
    nodes_point_to(store, kv_slice_of(address.host), address.port);
}

bool master_is_another(const struct kv_store *store)
{
    return store->master != NULL && store->master->version != store->master_version;
}
