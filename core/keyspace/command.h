/*
 * Commands: what a connection asks of the keyspace. The protocol layers make them out of their
 * messages, and get each back once, finished, by its `finished` function, on the same loop.
 */
#ifndef KV_KEYSPACE_COMMAND_H
#define KV_KEYSPACE_COMMAND_H

#include <kvserver/store.h>

#include "access/principal.h"
#include "base/buffer.h"
#include "base/list.h"
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
    KV_COMMAND_TOUCH,  /* the keyspace's own: a deadline that a policy renewed. Clients' are UPDATEs
                        */
    KV_COMMAND_UPDATE, /* sets the result of a function of the old value: see struct kv_update */
    KV_COMMAND_SCAN,   /* a page of keys: see struct kv_page */
    KV_COMMAND_SUBSCRIBE,
    KV_COMMAND_UNSUBSCRIBE,
    KV_COMMAND_NOTE, /* does nothing but keep its place in the order of the answers */
    KV_N_COMMAND_KINDS
};

/* The properties of a kind. */
struct kv_command_traits {
    const char *name;
    enum kv_op op; /* as it goes to the store, in a batch; 0: not at all, or in several steps */
    bool has_key;
    bool is_read;        /* its outcome tells of stored state */
    bool is_write;       /* it may change stored state */
    bool is_intercepted; /* interceptors see it, and it waits while writes are held back */
    bool has_ttl;        /* its TTL counts from the moment it was sent */
    bool has_steps;      /* and a struct of its own: an UPDATE or a SCAN */
    bool has_argument;
    bool is_about_subscriptions;
};

enum kv_command_state {
    KV_COMMAND_NEW,       /* the caller fills it in */
    KV_COMMAND_WAITING,   /* for its turn among its client's commands */
    KV_COMMAND_SUSPENDED, /* an interceptor will resume it */
    KV_COMMAND_BATCHED,   /* goes to the store at the end of the loop's turn */
    KV_COMMAND_SUBMITTED, /* the store has it */
    KV_COMMAND_FINISHED,
};

/* How a command ended, besides what the store says (enum kv_status). */
enum kv_command_status {
    KV_REFUSED = 100,   /* an interceptor: `refusal` says why */
    KV_TOO_MANY_TOPICS, /* SUBSCRIBE beyond the client's limit, */
    KV_CROWDED,         /* or beyond what the memory of all connections has room for */
    KV_INAPPLICABLE, /* UPDATE: its function does not apply to the old value; SCAN: the store cannot
                        do it; `refusal` says why */
    KV_CONTENDED,    /* UPDATE: at each try somebody else wrote the key meanwhile */
    KV_BAD_CURSOR,   /* SCAN */
    KV_FORBIDDEN,    /* its client's principal has not the right; `refusal` may say more */
    KV_UNIDENTIFIED, /* the same, where the client has not said who it is */
    KV_EXPIRED,      /* the same, where what the client said is no longer valid */
    KV_NOT_OPEN,     /* the keyspace is not open yet, or is closing */
};

/* Runs on the command's loop, never from within the call that sent it. The command is freed when
 * it returns; kv_command_take_item() keeps what a GET found. It may send commands, and must not
 * close a client. */
typedef void (*kv_command_finished_fn)(struct kv_command *command);

/* The order that a client's commands stand in, as far as a command itself changes it (client.h). */
struct kv_order {
    uint32_t n_held;         /* of the client's commands: WAITING, SUSPENDED, or `is_unsettled`; one
                                that is both counts twice */
    bool is_closed;          /* the connection is gone: outcomes are dropped */
    bool is_dirty;           /* there may be a command to hand back, or to let in */
    struct kv_link in_dirty; /* in the loop's list of those */
    bool awaits_feed;        /* its first command waits for changes that the feed holds back */
    struct kv_link in_awaiting;
    struct kv_room room; /* for the values of its GETs */
    uint64_t keys;       /* kv_order_key() of the commands that were sent since none was under way;
                            all bits where a long write is among them, which concerns every write */
};

