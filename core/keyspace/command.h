/*
 * Commands: the operations that a connection asks of the keyspace. The protocol layers make them
 * from their messages, and get each back once, finished, by its `finished` function, on the same
 * loop.
 */
#ifndef KV_KEYSPACE_COMMAND_H
#define KV_KEYSPACE_COMMAND_H

#include <kvserver/store.h>

#include "access/principal.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "keyspace/item.h"
#include "keyspace/room.h"
#include "loop/workers.h"

struct kv_command;
struct kv_keyspace_loop;
struct kv_watch;

enum kv_command_kind {
    KV_COMMAND_GET,
    KV_COMMAND_SET,
    KV_COMMAND_DELETE,
    KV_COMMAND_TOUCH,  /* the keyspace's own: a deadline that a policy renewed. Those of clients are
                          UPDATEs */
    KV_COMMAND_UPDATE, /* sets the result of a function of the old value: see struct kv_update */
    KV_COMMAND_SCAN,   /* a page of keys: see struct kv_page */
    KV_COMMAND_SUBSCRIBE,
    KV_COMMAND_UNSUBSCRIBE,
    KV_COMMAND_NOTE,     /* does nothing; only keeps its place in the order of the answers */
    KV_COMMAND_CATCH_UP, /* ends when all changes that other servers made before it was sent have
                            been reported (kv_keyspace_catches_up) */
    KV_N_COMMAND_KINDS
};

/* The properties of a kind. */
struct kv_command_traits {
    const char *name;
    enum kv_op
        op; /* in a batch for the store; 0: it does not go to the store, or takes several steps */
    bool has_key;
    bool is_read;        /* its outcome reveals stored state */
    bool is_write;       /* it may change stored state */
    bool is_intercepted; /* interceptors see it, and it waits while writes are held back */
    bool has_ttl;        /* its TTL counts from the moment it was sent */
    bool has_steps;      /* has a struct of its own: an UPDATE or a SCAN */
    bool has_argument;
    bool is_about_subscriptions;
    bool is_in_no_order; /* it does not wait for other commands of its client, nor they for it */
};

enum kv_command_state {
    KV_COMMAND_NEW,       /* the caller fills it in */
    KV_COMMAND_WAITING,   /* for its turn among its client's commands */
    KV_COMMAND_SUSPENDED, /* an interceptor will resume it */
    KV_COMMAND_BATCHED,   /* will go to the store at the end of the loop's turn */
    KV_COMMAND_SUBMITTED, /* the store has it */
    KV_COMMAND_FINISHED,
};

/* Outcomes of a command, in addition to those of the store (enum kv_status). */
enum kv_command_status {
    KV_REFUSED = 100,   /* by an interceptor: `refusal` gives the reason */
    KV_TOO_MANY_TOPICS, /* SUBSCRIBE beyond the client's limit */
    KV_CROWDED,         /* SUBSCRIBE beyond the memory for all connections */
    KV_INAPPLICABLE, /* UPDATE: its function does not apply to the old value; SCAN: the store cannot
                        do it; `refusal` gives the reason */
    KV_CONTENDED,    /* UPDATE: another write of the key interfered with each attempt */
    KV_BAD_CURSOR,   /* SCAN */
    KV_FORBIDDEN,    /* its client's principal lacks the right; `refusal` may say more */
    KV_UNIDENTIFIED, /* the same, if the client has not identified itself */
    KV_EXPIRED,      /* the same, if the client's token is no longer valid */
    KV_NOT_OPEN,     /* the keyspace is not open yet, or is closing */
};

/* Called on the command's loop, never from within the call that sent it. The command is freed when
 * the function returns; kv_command_take_item() keeps the item that a GET found. The function may
 * send commands, but must not close a client. */
typedef void (*kv_command_finished_fn)(struct kv_command *command);

/* The address of a peer, as shown to hooks and in logs. */
struct kv_address_text {
    char text[64];
};

