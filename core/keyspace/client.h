/*
 * A client: a connection as seen by the keyspace. It keeps the order of the connection's commands
 * and holds its subscriptions.
 *
 * Order (PROTOCOL A2): a client's commands take effect, and finish, in the order sent.
 *  - A write goes to the store when every earlier write has gone there (stores keep that order).
 *  - A read waits for earlier commands of the same key to be final: reads that a store completes
 *    late take effect in no order, and the second might see an older state than the first.
 *  - A write waits for earlier reads of the same key to be answered, if the store may complete late
 *    or the client subscribes to the key.
 *  - An update reads and writes: it waits as a read and as a write, and later writes wait until it
 *    is final, as it may have to be tried again.
 *  - A scan reads any number of keys: it waits for everything before it to be final, and everything
 *    after it waits for the scan.
 *  - A subscribe or unsubscribe waits for everything before it to be answered, and later commands
 *    of the same key wait for it.
 *
 * A store that completes within submit() (KV_STORE_SYNC) executes a vector in its order, so with
 * such a store most of these waits are unnecessary.
 *
 * No older state after a newer one: the changes of a key reach a subscriber as soon as its loop
 * takes them from the feed. A `get` of a key that the client subscribes to may have been read
 * before changes that the client has been notified of meanwhile. It is answered with the later of
 * the two states: if the client was notified of changes since the get was submitted, and the newest
 * of them is newer than the state that was read, then the state of that change is the answer (it
 * was the key's state at a moment between question and answer). If that state has passed its
 * deadline meanwhile, the key is read again, and so is the key of every later `get` of it that has
 * been read already. As later writes of the client wait until the get is answered, its answer never
 * shows a write sent after it. The feed may still hold back changes of the key that were read, to
 * keep the order among keys: the answer waits for those, and so does a subscribe, which must not be
 * notified of older changes.
 */
#ifndef KV_KEYSPACE_CLIENT_H
#define KV_KEYSPACE_CLIENT_H

#include "access/access.h"
#include "base/mem.h"
#include "keyspace/command.h"
#include "keyspace/subscribing.h"

/* Returns: none if the connection has none. */
typedef struct kv_address (*kv_client_address_fn)(const void *owner);

struct kv_client {
    struct kv_keyspace_loop *home;
    void *owner;                    /* the protocol layer's connection; NULL once it is closed */
    struct kv_principal *principal; /* held; the client acts as this principal */
    struct kv_list commands;        /* sent and not yet handed back, in order */
    kv_client_address_fn address;   /* of its peer; NULL: unknown */
    struct kv_meter *meter;         /* held; of that address; NULL: it is not metered */
    uint64_t metered_by;            /* the generation of the rules that selected `meter` */
    struct kv_meter *joined; /* lent by `principal`, in which this client counts as a connection */
    uint32_t n_commands;
    uint32_t n_barriers; /* GETs, among the commands, of keys that the client subscribes to */
    struct kv_order order;
    struct kv_subscriber subscriber;
};

static inline struct kv_client *kv_subscriber_client(const struct kv_subscriber *subscriber)
{
    return KV_CONTAINER(subscriber, struct kv_client, subscriber);
}

/* The client is anonymous, and may do nothing, until kv_client_identify(). ops: NULL if it never
 * subscribes. Owns: the caller, by kv_client_close(). */
struct kv_client *kv_client_create(struct kv_keyspace_loop *home, void *owner,
                                   const struct kv_subscriber_ops *ops, uint32_t max_subscriptions);

/* The client acts as this principal from now on, and holds a reference to it. Commands that were
 * sent before belong to the previous principal; those that have to wait are judged again by its
 * rights at that time. But a SUBSCRIBE that has not taken effect belongs to the new principal.
 * Subscriptions that the new principal may not have end (on_failed, KV_FORBIDDEN; not called for
 * those that an UNSUBSCRIBE was sent for), and nothing more is sent of the keys that they covered.
 * Not from within a subscriber's calls. */
