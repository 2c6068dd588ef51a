/*
 * The keyspace: the command core. It dispatches commands to the store through interceptors and
 * TTL policies, carries every change from the store to all loops, and drives expiry. It knows no
 * protocol and no module by name. README.md shows its files and the way of a command.
 *
 * Threads: one struct kv_keyspace for the process, one struct kv_keyspace_loop for each event
 * loop; whatever takes the latter runs on that loop's thread.
 */
#ifndef KV_KEYSPACE_KEYSPACE_H
#define KV_KEYSPACE_KEYSPACE_H

#include "base/held.h"
#include "keyspace/client.h"
#include "keyspace/command.h"
#include "keyspace/parts.h"
#include "keyspace/showing.h"

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

/* Whether the store is open, and loaded; until then commands end with KV_NOT_OPEN. Threads: any.
 */
bool kv_keyspace_is_ready(const struct kv_keyspace *keyspace);

/* The store, for partitions.h. Threads: any. */
const struct kv_store_link *kv_keyspace_store(const struct kv_keyspace *keyspace);

/* Whether the store says that it can serve. Threads: any. */
bool kv_keyspace_is_well(const struct kv_keyspace *keyspace);

/* The TTL that is left until a deadline: whole milliseconds, rounded down, but never less than 1,
 * as 0 is no expiry (KV_NEVER). Threads: any. */
int64_t kv_keyspace_ttl_left_ms(const struct kv_keyspace *keyspace, int64_t deadline_ms);

/* Commands that have been sent and have not finished, on all loops. Threads: any. */
uint64_t kv_keyspace_under_way(const struct kv_keyspace *keyspace);

/* Whether there are none, and every change has been told to its observers. Threads: any. */
bool kv_keyspace_is_quiet(struct kv_keyspace *keyspace);

struct kv_keyspace_loop *kv_keyspace_on(struct kv_keyspace *keyspace, uint32_t loop);
struct kv_keyspace *kv_keyspace_of(struct kv_keyspace_loop *here);

/* What the loop's connections hold is counted by it; NULL: it is not. Lent. */
struct kv_tally *kv_keyspace_tally(struct kv_keyspace_loop *here);
struct kv_loop *kv_keyspace_event_loop(struct kv_keyspace_loop *here);

/* A blank command of the loop. Owns: the caller, until it is sent or freed. */
struct kv_command *kv_command_create(struct kv_keyspace_loop *home, enum kv_command_kind kind);

/* Sends a command that stands in no order with others. Takes it over. */
void kv_keyspace_send(struct kv_command *command);

/* Gives what was sent in this turn to the store now, so that the bytes lent with it need not
 * live on. `finished` is still called later, from the loop's stage. */
void kv_keyspace_submit_now(struct kv_keyspace_loop *here);

/* Holds back writes that have not been taken up, and expiry, until the matching release; reads go
 * on. Threads: any. */
void kv_keyspace_hold_writes(struct kv_keyspace *keyspace);
void kv_keyspace_release_writes(struct kv_keyspace *keyspace);

/* The server is to end: of changes that the store shows, those from now on are left to other
 * servers. Threads: any. */
void kv_keyspace_drain(struct kv_keyspace *keyspace);
/* All of them are, from now on. Threads: any. */
void kv_keyspace_stop_showing(struct kv_keyspace *keyspace);

/* Whether observers see what the store shows (showing.h), instead of what it tells. Threads: any;
 * not while the store is being opened. */
bool kv_keyspace_shows(const struct kv_keyspace *keyspace);

/* The store's epoch: a text that is new when the store began anew. Once the keyspace is ready. */
const char *kv_keyspace_epoch(const struct kv_keyspace *keyspace);

/* The newest revision of the store; 0 where the order of its changes is not known. Once the
 * keyspace is ready. Threads: any. */
uint64_t kv_keyspace_revision(const struct kv_keyspace *keyspace);

/* Writes its metrics, and those of the store. Threads: any. */
void kv_keyspace_collect(struct kv_keyspace *keyspace, struct kv_metrics_text *text);

/* Gives a reference back, or takes one more. Threads: any. */
void kv_keyspace_release(struct kv_keyspace *keyspace, struct kv_item *item);
struct kv_item kv_keyspace_share(struct kv_keyspace *keyspace, const struct kv_item *item);
/* Takes one more, for the value alone. */
struct kv_held kv_keyspace_hold(struct kv_keyspace *keyspace, const struct kv_item *item);

/* Copies the long value of a SET that is to be sent, to where the store will keep it, so that no
 * loop takes the time (kv_command_take_staged). All zero where that cannot be. Owns: the caller, by
 * kv_keyspace_release(). Threads: any. */
struct kv_item kv_keyspace_stage(struct kv_keyspace *keyspace, struct kv_slice key,
                                 struct kv_slice value);

/* Brings the verdict of an interceptor that suspended the command. */
void kv_command_resume(struct kv_command *command, enum kv_verdict verdict);

#endif