/* A key as one bit: those of two keys may be the same. */
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
    struct kv_queue finished;   /* of no client, to be handed back */
    struct kv_queue dirty;      /* orders */
    struct kv_queue awaiting;   /* orders that wait for the feed */
    _Atomic uint64_t under_way; /* sent, and not handed back; written by this loop alone */
};

/* An UPDATE's function of the old value. Pure, once for each try; it must alter nothing of the
 * command except `refusal`, and that to a constant text. Threads: any, also at the store's commit
 * point, under its locks, unless the old value or the argument is long (KV_WORKERS_LONG_TEXT).
 * old: revision 0 where the key is missing. out: empty; takes the new value, a JSON text.
 * Returns: KV_OK; or the status that the command is to end with, and nothing changes. */
typedef int (*kv_compute_fn)(struct kv_command *command, const struct kv_item *old,
                             struct kv_buffer *out);

enum kv_update_step {
    KV_UPDATE_AT_ONCE, /* the store computes the result at its commit point, or only touches */
    KV_UPDATE_READ,    /* the store is asked for the old state */
    KV_UPDATE_SET,     /* the store is asked to set the result, if that state still stands */
};

/* What an UPDATE has besides (update.h).
 * TTL: a key that the update creates gets the command's, as with a SET. A key that is there keeps
 * its deadline, and no policy is asked, unless `sets_ttl` or an interceptor gives it another TTL.
 */
struct kv_update {
    kv_compute_fn compute; /* NULL: it only sets the TTL of a key that is there (KV_MISSING where
                              there is none); `value` at the end is of no use then */
    bool is_quick;         /* `compute` takes no longer for a long value than for a short one */
    bool is_own;           /* the server's: no interceptor and no policy sees it, and the command's
                              TTL, 0 for none left, is for a key that is there, too */
    bool sets_ttl;         /* the command's TTL is for a key that is there, too */
    bool deletes;          /* where `compute` gives KV_OK, the key is deleted */
    int64_t number;        /* the function's */
    size_t max_bytes;      /* of the result, beyond which the command ends with KV_TOO_BIG; 0: no
                              limit */

    /* The keyspace's. */
    struct kv_command *command;
    struct kv_updates *updates;
    enum kv_update_step step;
    bool is_at_once; /* as far as known: it is to begin with that step */
    bool keeps_deadline;
    uint64_t old_revision; /* 0: the key was missing */
    int64_t old_deadline_ms;
    int64_t kept_ttl_ms; /* as interceptors were shown it */
    bool ttl_is_given;   /* as the caller said */
    int64_t ttl_ms;
    uint32_t n_tries;
    int computed;                /* what `compute` returned last */
    struct kv_buffer result;     /* of `compute` */
    struct kv_item staged;       /* a copy of a long result, made by a worker */
    struct kv_item old;          /* while a worker computes */
    struct kv_list in_computing; /* the same */
    struct kv_job job;
    struct kv_update_lane *lane; /* NULL: it waits for no other, and none for it */
};

enum {
    KV_PAGE_MOST_KEYS = 10000, /* `max_keys` is 1 to that */
    KV_STORE_PAGE = 64         /* keys that the store is asked for at a time */
};

/* What a SCAN has besides. Its `key` is the prefix of the keys that are wanted, its `argument` the
 * cursor: empty for the beginning, or `cursor` of an earlier page of the same prefix and delimiter.
 * A page may have fewer keys than asked for, or none, and yet be followed by others. A key that is
 * there during the whole walk comes at least once. Each key's state is that of a moment between
 * question and answer; no key in a page is past its deadline.
 *
 * Its `value` is the delimiter, empty for none: keys that have it behind the prefix are folded into
 * what they begin with, up to the delimiter, each once over the whole walk. It takes a store that
 * seeks (KV_STORE_SEEKS); with others the command ends with KV_INAPPLICABLE. */