void kv_client_identify(struct kv_client *client, struct kv_principal *principal);

/* Takes over the principal of the client that its connection had before, and that client's place
 * among the connections of the token, so that no other connection takes the place meanwhile. */
void kv_client_succeed(struct kv_client *client, struct kv_client *before);

/* Whether it may act as this principal, which limits its connections and the rate of new ones.
 * Returns: false and *ret if not. */
bool kv_client_may_join(const struct kv_client *client, const struct kv_principal *principal,
                        struct kv_excess *ret);

/* Sets the function that finds its peer's address; also to report that the address has changed. */
void kv_client_tell_address(struct kv_client *client, kv_client_address_fn address);

/* Count a request: for its address, before its sender is identified, and for its token once that is
 * known. The protocol layers count every request, as most need not become commands; commands are
 * not counted again when they are sent. Return: whether the rate is within the limit; otherwise
 * *ret. */
bool kv_client_count_arrival(struct kv_client *client, struct kv_excess *ret);
bool kv_client_count_identified(struct kv_client *client, struct kv_excess *ret);

/* Counts a message of an identified client for both. */
bool kv_client_count_message(struct kv_client *client, struct kv_excess *ret);

/* The address of the client's peer, and of the peer that sent a command. Return: false if it is not
 * known. */
bool kv_client_address(const struct kv_client *client, struct kv_address_text *ret);
bool kv_command_address(const struct kv_command *command, struct kv_address_text *ret);

/* Limits the bytes that values of its commands hold (room.h). unsent: lent until the client is
 * closed. Call before its first command. */
void kv_client_limit(struct kv_client *client, const size_t *unsent, size_t limit);

/* Changes the limit of kv_client_limit(). Commands in progress keep their reservations. */
void kv_client_change_limit(struct kv_client *client, size_t limit);

/* Changes how many subscriptions it may have; existing ones stay. */
void kv_client_change_subscriptions(struct kv_client *client, uint32_t max_subscriptions);

/* From now on the client is told revisions to resume from, for all its subscriptions. */
static inline void kv_client_let_resume(struct kv_client *client)
{
    kv_subscribing_let_resume(client->home, &client->subscriber);
}

/* Sends states of the backlog, as far as there is room. */
static inline void kv_client_catch_up(struct kv_client *client)
{
    kv_subscriber_catch_up(&client->subscriber);
}

/* Whether the backlog has more states. */
static inline bool kv_client_is_behind(const struct kv_client *client)
{
    return kv_subscriber_is_behind(&client->subscriber);
}

/* The bytes that its connection holds: unsent, charged, and in the backlog. */
static inline size_t kv_client_holds(const struct kv_client *client)
{
    return kv_room_used(&client->order.room) + client->subscriber.behind.bytes;
}

/* Whether its limit of bytes allows taking more commands from the connection. */
static inline bool kv_client_takes_more(const struct kv_client *client)
{
    return kv_room_takes_more(&client->order.room);
}

/* The connection has fewer unsent bytes: continues, in the next turn, with work that waited for
 * room. */
void kv_client_make_room(struct kv_client *client);

/* The connection is gone: its subscriptions end. Writes that it sent still take effect, in order;
 * reads that have not begun, and scans, are dropped. `finished` is not called any more. Not from
 * within `finished`. */
void kv_client_close(struct kv_client *client);

/* Sends a command, in the client's order. Takes the command over. */
void kv_client_send(struct kv_client *client, struct kv_command *command);

/* The bytes lent to its commands are about to be freed: commands in progress copy theirs. Layers
 * that lend bytes call it at the end of each turn. */
void kv_client_keep(struct kv_client *client);

/* For the keyspace's own files: hands back finished commands, in order, and admits the commands
 * that waited for them. Frees the client if it was closed and nothing is under way. */
void kv_client_advance(struct kv_order *order);

#endif