/* As kv_command_address() in client.h. */
typedef bool (*kv_command_address_fn)(const struct kv_command *command,
                                      struct kv_address_text *ret);

/* The part of a client's order (client.h) that its commands change. */
struct kv_order {
    uint32_t n_held;         /* of the client's commands: WAITING, SUSPENDED, or `is_unsettled`; one
                                that is both counts twice */
    bool is_closed;          /* the connection is gone: outcomes are dropped */
    bool is_dirty;           /* some command may be ready to be handed back or admitted */
    struct kv_link in_dirty; /* in the loop's list of dirty orders */
    bool awaits_feed;        /* its first command waits for changes that the feed holds back */
    struct kv_link in_awaiting;
    kv_command_address_fn address; /* of a command's sender */
    struct kv_room room;           /* for the values of its GETs */
    uint64_t keys; /* kv_order_key() of all commands sent since the client last had none; all bits
                      if they include a long write, as that affects every write */
};

/* A key as one bit; different keys may share a bit. */
static inline uint64_t kv_order_key(uint64_t hash)
{
    return UINT64_C(1) << hash % 64;
}

static inline void kv_order_note(struct kv_order *order, uint64_t hash, size_t value_len)
{
    order->keys |= value_len > KV_LONG_VALUE ? UINT64_MAX : kv_order_key(hash);
}

/* The commands of one loop. */
struct kv_commands {
    const struct kv_store_link *store;
    struct kv_link *free; /* for reuse */
    uint32_t n_free;
    struct kv_queue finished;    /* commands without a client, to be handed back */
    struct kv_queue dirty;       /* orders */
    struct kv_queue awaiting;    /* orders that wait for the feed */
    struct kv_counter under_way; /* sent, and not handed back; only this loop writes it */
};

/* The function of an UPDATE. Pure, called once for each attempt; of the command it may alter only
 * `refusal`, and only to a constant text. Threads: any, also at the store's commit point, under its
 * locks, unless the old value or the argument is long (KV_WORKERS_LONG_TEXT).
 * old: revision 0 if the key is missing. out: empty; takes the new value, a JSON text.
 * Returns: KV_OK; or the status that ends the command, without a change. */
typedef int (*kv_compute_fn)(struct kv_command *command, const struct kv_item *old,
                             struct kv_buffer *out);

enum kv_update_step {
    KV_UPDATE_AT_ONCE, /* the store computes the result at its commit point, or only sets the TTL */
    KV_UPDATE_READ,    /* the store reads the old state */
    KV_UPDATE_SET,     /* the store sets the result, if the old state is still current */
};

/* The additional members of an UPDATE (update.h). TTL: a key that the update creates gets the
 * command's TTL, as with a SET. An existing key keeps its deadline, without asking any policy,
 * unless `sets_ttl` is set or an interceptor gives it another TTL. */
struct kv_update {
    kv_compute_fn compute; /* NULL: only sets the TTL of an existing key (KV_MISSING if there is
                              none); then `value` is meaningless at the end */
    bool is_quick;         /* `compute` takes no longer for a long value than for a short one */
    bool is_own; /* the server's own: no interceptor and no policy sees it, and the command's TTL, 0
                    for none left, applies to an existing key, too */
    bool sets_ttl;    /* the command's TTL applies to an existing key, too */
    bool deletes;     /* if `compute` returns KV_OK, the key is deleted */
    int64_t number;   /* for `compute` */
    size_t max_bytes; /* of the result; if it is longer, the command ends with KV_TOO_BIG; 0: no
                         limit */

