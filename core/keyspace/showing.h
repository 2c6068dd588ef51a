/*
 * Changes that the store itself shows to hooks and sinks (KV_STORE_SHOWS), as several servers share
 * it and one of them acts on each change. They do not come through the feed: perhaps later, and
 * perhaps again after another server has died.
 *
 * A change is settled once all its takers have given it back, and the store learns up to which
 * revision all changes of a part are settled. If this server dies, the next one sees the unsettled
 * changes again.
 */
#ifndef KV_KEYSPACE_SHOWING_H
#define KV_KEYSPACE_SHOWING_H

#include <pthread.h>

#include "base/inbox.h"
#include "keyspace/item.h"
#include "keyspace/parts.h"

/* The mark of changes that no observer sees, such as those of an import. Other marks are depths of
 * hooks (struct kv_command). */
#define KV_MARK_UNSEEN UINT16_MAX

/* A change that was shown. */
struct kv_shown;

struct kv_shown_part;

/* One loop's end of it. */
struct kv_showing_inbox {
    struct kv_inbox arrived;
    struct kv_queue waiting;
    int64_t look_at_ms; /* when to check whether the claim of the first change is certain again */
    _Atomic uint64_t bytes;
};

struct kv_showing {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    struct kv_shown_part *of_parts; /* of the store; NULL until it is open */
    uint32_t n_parts;
    _Atomic uint64_t last; /* later changes are left to other servers */
    atomic_bool is_ending;
    struct kv_showing_inbox inboxes[KV_KEYSPACE_MAX_LOOPS];
};

void kv_showing_init(struct kv_showing *showing, const struct kv_store_link *store,
                     const struct kv_keyspace_parts *parts);
/* Call when the store is open, before anybody is served. */
void kv_showing_begin(struct kv_showing *showing, uint32_t n_parts);
/* The server is about to end: changes after this revision are left to others. Threads: any. */
void kv_showing_drain(struct kv_showing *showing, uint64_t revision);
/* From now on nothing is shown or delivered. Threads: any. */
void kv_showing_end(struct kv_showing *showing);
/* Call after the loops have ended, while the store is open, when all changes have been given
 * back. */
void kv_showing_fini(struct kv_showing *showing);

/* The store shows a change. Threads: any, one at a time for each part. */
void kv_showing_show(struct kv_showing *showing, uint32_t part, uint64_t claim, uint16_t mark,
                     const struct kv_change *change);

/* Whether observers are ready, and no loop is behind. Threads: any. */
bool kv_showing_has_room(const struct kv_showing *showing);

/* Passes the changes that have arrived at this loop to the observers. */
void kv_showing_deliver(struct kv_showing *showing, struct kv_keyspace_loop *here, uint32_t loop);

/* The time at which kv_showing_deliver() will have work; INT64_MIN: now. */
int64_t kv_showing_next_ms(struct kv_showing *showing, uint32_t loop);

/* Whether observers have seen all shown changes that the store has reported. Threads: any. */
bool kv_showing_is_quiet(const struct kv_showing *showing);

/* Take a change within an observer's call, to act on it later, and give it back after acting.
 * Threads: any, under locks as well. Accept NULL: a change that was not shown. */
void kv_shown_take(struct kv_shown *shown);
void kv_shown_give_back(struct kv_shown *shown);

/* The change is not acted on here, and no later change of its claim is settled: another server, or
 * this one after a restart, will see it again. Call before giving it back. Threads: any. Accepts
 * NULL. */
void kv_shown_forgo(struct kv_shown *shown);

/* Whether hooks and sinks may act on it now. Threads: any, under locks as well. Accepts NULL. */
enum kv_claim_state kv_shown_state(const struct kv_shown *shown);

/* The mark of the command that made the change; 0 if none did. */
uint16_t kv_shown_mark(const struct kv_shown *shown);

#endif
