/*
 * The keyspace: the command core. It dispatches commands to the store through interceptors and
 * TTL policies, carries every change from the store to all loops, and drives expiry. It knows no
 * protocol and no module by name.
 *
 * Threads: one struct kv_keyspace for the process, one struct kv_keyspace_loop for each event
 * loop; whatever takes the latter runs on that loop's thread.
 */
#ifndef KV_KEYSPACE_KEYSPACE_H
#define KV_KEYSPACE_KEYSPACE_H

#include <kvserver/store.h>
#include <kvserver/ttl.h>

#include "base/clock.h"
#include "base/held.h"
#include "keyspace/client.h"
#include "keyspace/command.h"
#include "loop/loop.h"

struct kv_keyspace;

enum {
    KV_KEYSPACE_MAX_LOOPS = 64
};

/* A policy of the TTL chain, opened. */
struct kv_ttl_link {
    const struct kv_ttl_ops *ops;
    struct kv_ttl *policy;
    bool renews; /* KV_TTL_RENEWS */
};

/* What an interceptor says of a write. */
enum kv_verdict {
    KV_PASS,    /* on to the next, as the command stands now */
    KV_REFUSE,  /* ends the command with KV_REFUSED; kv_command_refuse() has been called */
    KV_SUSPEND, /* kv_command_resume() will bring the verdict */
};

/* Sees every write (SET, DELETE) before the TTL policies and the store, on the client's loop, in
 * the client's order. May alter value (kv_command_replace_value) and TTL. The caller's memory. */
struct kv_interceptor {
    enum kv_verdict (*before_write)(struct kv_interceptor *self, struct kv_command *command);
};

/* Sees every change of a keyspace that is ready, once, on loop `hash(key) % n_loops`, in order per
 * key. What it is given is lent for the call. It may send commands. The caller's memory. */
struct kv_observer {
    void (*on_change)(struct kv_observer *self, struct kv_keyspace_loop *loop,
                      const struct kv_change *change);
};

/* Fills the store when it has opened, before it serves; meanwhile the keyspace is not ready. `load`
 * runs on the thread of kv_keyspace_open(), and may block. It sends SETs with `is_load` from posts
 * to a loop: only these are taken up before the keyspace is ready, no interceptor and no policy
 * sees them, and their key and value are not copied but must stay as they are until `finished`.
 * Returns: 0 once all of them are finished, or -1 and *reterr. The caller's memory. */
struct kv_loader {
    int (*load)(struct kv_loader *self, struct kv_keyspace *keyspace, struct kv_error *reterr);
};

/* Everything that a keyspace is made of. Lent until kv_keyspace_destroy(). */
struct kv_keyspace_parts {
    const struct kv_clock *clock;
    struct kv_loop *const *loops;
    uint32_t n_loops;
    const struct kv_store_ops *store_ops;
    uint64_t store_capabilities;
    const char *store_name; /* for the log */
    const struct kv_option_value *store_options;
    const struct kv_ttl_link *ttl_chain;
    size_t n_ttl_chain;
    struct kv_interceptor *const *interceptors;
    size_t n_interceptors;
    struct kv_observer *const *observers;
    size_t n_observers;
    struct kv_loader *loader; /* NULL: none */
};

/* Adds a stage to each loop; before the loops run. The store is not open yet. */
struct kv_keyspace *kv_keyspace_create(const struct kv_keyspace_parts *parts);

/* Opens the store and has it loaded; may block for long. Threads: any but the loops'. */
int kv_keyspace_open(struct kv_keyspace *keyspace, struct kv_error *reterr);

/* Brings everything that is under way to its end. After the loops have ended; nothing is told to
 * observers from then on. */
void kv_keyspace_finish(struct kv_keyspace *keyspace);

/* Finishes it, if that was not done, and closes the store, if it was opened. Nobody may have an
 * item any more. */
void kv_keyspace_destroy(struct kv_keyspace *keyspace);

/* Whether the store is open, and loaded; until then commands end with KV_UNAVAILABLE. Threads: any.
 */
bool kv_keyspace_is_ready(const struct kv_keyspace *keyspace);

/* The TTL that is left until a deadline: whole milliseconds, rounded down, but never less than 1,
 * as 0 is no expiry (KV_NEVER). Threads: any. */
int64_t kv_keyspace_ttl_left_ms(const struct kv_keyspace *keyspace, int64_t deadline_ms);

/* Commands that have been sent and have not finished, on all loops. Threads: any. */
uint64_t kv_keyspace_under_way(const struct kv_keyspace *keyspace);

/* Whether there are none, and every change has been told to its observers. Threads: any. */
bool kv_keyspace_is_quiet(struct kv_keyspace *keyspace);

struct kv_keyspace_loop *kv_keyspace_on(struct kv_keyspace *keyspace, uint32_t loop);
struct kv_keyspace *kv_keyspace_of(struct kv_keyspace_loop *here);
struct kv_loop *kv_keyspace_event_loop(struct kv_keyspace_loop *here);

/* Sends a command that stands in no order with others. Takes it over. */
void kv_keyspace_send(struct kv_command *command);

/* Gives what was sent in this turn to the store now, so that the bytes lent with it need not
 * live on. `finished` is still called later, from the loop's stage. */
void kv_keyspace_submit_now(struct kv_keyspace_loop *here);

/* Holds back writes that have not been taken up, and expiry, until the matching release; reads go
 * on. Threads: any. */
void kv_keyspace_hold_writes(struct kv_keyspace *keyspace);
void kv_keyspace_release_writes(struct kv_keyspace *keyspace);

/* The store's epoch: a text that is new when the store began anew. Once the keyspace is ready. */
const char *kv_keyspace_epoch(const struct kv_keyspace *keyspace);

/* Gives a reference back, or takes one more. Threads: any. */
void kv_keyspace_release(struct kv_keyspace *keyspace, struct kv_item *item);
struct kv_item kv_keyspace_share(struct kv_keyspace *keyspace, const struct kv_item *item);
/* Takes one more, for the value alone. */
struct kv_held kv_keyspace_hold(struct kv_keyspace *keyspace, const struct kv_item *item);

/* Brings the verdict of an interceptor that suspended the command. */
void kv_command_resume(struct kv_command *command, enum kv_verdict verdict);

#endif