    /* The keyspace's. */
    struct kv_command *command;
    struct kv_updates *updates;
    enum kv_update_step step;
    bool is_at_once; /* begins with KV_UPDATE_AT_ONCE, as far as is known */
    bool keeps_deadline;
    uint64_t old_revision; /* 0: the key was missing */
    int64_t old_deadline_ms;
    int64_t kept_ttl_ms; /* as shown to interceptors */
    bool ttl_is_given;   /* given by the caller */
    int64_t ttl_ms;
    uint32_t n_tries;
    int computed;                /* what `compute` returned last */
    struct kv_buffer result;     /* of `compute` */
    struct kv_item staged;       /* a copy of a long result, made by a worker */
    struct kv_item old;          /* while a worker computes */
    struct kv_list in_computing; /* while a worker computes */
    struct kv_job job;
    struct kv_update_lane *lane; /* NULL: it is in no lane */
};

enum {
    KV_PAGE_MOST_KEYS = 10000, /* the largest `max_keys` */
    KV_STORE_PAGE = 64         /* keys requested from the store at a time */
};

/* The additional members of a SCAN. Its `key` is the prefix of the keys to list, its `argument` the
 * cursor: empty for the beginning, or `cursor` of an earlier page of the same prefix and delimiter.
 * A page may have fewer keys than requested, or none, without being the last. A key that exists
 * during the whole walk is returned at least once. Each key's state is that of a moment between
 * question and answer; no key in a page is past its deadline.
 *
 * Its `value` is the delimiter, empty for none: keys that contain it after the prefix are folded
 * into the part up to the delimiter, and each of these prefixes is returned once in the whole walk.
 * This takes a store that seeks (KV_STORE_SEEKS); with others the command ends with
 * KV_INAPPLICABLE. */
struct kv_page {
    uint32_t max_keys;  /* folded prefixes count as well */
    uint64_t max_bytes; /* of keys, values if wanted, and 64 for each; but at least one key. Less if
                           the memory of all connections is nearly used up */
    bool wants_values;
    bool wants_count; /* only `count`, over all keys of the walk, however many there are */
    const struct kv_prefixes *within; /* only keys covered by these; NULL: all. Set by admission */

    /* The outcome, with KV_OK. Owned by the command: its entries are released with it. */
    struct kv_scan_entry *entries; /* in the store's order: by key with KV_STORE_ORDERED */
    uint32_t n;
    struct kv_scan_entry *prefixes; /* the folded prefixes: only `key` of each entry is set */
    uint32_t n_prefixes;
    uint64_t count;
    struct kv_buffer cursor; /* empty: the walk is complete */

    /* The keyspace's. */
    struct kv_command *command;
    size_t range;        /* index into `within` of the prefix being walked */
    struct kv_link link; /* among those that are ready, or done */
    uint32_t capacity;
    uint32_t prefix_capacity;
    uint64_t bytes;
    struct kv_charge charge; /* for `bytes` */
    uint32_t
        n_store_pages; /* number of its store pages, without those that brought a folded prefix */
    struct kv_slice last; /* the last key or folded prefix returned */
    bool last_is_prefix;
    bool has_jumped;         /* it has skipped the other keys with that prefix */
    struct kv_slice skip_to; /* the last key of this store page that was returned earlier */
    bool skips;
    struct kv_buffer start; /* bytes of scan.start */
    void *cursor_ref;       /* keeps scan.cursor alive */
    struct kv_scan scan;
    struct kv_scan_entry found[KV_STORE_PAGE];
};

/* The additional members of a SUBSCRIBE; its `key` may be a prefix, as may that of an
 * UNSUBSCRIBE. */
struct kv_subscribe {
    bool is_prefix;     /* all keys that begin with `key` */
    bool wants_meta;    /* changes are sent with their revisions and other metadata */
    bool initial;       /* SUBSCRIBE: begins with the present state */
    bool has_since;     /* or continues after the revision `since` of the epoch `argument` */
    bool has_caught_up; /* the caller has sent a CATCH_UP before, and it has ended */
    uint64_t since;
};

enum {
    KV_COMMAND_SMALL = 160
};

