/*
 * The keyspace: the command core. It dispatches commands to the store through interceptors and TTL
 * policies, carries every change from the store to all loops, and drives expiry. It knows no
 * protocol and no module by name. README.md lists its files and the path of a command.
 *
 * Threads: one struct kv_keyspace for the process, one struct kv_keyspace_loop for each event loop;
 * functions that take the latter run on that loop's thread.
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

/* Completes everything that is under way. Call after the loops have ended; observers see no changes
 * from then on. */
void kv_keyspace_finish(struct kv_keyspace *keyspace);

/* Finishes it, unless that was done, and closes the store, if it was opened. All items must have
 * been released. */
void kv_keyspace_destroy(struct kv_keyspace *keyspace);

/* Whether the store is open, and loaded; until then commands end with KV_NOT_OPEN. Threads: any.
 */
bool kv_keyspace_is_ready(const struct kv_keyspace *keyspace);

/* The store, for partitions.h. Threads: any. */
const struct kv_store_link *kv_keyspace_store(const struct kv_keyspace *keyspace);

/* Whether the store can serve, by its own report. Threads: any. */
bool kv_keyspace_is_well(const struct kv_keyspace *keyspace);

/* The TTL that is left until a deadline: whole milliseconds, rounded down, but never less than 1,
 * as 0 is no expiry (KV_NEVER). Threads: any. */
int64_t kv_keyspace_ttl_left_ms(const struct kv_keyspace *keyspace, int64_t deadline_ms);

/* Commands that have been sent and have not finished, on all loops. Threads: any. */
uint64_t kv_keyspace_under_way(const struct kv_keyspace *keyspace);

/* Whether no commands are under way, and observers have seen every change. Threads: any. */
bool kv_keyspace_is_quiet(struct kv_keyspace *keyspace);

struct kv_keyspace_loop *kv_keyspace_on(struct kv_keyspace *keyspace, uint32_t loop);
struct kv_keyspace *kv_keyspace_of(struct kv_keyspace_loop *here);

/* Counts the memory that the loop's connections hold; NULL: it is not counted. Lent. */
struct kv_tally *kv_keyspace_tally(struct kv_keyspace_loop *here);
struct kv_loop *kv_keyspace_event_loop(struct kv_keyspace_loop *here);

/* A blank command of the loop. Owns: the caller, until it is sent or freed. */
struct kv_command *kv_command_create(struct kv_keyspace_loop *home, enum kv_command_kind kind);

/* Sends a command without a client, in no order with others. Takes the command over. */
void kv_keyspace_send(struct kv_command *command);

/* Submits the commands sent in this turn to the store now, so that the bytes lent with them may be
 * freed. `finished` is still called later, from the loop's stage. */
void kv_keyspace_submit_now(struct kv_keyspace_loop *here);

/* Holds back writes that have not been taken up, and expiry, until the matching release; reads go
 * on. Threads: any. */
void kv_keyspace_hold_writes(struct kv_keyspace *keyspace);
void kv_keyspace_release_writes(struct kv_keyspace *keyspace);

/* The server is about to end: from now on it leaves changes that the store shows to other servers.
 * Threads: any. */
void kv_keyspace_drain(struct kv_keyspace *keyspace);
/* Shows no more changes of the store from now on. Threads: any. */
void kv_keyspace_stop_showing(struct kv_keyspace *keyspace);

/* Whether observers see changes as the store shows them (showing.h), instead of when they are
 * reported. Threads: any; not while the store is being opened. */
bool kv_keyspace_shows(const struct kv_keyspace *keyspace);

/* Whether a KV_COMMAND_CATCH_UP makes a difference, because other servers share the store. Threads:
 * any. */
bool kv_keyspace_catches_up(const struct kv_keyspace *keyspace);

/* The store's epoch: a text that changes when the store begins anew. Call once the keyspace is
 * ready. */
const char *kv_keyspace_epoch(const struct kv_keyspace *keyspace);

/* The newest revision of the store; 0 if the order of its changes is not known. Call once the
 * keyspace is ready. Threads: any. */
uint64_t kv_keyspace_revision(const struct kv_keyspace *keyspace);

/* Writes its metrics, and those of the store. Threads: any. */
void kv_keyspace_collect(struct kv_keyspace *keyspace, struct kv_metrics_text *text);

/* Release a reference, or take another one. Threads: any. */
void kv_keyspace_release(struct kv_keyspace *keyspace, struct kv_item *item);
struct kv_item kv_keyspace_share(struct kv_keyspace *keyspace, const struct kv_item *item);
/* Takes another reference, for the value only. */
struct kv_held kv_keyspace_hold(struct kv_keyspace *keyspace, const struct kv_item *item);

/* Copies the long value of a SET, before it is sent, to where the store will keep it, so that no
 * loop spends the time (kv_command_take_staged). All zero if the store cannot do that. Owns: the
 * caller, by kv_keyspace_release(). Threads: any. */
struct kv_item kv_keyspace_stage(struct kv_keyspace *keyspace, struct kv_slice key,
                                 struct kv_slice value);

/* Brings the verdict of an interceptor that suspended the command. */
void kv_command_resume(struct kv_command *command, enum kv_verdict verdict);

#endif
