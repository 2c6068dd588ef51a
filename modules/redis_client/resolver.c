/*
 * A lookup belongs to its thread and to the resolver; whichever leaves it last frees it.
 */
#include "resolver.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    GLANCE_MS = 100, /* how often a wait checks gives_up */
    PORT_TEXT = 16,
};

struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t is_over;
    int n_owners;
    bool is_done;
    int fault;
    struct addrinfo *peers;
    char port[PORT_TEXT];
    char host[];
};

int64_t patience_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int patience_left_ms(const struct patience *patience)
{
    int64_t left_ms = patience->until_ms - patience_clock_ms();
    if (left_ms <= 0 || (patience->gives_up != NULL && atomic_load(patience->gives_up)))
        return 0;
    return left_ms < GLANCE_MS ? (int)left_ms : GLANCE_MS;
}

static struct lookup *create(const char *host, const char *port)
{
    size_t size = strlen(host) + 1;
    struct lookup *lookup = calloc(1, sizeof(*lookup) + size);
    pthread_condattr_t attributes;
    if (lookup == NULL)
        return NULL;
    pthread_mutex_init(&lookup->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lookup->is_over, &attributes);
    pthread_condattr_destroy(&attributes);
    lookup->n_owners = 1;
    snprintf(lookup->port, sizeof(lookup->port), "%s", port);
    memcpy(lookup->host, host, size);
    return lookup;
}

static void leave(struct lookup *lookup)
{
    pthread_mutex_lock(&lookup->lock);
    bool is_last = --lookup->n_owners == 0;
    pthread_mutex_unlock(&lookup->lock);
    if (!is_last)
        return;
    if (lookup->peers != NULL)
        freeaddrinfo(lookup->peers);
    pthread_cond_destroy(&lookup->is_over);
    pthread_mutex_destroy(&lookup->lock);
    free(lookup);
}

static int ask(const char *host, const char *port, int flags, struct addrinfo **ret_peers)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    return getaddrinfo(host, port, &hints, ret_peers);
}

static void *look_up(void *arg)
{
    struct lookup *lookup = arg;
    struct addrinfo *peers = NULL;
    int fault = ask(lookup->host, lookup->port, 0, &peers);
    pthread_mutex_lock(&lookup->lock);
    lookup->fault = fault;
    lookup->peers = peers;
    lookup->is_done = true;
    pthread_cond_signal(&lookup->is_over);
    pthread_mutex_unlock(&lookup->lock);
    leave(lookup);
    return NULL;
}

static struct lookup *begin(const char *host, const char *port)
{
    pthread_t thread;
    struct lookup *lookup = create(host, port);
    if (lookup == NULL)
        return NULL;
    lookup->n_owners = 2; /* the caller and the thread */
    if (pthread_create(&thread, NULL, look_up, lookup) == 0) {
        pthread_detach(thread);
        return lookup;
    }
    lookup->n_owners = 1;
    leave(lookup);
    return NULL;
}

static void wait_a_little(struct lookup *lookup, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (int64_t)ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&lookup->is_over, &lookup->lock, &until);
}

/* Returns: whether it is done. */
static bool wait_for(struct lookup *lookup, const struct patience *patience)
{
    int left_ms;
    pthread_mutex_lock(&lookup->lock);
    while (!lookup->is_done && (left_ms = patience_left_ms(patience)) != 0)
        wait_a_little(lookup, left_ms);
    bool is_done = lookup->is_done;
    pthread_mutex_unlock(&lookup->lock);
    return is_done;
}

static int take(struct lookup *lookup, struct addrinfo **ret_peers)
{
    int fault = lookup->fault;
    *ret_peers = lookup->peers;
    lookup->peers = NULL;
    leave(lookup);
    return fault;
}

static bool is_about(const struct lookup *lookup, const char *host, const char *port)
{
    return strcmp(lookup->host, host) == 0 && strcmp(lookup->port, port) == 0;
}

int resolver_find(struct resolver *resolver, const char *host, int port,
                  const struct patience *patience, struct addrinfo **ret_peers)
{
    char text[PORT_TEXT];
    snprintf(text, sizeof(text), "%d", port);
    if (ask(host, text, AI_NUMERICHOST, ret_peers) == 0)
        return 0;
    while (resolver->pending == NULL || !is_about(resolver->pending, host, text)) {
        if (resolver->pending != NULL && !wait_for(resolver->pending, patience))
            return EAI_AGAIN;
        resolver_fini(resolver);
        resolver->pending = begin(host, text);
        if (resolver->pending == NULL)
            return EAI_MEMORY;
    }
    if (!wait_for(resolver->pending, patience))
        return EAI_AGAIN;
    struct lookup *done = resolver->pending;
    resolver->pending = NULL;
    return take(done, ret_peers);
}

void resolver_fini(struct resolver *resolver)
{
    if (resolver->pending != NULL)
        leave(resolver->pending);
    resolver->pending = NULL;
}