struct kv_page {
    uint32_t max_keys;  /* folded prefixes count as well */
    uint64_t max_bytes; /* of keys, values if they are wanted, and 64 for each; one key at least.
                           Less where the memory of all connections is about to be used up */
    bool wants_values;
    bool wants_count; /* nothing but `count`, of all keys of the walk, however many there are */
    const struct kv_prefixes *within; /* only keys that these cover; NULL: all. Admission sets it */

    /* The outcome, with KV_OK. The command's: its entries are released with it. */
    struct kv_scan_entry *entries; /* in the store's order: by key with KV_STORE_ORDERED */
    uint32_t n;
    struct kv_scan_entry *prefixes; /* the folded ones: of each entry `key` alone counts */
    uint32_t n_prefixes;
    uint64_t count;
    struct kv_buffer cursor; /* empty: the walk is complete */

    /* The keyspace's. */
    struct kv_command *command;
    size_t range;        /* of `within`: the prefix that is being walked */
    struct kv_link link; /* among those that are ready, or done */
    uint32_t capacity;
    uint32_t prefix_capacity;
    uint64_t bytes;
    struct kv_charge charge; /* for them */
    uint32_t n_store_pages;  /* that may have brought nothing */
    struct kv_slice last;    /* the last key or folded prefix that was taken */
    bool last_is_prefix;
    bool has_jumped;         /* over the rest of the keys with that prefix */
    struct kv_slice skip_to; /* the last key of this page of the store that came before */
    bool skips;
    struct kv_buffer start; /* bytes of scan.start */
    void *cursor_ref;       /* keeps scan.cursor alive */
    struct kv_scan scan;
    struct kv_scan_entry found[KV_STORE_PAGE];
};

/* What a SUBSCRIBE asks for besides; its `key` may be a prefix, as may that of an UNSUBSCRIBE. */
struct kv_subscribe {
    bool is_prefix;  /* of all keys that begin with `key` */
    bool wants_meta; /* changes are to be told with their revisions and the like */
    bool initial;    /* SUBSCRIBE: begins with the present state; */
    bool has_since;  /* or rather continues after this revision of the epoch `argument` */
    uint64_t since;
};

enum {
    KV_COMMAND_SMALL = 160
};

struct kv_command {
    /* The caller's, before it is sent. The bytes of key, value, argument and note, and the list of
     * revisions, must stay as they are until the end of the loop's turn, or until
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
    uint16_t depth; /* of hooks that led to it; 0: a client asked. A hook's write is not held back:
                       others may be held until it is done */
    const char *script;       /* that sends it, and lives as long; NULL: a client, or the server */
    struct kv_update *update; /* UPDATE: made and freed with the command, */
    struct kv_page *page;     /* and SCAN */
    void *owner;              /* the protocol layer's own */
    kv_command_finished_fn finished; /* NULL: the outcome is not needed */

    /* The outcome. */
    int status;         /* enum kv_status or enum kv_command_status */
    int refusal_status; /* KV_REFUSED: of HTTP; 0: the usual one */
    uint64_t revision;
    struct kv_item item;    /* GET with KV_OK */
    int64_t retry_after_ms; /* KV_REFUSED: when it may be tried again; 0: that is not known */
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
    uint64_t awaited_revision; /* handed back when the feed has delivered this; 0: not known yet */
    size_t charge;             /* of its order's room, for its value; */
    size_t overhead;           /* and for itself, with its key, where it has to wait */
    size_t needed; /* GET: the length of its value, as a read found that was too small; 0: none */
    bool is_unsettled; /* UPDATE, SCAN: admitted, and not finished; counted in its order's n_held */
    bool is_overtaken; /* GET: one ahead of it was read again after it, so it has to be, too */
    bool is_blind;     /* its client may not read the key: it is told no revision */
    bool is_pinned;    /* GET: the budget counts its item, and not its charge */
    bool key_is_kept;  /* key, argument, note and revisions are the command's own: in `copy`, or in
                          `small` where they are short */
    bool value_is_kept;  /* and so is the value, in `new_value`, or in `small` behind them */
    uint16_t small_used; /* bytes */
    struct kv_principal
        *principal;  /* of its client; NULL: it may do everything, or is not needed */
    char *new_value; /* the value's copy, or what an interceptor put in its place */
    char *own_refusal;
    char *copy;
    /* Only of kinds whose traits say `has_argument`; of others it is not even zero. */
    struct kv_slice argument; /* UPDATE: the function's; SCAN: the cursor; SUBSCRIBE: the epoch */
    struct kv_subscribe subscribe; /* SUBSCRIBE, UNSUBSCRIBE */

