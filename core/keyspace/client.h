/*
 * A client: a connection as the keyspace sees it. It keeps the order of the connection's commands
 * and holds its subscriptions.
 *
 * Order (PROTOCOL A2): a client's commands take effect, and finish, in the order sent.
 *  - A write goes to the store when every earlier write has gone there (stores keep that order).
 *  - A read waits for earlier commands of the same key to be final: reads that a store completes
 *    late take effect in no order, and the second might see an older state than the first.
 *  - A write waits for earlier reads of the same key to be answered, where the store may complete
 *    late or the client subscribes to the key.
 *  - An update reads and writes: it waits for what either would wait for, and later writes wait
 *    until it is final, as it may have to be tried again.
 *  - A scan reads any number of keys: it waits for everything before it to be final, and everything
 *    after it waits for it.
 *  - A subscribe or unsubscribe waits for everything before it to be answered, and what comes
 *    after it with the same key waits for it.
 * A store that completes within submit() (KV_STORE_SYNC) executes a vector in its order, so most
 * of these waits fall away there.
 *
 * No older state after a newer one: the changes of a key reach a subscriber the moment its loop
 * takes them from the feed. A `get` of a key that the client subscribes to may have been read
 * before changes that were told meanwhile. It is answered as of the later of the two: if changes
 * were told since it was submitted, and the newest of them is newer than what was read, then that
 * change's state is the answer (it was the key's state at a moment between question and answer).
 * Where that state has passed its deadline meanwhile, it is read again, and with it every later
 * `get` of the key that has been read already.
 * As later writes of the client wait until it is answered, it never shows a write sent after it.
 * Changes of the key that were read may still be held back by the feed, for the order among keys:
 * the answer waits for those, and so does a subscribe, which must not be told of older ones.
 */
#ifndef KV_KEYSPACE_CLIENT_H
#define KV_KEYSPACE_CLIENT_H

#include "access/access.h"
#include "base/mem.h"
#include "keyspace/command.h"
#include "keyspace/subscribing.h"

/* An address of a peer, as hooks see it. */
struct kv_address_text {
    char text[64];
};

/* Returns: none where the connection has none. */
typedef struct kv_address (*kv_client_address_fn)(const void *owner);

struct kv_client {
    struct kv_keyspace_loop *home;
    void *owner;                    /* the protocol layer's connection; NULL once it is closed */
    struct kv_principal *principal; /* held; as whom it acts */
    struct kv_list commands;        /* sent and not yet handed back, in order */
    kv_client_address_fn address;   /* of its peer; NULL: nobody knows */
    struct kv_meter *meter;         /* held; of that address; NULL: it is not metered */
    uint64_t metered_by;            /* the generation of the rules by which that was found */
    struct kv_meter *joined;        /* lent by `principal`: it counts as a connection of that */
    uint32_t n_commands;
    uint32_t n_barriers; /* of these: GETs of keys that the client subscribes to */
    struct kv_order order;
    struct kv_subscriber subscriber;
};

static inline struct kv_client *kv_subscriber_client(const struct kv_subscriber *subscriber)
{
    return KV_CONTAINER(subscriber, struct kv_client, subscriber);
}

/* It is nobody, and may do nothing, until kv_client_identify(). ops: NULL for one that never
 * subscribes. Owns: the caller, by kv_client_close(). */
struct kv_client *kv_client_create(struct kv_keyspace_loop *home, void *owner,
                                   const struct kv_subscriber_ops *ops, uint32_t max_subscriptions);

/* It acts as this principal from now on, which it holds. Commands that it has sent are those of the
 * principal before, and are judged again by what that may do then where they have to wait; but a
 * SUBSCRIBE that has not taken effect is this one's. Subscriptions that the principal may not have
 * end (on_failed, KV_FORBIDDEN), and nothing more is sent of what they covered. Not from within a
 * subscriber's calls. */
void kv_client_identify(struct kv_client *client, struct kv_principal *principal);

/* Whether it may act as this principal: whether that has no more connections, and no more new ones,
 * than it may. Returns: false and *ret. */
bool kv_client_may_join(const struct kv_client *client, const struct kv_principal *principal,
                        struct kv_excess *ret);

/* Says how to find the address of its peer, or that the address is another one now. */
void kv_client_tell_address(struct kv_client *client, kv_client_address_fn address);

/* Count a request for its address, before it is known who asks, and for its token when that is
 * known. The protocol layers count whatever arrives, as most of it need not become a command; what
 * is sent below is not counted again. Return: whether it does not ask too often; otherwise *ret. */
bool kv_client_count_arrival(struct kv_client *client, struct kv_excess *ret);
bool kv_client_count_identified(struct kv_client *client, struct kv_excess *ret);

/* Both, for a message of a client that is identified already. */
bool kv_client_count_message(struct kv_client *client, struct kv_excess *ret);

/* The address of its peer, and of that which sent a command. Return: false where it is not known.
 */
bool kv_client_address(const struct kv_client *client, struct kv_address_text *ret);
bool kv_command_address(const struct kv_command *command, struct kv_address_text *ret);

/* Limits what the values of its commands hold (room.h). unsent: lent until it is closed. Before its
 * first command. */
void kv_client_limit(struct kv_client *client, const size_t *unsent, size_t limit);

/* Changes that limit. Commands in progress keep what they have reserved. */
void kv_client_change_limit(struct kv_client *client, size_t limit);

/* Changes how many subscriptions it may have; existing ones stay. */
void kv_client_change_subscriptions(struct kv_client *client, uint32_t max_subscriptions);

/* Whatever it subscribes to, it is told revisions to resume from. */
static inline void kv_client_let_resume(struct kv_client *client)
{
    kv_subscribing_let_resume(client->home, &client->subscriber);
}

/* Sends states that are behind, as far as there is room. */
static inline void kv_client_catch_up(struct kv_client *client)
{
    kv_subscriber_catch_up(&client->subscriber);
}

/* Whether there is more of them. */
static inline bool kv_client_is_behind(const struct kv_client *client)
{
    return kv_subscriber_is_behind(&client->subscriber);
}

/* The bytes that its connection holds: unsent, charged, and behind. */
static inline size_t kv_client_holds(const struct kv_client *client)
{
    return kv_room_used(&client->order.room) + client->subscriber.behind.bytes;
}

/* Whether more commands may be taken from the connection, as far as their bytes are concerned. */
static inline bool kv_client_takes_more(const struct kv_client *client)
{
    return kv_room_takes_more(&client->order.room);
}

/* Fewer bytes are unsent now: goes on with what waited for that, in the next turn. */
void kv_client_make_room(struct kv_client *client);

/* The connection is gone: its subscriptions end, the writes that it sent still take effect, in
 * order, and reads that have not begun, or are scans, are dropped. No `finished` is called any
 * more. Not from within `finished`. */
void kv_client_close(struct kv_client *client);

/* Sends a command, in the client's order. Takes the command over. */
void kv_client_send(struct kv_client *client, struct kv_command *command);

/* The bytes lent to its commands are about to be freed: commands in progress copy theirs. Layers
 * that lend bytes call it at the end of each turn. */
void kv_client_keep(struct kv_client *client);

/* For the keyspace's own files: hands back what is finished, in order, and lets in the commands
 * that waited for it. The client is gone after that, if it was closed and nothing is under way. */
void kv_client_advance(struct kv_order *order);

#endif
