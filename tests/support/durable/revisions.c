#include "support/durable/revisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

struct kv_test_revision {
    uint64_t revision; /* 0: a free slot */
    uint64_t what;
};

static struct kv_test_revision *slot_of(struct kv_test_revisions *revisions, uint64_t revision)
{
    size_t at = (size_t)(revision * UINT64_C(0x9e3779b97f4a7c15) >> 20) % revisions->capacity;
    while (revisions->slots[at].revision != 0 && revisions->slots[at].revision != revision)
        at = (at + 1) % revisions->capacity;
    return &revisions->slots[at];
}

static void grow(struct kv_test_revisions *revisions)
{
    struct kv_test_revisions larger = {
        .n = revisions->n, .capacity = 2 * revisions->capacity + 1024, .last = revisions->last};
    larger.slots = kv_calloc(larger.capacity, sizeof(struct kv_test_revision));
    for (size_t i = 0; i < revisions->capacity; i++)
        if (revisions->slots[i].revision != 0)
            *slot_of(&larger, revisions->slots[i].revision) = revisions->slots[i];
    free(revisions->slots);
    *revisions = larger;
}

void kv_test_revisions_note(struct kv_test_revisions *revisions, uint64_t revision, uint64_t what)
{
    if (2 * revisions->n >= revisions->capacity)
        grow(revisions);
    struct kv_test_revision *slot = slot_of(revisions, revision);
    if (slot->revision == revision && slot->what != what)
        fail_msg("revision %ju is that of two states", (uintmax_t)revision);
    revisions->n += slot->revision == 0;
    *slot = (struct kv_test_revision){.revision = revision, .what = what};
    if (revisions->last < revision)
        revisions->last = revision;
}

void kv_test_revisions_fini(struct kv_test_revisions *revisions)
{
    free(revisions->slots);
    *revisions = (struct kv_test_revisions){0};
}
