/*
 * The ring of a participant is sorted by epoch, as epochs only grow; so reclaiming examines only
 * its front. Memory is freed by the participant that retired it, so the list needs no lock.
 */
#include "epoch.h"

#include <assert.h>
#include <stdlib.h>

#include "entry.h"

enum {
    LEAST_CAPACITY = 64,
    LARGEST_KEPT = 4096, /* of an empty ring */
    MOST_FREED = 1024,   /* per call: nobody waits for the garbage of a burst */
    IS_BLOCK = 1         /* in `what` */
};

int epochs_init(struct epochs *epochs, uint32_t n_participants)
{
    atomic_init(&epochs->current, 1);
    epochs->n_participants = 0;
    epochs->participants =
        aligned_alloc(_Alignof(struct participant), n_participants * sizeof(struct participant));
    if (epochs->participants == NULL)
        return -1;
    for (uint32_t i = 0; i < n_participants; i++) {
        epochs->participants[i] = (struct participant){0};
        atomic_init(&epochs->participants[i].announced, 0);
    }
    epochs->n_participants = n_participants;
    return 0;
}

static void free_retired(struct retired retired)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): a tagged pointer */
    void *what = (void *)(retired.what & ~(uintptr_t)IS_BLOCK);
    if ((retired.what & IS_BLOCK) != 0)
        free(what);
    else
        entry_unref(what);
}

static void free_first(struct participant *self)
{
    struct retired first = self->retired[self->first];
    self->first = (self->first + 1) & (self->capacity - 1);
    self->n--;
    free_retired(first);
}

void epochs_fini(struct epochs *epochs)
{
    for (uint32_t i = 0; i < epochs->n_participants; i++) {
        while (epochs->participants[i].n > 0)
            free_first(&epochs->participants[i]);
        free(epochs->participants[i].retired);
    }
    free(epochs->participants);
    epochs->participants = NULL;
    epochs->n_participants = 0;
}

void epoch_enter(struct epochs *epochs, uint32_t participant)
{
    atomic_store(&epochs->participants[participant].announced, atomic_load(&epochs->current));
}

void epoch_leave(struct epochs *epochs, uint32_t participant)
{
    atomic_store_explicit(&epochs->participants[participant].announced, 0, memory_order_release);
}

bool epoch_reserve(struct epochs *epochs, uint32_t participant, size_t more)
{
    struct participant *self = &epochs->participants[participant];
    if (self->capacity - self->n >= more)
        return true;
    size_t capacity = self->capacity == 0 ? LEAST_CAPACITY : self->capacity;
    while (capacity - self->n < more)
        capacity *= 2;
    struct retired *ring = reallocarray(NULL, capacity, sizeof(*ring));
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < self->n; i++)
        ring[i] = self->retired[(self->first + i) & (self->capacity - 1)];
    free(self->retired);
    self->retired = ring;
    self->capacity = capacity;
    self->first = 0;
    return true;
}

static void retire(struct epochs *epochs, uint32_t participant, uintptr_t what)
{
    struct participant *self = &epochs->participants[participant];
    assert(self->n < self->capacity);
    self->retired[(self->first + self->n++) & (self->capacity - 1)] =
        (struct retired){.what = what, .epoch = atomic_load(&epochs->current)};
}

void epoch_retire_entry(struct epochs *epochs, uint32_t participant, struct entry *entry)
{
    retire(epochs, participant, (uintptr_t)entry);
}

void epoch_retire_block(struct epochs *epochs, uint32_t participant, void *block)
{
    retire(epochs, participant, (uintptr_t)block | IS_BLOCK);
}

/* Advances the epoch if all participants inside have seen it. Returns: false if one has not. */
static bool advance(struct epochs *epochs)
{
    uint64_t current = atomic_load(&epochs->current);
    for (uint32_t i = 0; i < epochs->n_participants; i++) {
        uint64_t announced = atomic_load(&epochs->participants[i].announced);
        if (announced != 0 && announced != current)
            return false;
    }
    /* If it fails, another participant has advanced the epoch. */
    atomic_compare_exchange_strong(&epochs->current, &current, current + 1);
    return true;
}

static void free_what_is_safe(struct epochs *epochs, struct participant *self, int *left)
{
    uint64_t current = atomic_load(&epochs->current);
    for (; *left > 0 && self->n > 0 && self->retired[self->first].epoch + 2 <= current; (*left)--)
        free_first(self);
}

static void shrink_ring(struct participant *self)
{
    if (self->n != 0 || self->capacity <= LARGEST_KEPT)
        return;
    free(self->retired);
    self->retired = NULL;
    self->capacity = 0;
    self->first = 0;
}

bool epoch_reclaim(struct epochs *epochs, uint32_t participant)
{
    struct participant *self = &epochs->participants[participant];
    int left = MOST_FREED;
    free_what_is_safe(epochs, self, &left);
    for (int i = 0; i < 2 && left > 0 && self->n > 0 && advance(epochs); i++)
        free_what_is_safe(epochs, self, &left);
    shrink_ring(self);
    return self->n == 0;
}