struct kv_command {
    /* Set by the caller, before the command is sent. The bytes of key, value, argument and note,
     * and the list of revisions, must not change until the end of the loop's turn, or until
     * kv_keyspace_submit_now() returns; the keyspace copies what it needs for longer. */
    enum kv_command_kind kind;
    uint32_t cond;                          /* enum kv_cond */
    const struct kv_command_traits *traits; /* of its kind */
    struct kv_slice key;
    struct kv_slice value; /* SET: JSON text. UPDATE: the result, at the end. SCAN: the delimiter */
    struct kv_slice note;  /* the protocol layer's own: kept with the command */
    const uint64_t *if_revisions;
    size_t n_if_revisions;
    uint64_t if_revision; /* room for a list of one: `if_revisions` may point here */
    int64_t ttl_ms;       /* SET: 0 is no expiry */
    bool ttl_is_given;
    bool is_load;        /* SET, DELETE, SCAN: a loader's (struct kv_loader) */
    bool wants_meta;     /* the protocol layer's own: of a GET, */
    bool is_lease;       /* and of a SET */
    bool keeps_deadline; /* GET: no policy renews the key's deadline */
    uint16_t depth; /* number of hooks in the chain that led to it; 0: a client sent it. The write
                       of a hook is not held back: others may be held until it is done */
    const char *script;       /* that sends it, and outlives it; NULL: a client, or the server */
    struct kv_update *update; /* UPDATE: created and freed with the command */
    struct kv_page *page;     /* SCAN: the same */
    void *owner;              /* the protocol layer's own */
    kv_command_finished_fn finished; /* NULL: the outcome is not needed */

    /* The outcome. */
    int status;         /* enum kv_status or enum kv_command_status */
    int refusal_status; /* KV_REFUSED: the status of HTTP; 0: the usual one */
    uint64_t revision;
    struct kv_item item;    /* GET with KV_OK */
    int64_t retry_after_ms; /* KV_REFUSED: time until a retry makes sense; 0: unknown */
    const char *refusal;    /* KV_REFUSED, KV_INAPPLICABLE: constant, or the command's own
                               (kv_command_refuse) */

    /* The keyspace's. */
    enum kv_command_state state;
    uint32_t next_interceptor;
    uint64_t hash;
    int64_t taken_up_ms; /* when its TTL began to count, rounded up (base/clock.h) */
    int64_t sent_ns;     /* the turn in which it was sent (kv_counts.began_ns) */
    struct kv_keyspace_loop *home;
    struct kv_commands *commands; /* the home's */
    struct kv_order *order;       /* its client's; NULL: in no order with others */
    struct kv_list in_client;
    struct kv_link link;       /* in the batch, the free list, or an inbox */
    struct kv_watch *watch;    /* GET of a key that its client subscribes to */
    uint64_t told_before;      /* the watch's count of changes when the GET was submitted */
    uint64_t awaited_revision; /* handed back when the feed has delivered this revision; 0: not
                                  known yet */
    size_t charge;             /* on its order's room, for its value */
    size_t overhead;           /* for itself, with its key, if it has to wait */
    size_t needed; /* GET: the length of its value, if a read could not take it because it was too
                      long; 0: none */
    bool is_unsettled; /* UPDATE, SCAN: admitted, and not finished; counted in its order's n_held */
    bool is_overtaken; /* GET: an earlier one was read again after it, so it has to be read again,
                          too */
    bool is_blind;     /* its client may not read the key: the outcome contains no revision */
    bool is_pinned;    /* GET: the budget counts its item instead of its charge */
    bool key_is_kept;  /* key, argument, note and revisions are copies owned by the command: in
                          `copy`, or in `small` if they are short */
    bool value_is_kept;  /* the same for the value: in `new_value`, or in `small` after them */
    uint16_t small_used; /* bytes */
    struct kv_principal
        *principal;  /* of its client; NULL: it may do everything, or is not needed */
    char *new_value; /* the value's copy, or an interceptor's replacement */
    char *own_refusal;
    char *copy;
    /* Only for kinds whose traits have `has_argument`; for others it is not initialized. */
    struct kv_slice argument; /* UPDATE: the function's; SCAN: the cursor; SUBSCRIBE: the epoch */
    struct kv_subscribe subscribe; /* SUBSCRIBE, UNSUBSCRIBE */

