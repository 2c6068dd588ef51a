/*
 * Invariant: an entry in the list of level L and digit d has a deadline whose digits above L are
 * those of `elapsed`, and whose digit at L is d, greater than that of `elapsed`. So every list of a
 * level comes before those of the level above, and the first busy list of the lowest busy level is
 * the next one. (A `busy` bit may outlive its list's last entry; then the wheel turns to an empty
 * list.)
 */
#include "wheel.h"

#include <assert.h>

#define LAST_TIME ((INT64_C(1) << (WHEEL_BITS * WHEEL_LEVELS)) - 1)

#define ADDRESS_BITS 44 /* of a word: its address without the 4 zeros at the end */
#define PREV_BITS    20 /* of the address of the word before, in the word itself */
#define PREV_MASK    ((UINT64_C(1) << PREV_BITS) - 1)

/* ---- lists ---- */

static uint64_t address_of(const uint64_t *word)
{
    return (uint64_t)(uintptr_t)word >> 4;
}

static uint64_t *word_at(uint64_t address)
{
    return (uint64_t *)(uintptr_t)(address << 4); /* NOLINT(performance-no-int-to-ptr) */
}

/* The word after this one in the chain. */
static uint64_t *next_of(const uint64_t *word)
{
    return word_at(*word >> PREV_BITS);
}

static void set_next(uint64_t *word, const uint64_t *next)
{
    *word = address_of(next) << PREV_BITS | (*word & PREV_MASK);
}

static struct timed *timed_of(uint64_t *links)
{
    return (struct timed *)(void *)((char *)links - offsetof(struct timed, links));
}

/* The word before the entry's. */
static uint64_t *prev_of(const struct timed *timed)
{
    const uint8_t *high = timed->entry.prev_high;
    uint64_t address = (uint64_t)high[0] << 16 | (uint64_t)high[1] << 8 | high[2];
    return word_at(address << PREV_BITS | (timed->links & PREV_MASK));
}

static void set_prev(struct timed *timed, const uint64_t *prev)
{
    uint64_t address = address_of(prev);
    timed->links = (timed->links & ~PREV_MASK) | (address & PREV_MASK);
    timed->entry.prev_high[0] = (uint8_t)(address >> (PREV_BITS + 16));
    timed->entry.prev_high[1] = (uint8_t)(address >> (PREV_BITS + 8));
    timed->entry.prev_high[2] = (uint8_t)(address >> PREV_BITS);
}

static struct timed *list_first(const struct wheel_list *list)
{
    uint64_t *first = next_of(&list->links);
    return first == NULL ? NULL : timed_of(first);
}

static void list_push(struct wheel_list *list, struct timed *timed)
{
    uint64_t *first = next_of(&list->links);
    timed->links = 0;
    set_next(&timed->links, first);
    set_prev(timed, &list->links);
    if (first != NULL)
        set_prev(timed_of(first), &timed->links);
    set_next(&list->links, &timed->links);
}

/* Moves all of a list into an empty one. */
static void list_move(struct wheel_list *to, struct wheel_list *from)
{
    uint64_t *first = next_of(&from->links);
    set_next(&to->links, first);
    if (first != NULL)
        set_prev(timed_of(first), &to->links);
    from->links = 0;
}

void wheel_remove(struct timed *timed)
{
    uint64_t *prev = prev_of(timed);
    if (prev == NULL)
        return;
    uint64_t *next = next_of(&timed->links);
    set_next(prev, next);
    if (next != NULL)
        set_prev(timed_of(next), prev);
    timed->links = 0;
    set_prev(timed, NULL);
}

/* ---- the wheel ---- */

void wheel_init(struct wheel *wheel, uint32_t shard, int64_t now_ms)
{
    assert(now_ms >= 0);
    *wheel = (struct wheel){0};
    for (int level = 0; level < WHEEL_LEVELS - 1; level++)
        wheel->offset |= (int64_t)(shard % WHEEL_LISTS) << (WHEEL_BITS * level);
    wheel->elapsed = now_ms + wheel->offset;
}

/* A deadline in the wheel's own time. */
static int64_t time_of(const struct wheel *wheel, struct timed *timed)
{
    int64_t deadline_ms = entry_deadline(&timed->entry);
    return deadline_ms > LAST_TIME - wheel->offset ? LAST_TIME : deadline_ms + wheel->offset;
}

static uint32_t digit(int64_t time, int level)
{
    return (uint32_t)(time >> (WHEEL_BITS * level)) & (WHEEL_LISTS - 1);
}

void wheel_add(struct wheel *wheel, struct timed *timed)
{
    int64_t time = time_of(wheel, timed);
    if (time <= wheel->elapsed) {
        list_push(&wheel->due, timed);
        return;
    }
    int highest = 63 - __builtin_clzll((uint64_t)(time ^ wheel->elapsed));
    int level = highest / WHEEL_BITS;
    uint32_t at = digit(time, level);
    list_push(&wheel->lists[level][at], timed);
    wheel->busy[level] |= UINT64_C(1) << at;
}

/* The level of the next list that the wheel reaches, or -1; *ret_time: when. */
static int next_list(const struct wheel *wheel, int64_t *ret_time)
{
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        if (wheel->busy[level] == 0)
            continue;
        int shift = WHEEL_BITS * level;
        int64_t above = wheel->elapsed >> (shift + WHEEL_BITS) << (shift + WHEEL_BITS);
        *ret_time = above | (int64_t)__builtin_ctzll(wheel->busy[level]) << shift;
        return level;
    }
    return -1;
}

/* Turns to the next list, if that is reached by `time`. Returns: false if none is. */
static bool turn(struct wheel *wheel, int64_t time)
{
    int64_t list_time;
    int level = next_list(wheel, &list_time);
    if (level < 0 || list_time > time) {
        if (wheel->elapsed < time)
            wheel->elapsed = time;
        return false;
    }
    wheel->elapsed = list_time;
    uint32_t at = digit(list_time, level);
    wheel->busy[level] &= ~(UINT64_C(1) << at);
    list_move(level == 0 ? &wheel->due : &wheel->dealing, &wheel->lists[level][at]);
    return true;
}

/* Returns: false if no moves are left. */
static bool deal(struct wheel *wheel, uint32_t *moves)
{
    for (struct timed *timed; (timed = list_first(&wheel->dealing)) != NULL; (*moves)--) {
        if (*moves == 0)
            return false;
        wheel_remove(timed);
        wheel_add(wheel, timed);
    }
    return true;
}

struct timed *wheel_take_due(struct wheel *wheel, int64_t now_ms, uint32_t *moves)
{
    while (deal(wheel, moves)) {
        struct timed *timed = list_first(&wheel->due);
        if (timed != NULL) {
            wheel_remove(timed);
            return timed;
        }
        if (!turn(wheel, now_ms + wheel->offset))
            return NULL;
    }
    return NULL;
}

int64_t wheel_next(const struct wheel *wheel)
{
    if (list_first(&wheel->due) != NULL || list_first(&wheel->dealing) != NULL)
        return INT64_MIN;
    int64_t time;
    return next_list(wheel, &time) < 0 ? KV_NEVER : time - wheel->offset;
}
