/*
 * Commands: what a connection asks of the keyspace. The protocol layers make them out of their
 * messages, and get each back once, finished, by its `finished` function, on the same loop.
 */
#ifndef KV_KEYSPACE_COMMAND_H
#define KV_KEYSPACE_COMMAND_H

#include <kvserver/store.h>

#include "base/list.h"
#include "keyspace/item.h"

struct kv_command;
struct kv_keyspace_loop;
struct kv_subscription;

enum kv_command_kind {
    KV_COMMAND_GET,
    KV_COMMAND_SET,
    KV_COMMAND_DELETE,
    KV_COMMAND_TOUCH, /* the keyspace's own: a deadline that a policy renewed */
    KV_COMMAND_SUBSCRIBE,
    KV_COMMAND_UNSUBSCRIBE,
    KV_COMMAND_NOTE, /* does nothing but keep its place in the order of the answers */
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
    KV_TOO_MANY_TOPICS, /* SUBSCRIBE beyond the client's limit */
    KV_UNAVAILABLE,     /* the keyspace is not open yet, or is closing */
};

/* Runs on the command's loop, never from within the call that sent it. The command is freed when
 * it returns; kv_command_take_item() keeps what a GET found. It may send commands, and must not
 * close a client. */
typedef void (*kv_command_finished_fn)(struct kv_command *command);

/* The order that a client's commands stand in, as far as a command itself changes it (client.h). */
struct kv_order {
    uint32_t n_held;         /* of the client's commands: WAITING or SUSPENDED */
    bool is_dirty;           /* there may be a command to hand back, or to let in */
    struct kv_link in_dirty; /* in the loop's list of those */
};

/* The commands of one loop. */
struct kv_commands {
    const struct kv_store_link *store;
    struct kv_link *free; /* for reuse */
    uint32_t n_free;
    struct kv_queue finished;   /* of no client, to be handed back */
    struct kv_queue dirty;      /* orders */
    _Atomic uint64_t under_way; /* sent, and not handed back; written by this loop alone */
};

enum {
    KV_COMMAND_SMALL = 160
};

struct kv_command {
    /* The caller's, before it is sent. The bytes of key, value and note, and the list of
     * revisions, must stay as they are until the end of the loop's turn, or until
     * kv_keyspace_submit_now() returns; the keyspace copies what it needs for longer. */
    enum kv_command_kind kind;
    struct kv_slice key;
    struct kv_slice value; /* SET: JSON text */
    struct kv_slice note;  /* the protocol layer's own: kept with the command */
    uint32_t cond;         /* enum kv_cond */
    const uint64_t *if_revisions;
    size_t n_if_revisions;
    uint64_t if_revision; /* room for a list of one: `if_revisions` may point here */
    bool ttl_is_given;
    int64_t ttl_ms; /* SET: 0 is no expiry */
    bool is_load;   /* SET: a loader's (struct kv_loader) */
    uint32_t depth; /* of hooks that led to it; 0: a client asked. A hook's write is not held back:
                       others may be held until it is done */
    void *owner;    /* the protocol layer's own */
    kv_command_finished_fn finished; /* NULL: nobody asks */

    /* The outcome. */
    int status; /* enum kv_status or enum kv_command_status */
    uint64_t revision;
    struct kv_item item; /* GET with KV_OK */
    const char *refusal; /* KV_REFUSED: constant, or the command's own (kv_command_refuse) */

    /* The keyspace's. */
    enum kv_command_state state;
    struct kv_cmd cmd; /* as the store sees it */
    uint64_t hash;
    int64_t taken_up_ms; /* when its TTL began to count, rounded up (base/clock.h) */
    struct kv_keyspace_loop *home;
    struct kv_commands *commands; /* the home's */
    struct kv_order *order;       /* its client's; NULL: in no order with others */
    struct kv_list in_client;
    struct kv_link link;                  /* in the batch, the free list, or an inbox */
    struct kv_subscription *subscription; /* GET of a key that its client subscribes to */
    uint64_t told_before; /* that topic's count of changes when the GET was submitted */
    size_t next_interceptor;
    bool is_barrier;   /* counted in its client's n_barriers */
    bool is_overtaken; /* GET: one ahead of it was read again after it, so it has to be, too */
    char *new_value;   /* the value's copy, or what an interceptor put in its place */
    char *own_refusal;
    bool key_is_kept;   /* key, note and revisions are the command's own: */
    char *copy;         /* here, or in `small` where they are short */
    bool value_is_kept; /* and so is the value, in `new_value`, or in `small` behind them */
    size_t small_used;
    _Alignas(uint64_t) char small[KV_COMMAND_SMALL]; /* last: not zeroed */
};

/* Only for a command that is not sent. Releases its item. */
void kv_command_free(struct kv_command *command);

/* Copies the bytes that the caller lent, if that has not been done. Returns: -1 where there is no
 * memory for it; the command is good for nothing but to be finished or freed then. */
int kv_command_keep(struct kv_command *command);

/* The same for all but the value, which may be long. */
int kv_command_keep_key(struct kv_command *command);

/* Puts a copy of `value` in place of the value of a SET. For interceptors. Returns: as keep. */
int kv_command_replace_value(struct kv_command *command, struct kv_slice value);

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

/* One more, or one less, is under way. */
void kv_commands_count(struct kv_commands *commands, int change);

/* There may be something to hand back or to let in of this order. */
void kv_order_mark_dirty(struct kv_order *order, struct kv_commands *commands);

/* The outcome is known; the end of the turn hands the command back. */
void kv_command_finish(struct kv_command *command, int status);

static inline bool kv_command_is_write(const struct kv_command *command)
{
    return command->kind == KV_COMMAND_SET || command->kind == KV_COMMAND_DELETE ||
           command->kind == KV_COMMAND_TOUCH;
}

#endif
