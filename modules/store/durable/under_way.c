#include "under_way.h"

#include <stdlib.h>

enum {
    FIRST_CAPACITY = 16
};

void under_way_init(struct under_way *commands)
{
    *commands = (struct under_way){0};
    pthread_mutex_init(&commands->lock, NULL);
}

void under_way_fini(struct under_way *commands)
{
    pthread_mutex_destroy(&commands->lock);
    free(commands->hashes);
}

/* Under the lock. Returns: false where there is no memory. */
static bool has_room(struct under_way *commands)
{
    if (commands->n_hashes < commands->capacity)
        return true;
    size_t capacity = commands->capacity == 0 ? FIRST_CAPACITY : 2 * commands->capacity;
    uint64_t *hashes = reallocarray(commands->hashes, capacity, sizeof(*hashes));
    if (hashes == NULL)
        return false;
    commands->hashes = hashes;
    commands->capacity = capacity;
    return true;
}

void under_way_begin(struct under_way *commands, uint64_t hash)
{
    pthread_mutex_lock(&commands->lock);
    if (has_room(commands))
        commands->hashes[commands->n_hashes++] = hash;
    atomic_fetch_add(&commands->n, 1);
    pthread_mutex_unlock(&commands->lock);
}

/* Under the lock. Returns: n_hashes where it is not there. */
static size_t find(const struct under_way *commands, uint64_t hash)
{
    size_t at = 0;
    while (at < commands->n_hashes && commands->hashes[at] != hash)
        at++;
    return at;
}

void under_way_end(struct under_way *commands, uint64_t hash)
{
    pthread_mutex_lock(&commands->lock);
    size_t at = find(commands, hash);
    if (at < commands->n_hashes)
        commands->hashes[at] = commands->hashes[--commands->n_hashes];
    atomic_fetch_sub(&commands->n, 1);
    pthread_mutex_unlock(&commands->lock);
}

bool under_way_has(struct under_way *commands, uint64_t hash)
{
    if (atomic_load(&commands->n) == 0)
        return false;
    pthread_mutex_lock(&commands->lock);
    bool has = atomic_load(&commands->n) != commands->n_hashes ||
               find(commands, hash) < commands->n_hashes;
    pthread_mutex_unlock(&commands->lock);
    return has;
}