    /* As seen by the store, in lines of the cache of its own; not zeroed at first. */
    _Alignas(KV_CACHE_LINE) struct kv_cmd cmd;
    _Alignas(uint64_t) char small[KV_COMMAND_SMALL];
};

/* Frees a command that has not been sent. Releases its item. */
void kv_command_free(struct kv_command *command);

/* Copies the bytes that the caller lent, unless that has been done. Returns: -1 if there is no
 * memory; then the command can only be finished or freed. */
int kv_command_keep(struct kv_command *command);

/* The same, except for the value, which may be long. */
int kv_command_keep_key(struct kv_command *command);

/* Puts a copy of `value` in place of the value of a SET or UPDATE. For interceptors. Returns: as
 * keep. */
int kv_command_replace_value(struct kv_command *command, struct kv_slice value);

/* Replaces its value with this one, which it takes over. */
void kv_command_take_value(struct kv_command *command, struct kv_buffer *value);

/* Takes over the copy that kv_keyspace_stage() made of the value of a SET. */
void kv_command_take_staged(struct kv_command *command, struct kv_item *staged);

/* Sets the reason why the command is refused: a copy of `reason` (UTF-8), or of its beginning if it
 * is long. For interceptors, before KV_REFUSE. */
void kv_command_refuse(struct kv_command *command, struct kv_slice reason);

/* Moves the item out of a finished command to the caller, who releases it with
 * kv_keyspace_release(). */
struct kv_item kv_command_take_item(struct kv_command *command);

/* The text of a status, for a client. */
const char *kv_command_status_text(int status);

/* For the keyspace's own files. */

void kv_commands_init(struct kv_commands *commands, const struct kv_store_link *store);
void kv_commands_fini(struct kv_commands *commands);

/* A blank command, for this folder; others call kv_command_create(). */
struct kv_command *kv_commands_take(struct kv_commands *commands, struct kv_keyspace_loop *home,
                                    enum kv_command_kind kind);

/* Adds to the number of commands under way. */
static inline void kv_commands_count(struct kv_commands *commands, int change)
{
    kv_counter_add(&commands->under_way, (uint64_t)change);
}

/* Marks an order in which a command may be ready to be handed back or admitted. */
void kv_order_mark_dirty(struct kv_order *order, struct kv_commands *commands);

/* The order's first command waits for the feed; the next turn marks the order dirty again. */
void kv_order_await_feed(struct kv_order *order, struct kv_commands *commands);
void kv_commands_end_waits(struct kv_commands *commands);

/* The command takes several steps: later writes of its client wait until it has finished. */
void kv_command_mark_unsettled(struct kv_command *command);

/* The command will be kept for longer than a turn: its own bytes are charged to its client. */
void kv_command_charge(struct kv_command *command);

/* Charges a GET's client this many bytes for the value that it will find, or has found; replaces
 * its previous charge. An item of a store that completes within submit() belongs to the store, and
 * commands share it: the budget counts it once. The command's item must not change until this is
 * called again. */
void kv_command_charge_read(struct kv_command *command, size_t bytes);

/* The command waits for its turn among its client's commands. */
void kv_command_wait(struct kv_command *command);

/* Sets the outcome; the command is handed back at the end of the turn. */
void kv_command_finish(struct kv_command *command, int status);

/* Whether it is a read of a connection that is gone: its outcome is not needed any more. */
static inline bool kv_command_is_dropped(const struct kv_command *command)
{
    return command->order != NULL && command->order->is_closed && command->traits->is_read &&
           !command->traits->is_write;
}

#endif
