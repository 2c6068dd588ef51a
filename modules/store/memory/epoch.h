/*
 * Epochs determine when memory that lock-free readers may still access can be freed (Fraser,
 * "Practical lock-freedom", 2004, section 5.2.3).
 *
 * Each event loop is a participant. It announces the current epoch when it enters the tables, and
 * withdraws when it leaves; a call of submit(), scan() or expire() is one stay. An entry removed
 * from a table is retired with the epoch of that moment. The epoch advances once every participant
 * inside has announced the current one; so after it has advanced twice, nobody can still hold an
 * entry found before. All operations are sequentially consistent atomics without bare fences, so
 * ThreadSanitizer can follow them.
 */
#ifndef KV_MEMORY_EPOCH_H
#define KV_MEMORY_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;

/* Something retired: an entry (the table's reference of it), or a plain block. */
struct retired {
    uintptr_t what; /* its lowest bit says which */
    uint64_t epoch;
};

struct participant {
    _Alignas(64) _Atomic uint64_t announced; /* 0: outside */
    /* A ring of the items retired by this participant, the oldest first. For its thread only. */
    struct retired *retired;
    size_t first, n, capacity;
};

struct epochs {
    _Alignas(64) _Atomic uint64_t current; /* from 1 on */
    struct participant *participants;
    uint32_t n_participants;
};

/* Returns: -1 if memory runs out. */
int epochs_init(struct epochs *epochs, uint32_t n_participants);

/* Frees all retired items; nobody may be inside. */
void epochs_fini(struct epochs *epochs);

/* The functions below run on the participant's thread. Stays do not nest. */
void epoch_enter(struct epochs *epochs, uint32_t participant);
void epoch_leave(struct epochs *epochs, uint32_t participant);

/* Reserves room for `more` items to retire, before an operation that cannot be undone. Returns:
 * false if memory runs out. */
bool epoch_reserve(struct epochs *epochs, uint32_t participant, size_t more);

/* To be called inside, after room was reserved and the item was removed from the table. */
void epoch_retire_entry(struct epochs *epochs, uint32_t participant, struct entry *entry);
void epoch_retire_block(struct epochs *epochs, uint32_t participant, void *block);

/* Frees a bounded number of items, outside. Returns: whether nothing is left. */
bool epoch_reclaim(struct epochs *epochs, uint32_t participant);

#endif
