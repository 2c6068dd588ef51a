/*
 * Epochs: when memory that lock-free readers may still look at can be freed (Fraser, "Practical
 * lock-freedom", 2004, section 5.2.3).
 *
 * Each event loop is a participant. It announces the epoch that it found when it enters the tables,
 * and withdraws when it leaves; a call of submit(), scan() or expire() is one stay. What is taken
 * out of a table is retired with the epoch of that moment. The epoch moves on once every
 * participant that is inside has announced the present one; so when it has moved on twice, nobody
 * can still hold what was found before. All of it is atomics with sequentially consistent order and
 * no bare fences: ThreadSanitizer can follow it.
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
    /* A ring of what this participant has retired, the oldest first. Its thread's only. */
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

/* Frees what is still retired: nobody is inside. */
void epochs_fini(struct epochs *epochs);

/* What follows runs on the participant's thread. Stays do not nest. */
void epoch_enter(struct epochs *epochs, uint32_t participant);
void epoch_leave(struct epochs *epochs, uint32_t participant);

/* Room for `more` things to retire, taken before what cannot be undone. Returns: false if memory
 * runs out. */
bool epoch_reserve(struct epochs *epochs, uint32_t participant, size_t more);

/* Inside, after room was reserved, and after it was taken out of the table. */
void epoch_retire_entry(struct epochs *epochs, uint32_t participant, struct entry *entry);
void epoch_retire_block(struct epochs *epochs, uint32_t participant, void *block);

/* Frees a bounded number of what can be freed, outside. Returns: whether nothing is left. */
bool epoch_reclaim(struct epochs *epochs, uint32_t participant);

#endif
