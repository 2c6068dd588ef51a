/* Entries: making and freeing. */
#include "entry.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

/* From this size on, an entry always has room for a deadline: 16 bytes no longer matter, and a
 * later TTL need not copy the entry under the lock. */
#define LONG 1024

#define LARGE_PAGE ((uintptr_t)2 << 20)

/* Addresses are packed into 44 bits of links, and into 48 of slots. */
_Static_assert(sizeof(void *) == 8, "store/memory packs pointers of 64 bits");
#define LOWEST_ADDRESS_BITS (UINT64_C(15) | ~UINT64_C(0) << 48)

static char *init_head(struct entry *entry, struct kv_slice key, uint64_t value_len)
{
    *entry = (struct entry){
        .key_len = (uint32_t)key.len,
        .value_len_low = (uint32_t)value_len,
        .value_len_high = (uint8_t)(value_len >> 32),
    };
    atomic_init(&entry->n_refs, 1);
    return entry->bytes;
}

/* Times before the clock's start are treated as its start; those beyond the longest TTL are never
 * reached. */
static int64_t word_of(int64_t deadline_ms)
{
    if (deadline_ms >= ENTRY_NEVER)
        return deadline_ms == KV_NEVER ? ENTRY_NEVER : ENTRY_NEVER - 1;
    return deadline_ms < 0 ? 0 : deadline_ms;
}

static char *init_timed(struct timed *timed, struct kv_slice key, uint64_t value_len,
                        int64_t deadline_ms)
{
    init_head(&timed->entry, key, value_len);
    timed->entry.revision = ENTRY_TIMED;
    atomic_init(&timed->deadline, word_of(deadline_ms));
    timed->links = 0;
    return timed->bytes;
}

/* Asks the system for large pages for a long entry, if whole ones fit in: filling it then takes a
 * third of the time. A refusal is harmless. */
static void ask_for_large_pages(void *memory, size_t size)
{
    uintptr_t begin = ((uintptr_t)memory + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(LARGE_PAGE - 1);
    if (size >= 2 * LARGE_PAGE && begin < end)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

struct entry *entry_create(struct kv_slice key, struct kv_slice value, int64_t deadline_ms)
{
    bool is_timed = deadline_ms != KV_NEVER || key.len + value.len >= LONG;
    size_t head = is_timed ? sizeof(struct timed) : sizeof(struct entry);
    struct entry *entry = malloc(head + key.len + value.len);
    if (entry == NULL)
        return NULL;
    ask_for_large_pages(entry, head + key.len + value.len);
    assert(((uintptr_t)entry & LOWEST_ADDRESS_BITS) == 0);
    char *bytes = is_timed ? init_timed((struct timed *)entry, key, value.len, deadline_ms)
                           : init_head(entry, key, value.len);
    if (key.len != 0)
        memcpy(bytes, key.bytes, key.len);
    if (value.len != 0)
        memcpy(bytes + key.len, value.bytes, value.len);
    return entry;
}

int64_t entry_deadline(struct entry *entry)
{
    if (!entry_is_timed(entry))
        return KV_NEVER;
    int64_t word = atomic_load(&entry_timed(entry)->deadline);
    if (word == ENTRY_NEVER)
        return KV_NEVER;
    return word < 0 ? ~word : word;
}

static struct entry *replacement_of(int64_t word)
{
    return (struct entry *)(uintptr_t)(word -
                                       ENTRY_REPLACED); /* NOLINT(performance-no-int-to-ptr) */
}

/* Returns: whether the entry has not expired; *ret_word: its word. */
static bool judge(struct entry *entry, const struct kv_host *host, int64_t *ret_word)
{
    _Atomic int64_t *at = &entry_timed(entry)->deadline;
    *ret_word = atomic_load(at);
    do {
        if (*ret_word < 0)
            return false;
        if (*ret_word >= ENTRY_NEVER || host->now_ms(host) < *ret_word)
            return true;
    } while (!atomic_compare_exchange_weak(at, ret_word, ~*ret_word));
    return false;
}

struct entry *entry_look(struct entry *entry, const struct kv_host *host, int64_t *ret_deadline_ms)
{
    int64_t word = ENTRY_NEVER;
    while (entry_is_timed(entry)) {
        if (!judge(entry, host, &word))
            return NULL;
        if (word <= ENTRY_NEVER)
            break;
        entry = replacement_of(word);
        word = ENTRY_NEVER;
    }
    *ret_deadline_ms = word == ENTRY_NEVER ? KV_NEVER : word;
    return entry;
}

/* Replaces the word, unless it is sealed. */
static bool change_word(struct entry *entry, int64_t to)
{
    _Atomic int64_t *at = &entry_timed(entry)->deadline;
    int64_t word = atomic_load(at);
    while (word >= 0)
        if (atomic_compare_exchange_weak(at, &word, to))
            return true;
    return false;
}

bool entry_move_deadline(struct entry *entry, int64_t deadline_ms)
{
    return change_word(entry, word_of(deadline_ms));
}

bool entry_replace(struct entry *entry, struct entry *fresh)
{
    return !entry_is_timed(entry) || change_word(entry, ENTRY_REPLACED | (int64_t)(uintptr_t)fresh);
}

void entry_unref(struct entry *entry)
{
    if (entry != NULL && atomic_fetch_sub_explicit(&entry->n_refs, 1, memory_order_acq_rel) == 1)
        free(entry);
}
