/*
 * Changes that the store shows to hooks and sinks itself (KV_STORE_SHOWS), as several servers share
 * it and one of them acts on each change. They come apart from the feed: perhaps later, and perhaps
 * again where another server has died.
 *
 * Each is settled once everybody who took it has given it back, and the store learns up to where
 * all changes of a part are. What is lost with this server, the next one sees.
 */
#ifndef KV_KEYSPACE_SHOWING_H
#define KV_KEYSPACE_SHOWING_H

#include <pthread.h>

#include "base/inbox.h"
#include "keyspace/item.h"
#include "keyspace/parts.h"

/* The mark of changes that no observer sees, as those of an import. Other marks are depths of hooks
 * (struct kv_command). */
#define KV_MARK_UNSEEN UINT16_MAX

/* A change that was shown. */
struct kv_shown;

struct kv_shown_part;

/* One loop's end of it. */
struct kv_showing_inbox {
    struct kv_inbox arrived;
    struct kv_queue waiting;
    int64_t look_at_ms; /* whether the claim of the first is certain again */
    _Atomic uint64_t bytes;
};

struct kv_showing {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    struct kv_shown_part *of_parts; /* of the store; NULL until it is open */
    uint32_t n_parts;
    _Atomic uint64_t last; /* changes behind it are left to other servers */
    atomic_bool is_ending;
    struct kv_showing_inbox inboxes[KV_KEYSPACE_MAX_LOOPS];
};

void kv_showing_init(struct kv_showing *showing, const struct kv_store_link *store,
                     const struct kv_keyspace_parts *parts);
/* The store is open, and nobody is served yet. */
void kv_showing_begin(struct kv_showing *showing, uint32_t n_parts);
/* The server is to end: changes behind this revision are left to others. Threads: any. */
void kv_showing_drain(struct kv_showing *showing, uint64_t revision);
/* From now on nothing is shown, and nothing is delivered. Threads: any. */
void kv_showing_end(struct kv_showing *showing);
/* After the end of the loops, while the store is open. Everything else has been given back. */
void kv_showing_fini(struct kv_showing *showing);

/* The store shows a change. Threads: any, one at a time for each part. */
void kv_showing_show(struct kv_showing *showing, uint32_t part, uint64_t claim, uint16_t mark,
                     const struct kv_change *change);

/* Whether observers are there, and no loop is behind. Threads: any. */
bool kv_showing_has_room(const struct kv_showing *showing);

/* Gives the observers what has arrived at this loop. */
void kv_showing_deliver(struct kv_showing *showing, struct kv_keyspace_loop *here, uint32_t loop);

/* When kv_showing_deliver() would find work: INT64_MIN for now. */
int64_t kv_showing_next_ms(struct kv_showing *showing, uint32_t loop);

/* Whether observers have seen whatever they are to see of what the store has told. Threads: any. */
bool kv_showing_is_quiet(const struct kv_showing *showing);

/* For whoever takes it from the observer's call on, and what it returns when it has acted. Threads:
 * any, under locks as well. Accept NULL: a change that was told. */
void kv_shown_take(struct kv_shown *shown);
void kv_shown_give_back(struct kv_shown *shown);

/* It is not acted on here, nor is any later change of its claim settled: another server, or this
 * one after a restart, will see it. Comes before it is given back. Threads: any. Accepts NULL. */
void kv_shown_forgo(struct kv_shown *shown);

/* Whether it may be acted on now. Threads: any, under locks as well. Accepts NULL. */
enum kv_claim_state kv_shown_state(const struct kv_shown *shown);

/* Of the command that made the change; 0 where none did. */
uint16_t kv_shown_mark(const struct kv_shown *shown);

#endif