    struct kv_cmd cmd; /* as the store sees it; it is not zeroed at first */
    _Alignas(uint64_t) char small[KV_COMMAND_SMALL];
};

/* Only for a command that is not sent. Releases its item. */
void kv_command_free(struct kv_command *command);

/* Copies the bytes that the caller lent, if that has not been done. Returns: -1 where there is no
 * memory for it; the command is good for nothing but to be finished or freed then. */
int kv_command_keep(struct kv_command *command);

/* The same for all but the value, which may be long. */
int kv_command_keep_key(struct kv_command *command);

/* Puts a copy of `value` in place of the value of a SET or UPDATE. For interceptors. Returns: as
 * keep. */
int kv_command_replace_value(struct kv_command *command, struct kv_slice value);

/* Takes a value over in place of what it has. */
void kv_command_take_value(struct kv_command *command, struct kv_buffer *value);

/* Takes over what kv_keyspace_stage() made of the value of a SET; it has a copy then. */
void kv_command_take_staged(struct kv_command *command, struct kv_item *staged);

/* Says why the command is refused: a copy of `reason` (UTF-8), or of its beginning where it is
 * long. For interceptors, before KV_REFUSE. */
void kv_command_refuse(struct kv_command *command, struct kv_slice reason);

/* Moves the item out of a finished command to the caller, who releases it with
 * kv_keyspace_release(). */
struct kv_item kv_command_take_item(struct kv_command *command);

/* The text of a status, for a client. */
const char *kv_command_status_text(int status);

/* For the keyspace's own files. */

void kv_commands_init(struct kv_commands *commands, const struct kv_store_link *store);
void kv_commands_fini(struct kv_commands *commands);

/* A blank command (kv_command_create() is for everybody else). */
struct kv_command *kv_commands_take(struct kv_commands *commands, struct kv_keyspace_loop *home,
                                    enum kv_command_kind kind);

/* One more, or one less, is under way. Without an atomic addition: others only read the number. */
static inline void kv_commands_count(struct kv_commands *commands, int change)
{
    uint64_t before = atomic_load_explicit(&commands->under_way, memory_order_relaxed);
    atomic_store_explicit(&commands->under_way, before + (uint64_t)change, memory_order_relaxed);
}

/* There may be something to hand back or to let in of this order. */
void kv_order_mark_dirty(struct kv_order *order, struct kv_commands *commands);

/* The order's first command waits for the feed; it is dirty again in the next turn. */
void kv_order_await_feed(struct kv_order *order, struct kv_commands *commands);
void kv_commands_end_waits(struct kv_commands *commands);

/* It takes several steps, and later writes of its client wait until it has finished. */
void kv_command_mark_unsettled(struct kv_command *command);

/* It will be kept for longer than a turn: its own bytes are charged to its client. */
void kv_command_charge(struct kv_command *command);

/* Charges a GET's client so many bytes for what it is to find, or has found, in place of what they
 * are now. An item of a store that completes within submit() is the store's own, which commands
 * share: the budget counts it once. Its item must stay as it is until this is called again. */
void kv_command_charge_read(struct kv_command *command, size_t bytes);

/* It waits for its turn among its client's commands. */
void kv_command_wait(struct kv_command *command);

/* The outcome is known; the end of the turn hands the command back. */
void kv_command_finish(struct kv_command *command, int status);

/* Whether it is a read of a connection that is gone: nobody wants the outcome any more. */
static inline bool kv_command_is_dropped(const struct kv_command *command)
{
    return command->order != NULL && command->order->is_closed && command->traits->is_read &&
           !command->traits->is_write;
}

#endif
