/*
 * The order of one connection's commands; the rules are in client.h. `commands` holds every command
 * that was sent and not yet handed back; those that are held are examined again whenever an earlier
 * one advances.
 */
#include "keyspace/client.h"

#include <stdlib.h>

#include "access/access.h"
#include "base/mem.h"
#include "keyspace/admission.h"
#include "keyspace/precedence.h"

enum {
    FULL_WAIT_MS = 1000 /* the end of a connection cannot be predicted */
};

static void on_memory(struct kv_waiter *waiter)
{
    struct kv_room *room = KV_CONTAINER(waiter, struct kv_room, waiter);
    struct kv_order *order = KV_CONTAINER(room, struct kv_order, room);
    struct kv_client *client = KV_CONTAINER(order, struct kv_client, order);
    kv_order_mark_dirty(order, &client->home->commands);
}

struct kv_client *kv_client_create(struct kv_keyspace_loop *home, void *owner,
                                   const struct kv_subscriber_ops *ops, uint32_t max_subscriptions)
{
    struct kv_client *client = kv_calloc(1, sizeof(*client));
    client->home = home;
    client->owner = owner;
    client->principal = &kv_principal_nobody;
    client->order.address = kv_command_address;
    client->order.room.tally = home->tally;
    kv_subscriber_init(&client->subscriber, ops, home->store, &client->order.room, &home->counts,
                       max_subscriptions);
    kv_waiter_init(&client->order.room.waiter, on_memory);
    kv_list_init(&client->commands);
    return client;
}

static struct kv_client *client_of(const struct kv_command *command)
{
    return KV_CONTAINER(command->order, struct kv_client, order);
}

static void mark_dirty(struct kv_client *client)
{
    kv_order_mark_dirty(&client->order, &client->home->commands);
}

static void drop_watch(struct kv_command *command)
{
    if (command->watch == NULL)
        return;
    kv_watches_let_go(&command->home->watches, command->watch);
    command->watch = NULL;
    client_of(command)->n_barriers--;
}

/* Commands under way no longer need their watches: their answers will be dropped. */
static void drop_watches(struct kv_client *client)
{
    KV_LIST_EACH(&client->commands, link, after)
    drop_watch(KV_CONTAINER(link, struct kv_command, in_client));
}

void kv_client_limit(struct kv_client *client, const size_t *unsent, size_t limit)
{
    kv_room_init(&client->order.room, unsent, limit, client->home->store->is_sync);
}

void kv_client_change_limit(struct kv_client *client, size_t limit)
{
    client->order.room.limit = limit;
    kv_client_make_room(client);
}

void kv_client_change_subscriptions(struct kv_client *client, uint32_t max_subscriptions)
{
    client->subscriber.max_subscriptions = max_subscriptions;
}

void kv_client_make_room(struct kv_client *client)
{
    struct kv_room *room = &client->order.room;
    kv_syncs_make_room(&client->subscriber);
    if (!room->is_awaited || !kv_room_is_open(room))
        return;
    room->is_awaited = false;
    mark_dirty(client);
}

/* ---- its peer ---- */

void kv_client_tell_address(struct kv_client *client, kv_client_address_fn address)
{
    kv_meter_put(client->meter);
    client->meter = NULL;
    client->metered_by = 0;
    client->address = address;
}

bool kv_client_address(const struct kv_client *client, struct kv_address_text *ret)
{
    if (client->address == NULL)
        return false;
    struct kv_address address = client->address(client->owner);
    return kv_address_print(&address, ret->text, sizeof(ret->text));
}

bool kv_command_address(const struct kv_command *command, struct kv_address_text *ret)
{
    return command->order != NULL && !command->order->is_closed &&
           kv_client_address(client_of(command), ret);
}

/* ---- rates ---- */

/* The rules may have begun to meter addresses since the last call. */
static void find_meter(struct kv_client *client)
{
    struct kv_access_loop *access = client->home->access;
    struct kv_address address = {0};
    if (client->metered_by == access->generation)
        return;
    if (client->address != NULL && client->owner != NULL)
        address = client->address(client->owner);
    kv_meter_put(client->meter);
    client->meter = kv_access_meter_at(access, &address);
    client->metered_by = access->generation;
}

static int64_t now_ns(const struct kv_client *client)
{
    return kv_loop_now_ms(client->home->loop) * KV_NS_PER_MS;
}

static bool is_metered(const struct kv_client *client)
{
    return client->home->access != NULL && client->home->access->is_metered;
}

/* principal: whose token has the rate; NULL: the address has it. Returns: false. */
static bool refuse_excess(const struct kv_client *client, const struct kv_principal *principal,
                          const struct kv_excess *excess)
{
    struct kv_address_text address;
    bool has_address = kv_client_address(client, &address);
    const struct kv_denied denied = {principal, has_address ? address.text : NULL};
    kv_denials_log_excess(client->home->access->denials, &denied, excess->why);
    return false;
}

bool kv_client_count_arrival(struct kv_client *client, struct kv_excess *ret)
{
    if (!is_metered(client))
        return true;
    find_meter(client);
    return kv_access_take(client->home->access, KV_METERED_REQUESTS, client->meter, NULL,
                          now_ns(client), ret) ||
           refuse_excess(client, NULL, ret);
}

bool kv_client_count_identified(struct kv_client *client, struct kv_excess *ret)
{
    return !is_metered(client) ||
           kv_access_take(client->home->access, KV_METERED_REQUESTS, NULL, client->principal->meter,
                          now_ns(client), ret) ||
           refuse_excess(client, client->principal, ret);
}

bool kv_client_count_message(struct kv_client *client, struct kv_excess *ret)
{
    return kv_client_count_arrival(client, ret) && kv_client_count_identified(client, ret);
}

/* ---- its principal ---- */

/* Most clients subscribe to nothing. */
static bool has_subscriptions(const struct kv_client *client)
{
    return client->subscriber.n_subscriptions != 0;
}

bool kv_client_may_join(const struct kv_client *client, const struct kv_principal *principal,
                        struct kv_excess *ret)
{
    const struct kv_access_loop *access = client->home->access;
    if (access == NULL || principal->meter == NULL || principal->meter == client->joined)
        return true;
    if (!kv_meter_has_room(principal->meter, access->rules->most_connections)) {
        *ret = (struct kv_excess){"too many connections with this token", FULL_WAIT_MS};
        return refuse_excess(client, principal, ret);
    }
    return kv_access_take(access, KV_METERED_CONNECTIONS, NULL, principal->meter, now_ns(client),
                          ret) ||
           refuse_excess(client, principal, ret);
}

/* From now on the connection counts for another token. */
static void join(struct kv_client *client, struct kv_meter *meter)
{
    if (client->joined == meter)
        return;
    if (client->joined != NULL)
        kv_meter_leave(client->joined);
    if (meter != NULL)
        kv_meter_join(meter);
    client->joined = meter;
}

/* An UNSUBSCRIBE may still wait for earlier commands when the principal changes, but was sent
 * before that: its subscription ends by it, so the peer is not told that the right is missing. */
static void end_unsubscribed(struct kv_client *client)
{
    KV_LIST_EACH(&client->commands, link, after)
    {
        const struct kv_command *command = KV_CONTAINER(link, struct kv_command, in_client);
        if (command->kind == KV_COMMAND_UNSUBSCRIBE && command->state == KV_COMMAND_WAITING &&
            !kv_admission_allows_subscription(client->principal, command->key))
            kv_subscribing_run(command, &client->subscriber, client->principal);
    }
}

void kv_client_identify(struct kv_client *client, struct kv_principal *principal)
{
    struct kv_principal *before = client->principal;
    client->principal = kv_principal_ref(principal);
    join(client, principal->meter);
    if (has_subscriptions(client))
        end_unsubscribed(client);
    kv_subscribing_restrict(client->home, &client->subscriber, principal);
    kv_principal_unref(before);
}

void kv_client_succeed(struct kv_client *client, struct kv_client *before)
{
    join(client, NULL);
    client->joined = before->joined;
    before->joined = NULL;
    kv_client_identify(client, before->principal);
}

void kv_client_close(struct kv_client *client)
{
    client->owner = NULL;
    client->order.is_closed = true;
    client->order.room.unsent = NULL;
    join(client, NULL);
    kv_meter_put(client->meter);
    client->meter = NULL;
    kv_tally_stop_waiting(client->home->tally, &client->order.room.waiter);
    drop_watches(client);
    kv_subscribing_end(client->home, &client->subscriber);
    mark_dirty(client);
}

/* Whether no earlier command is held, and all have other keys: most commands need no closer
 * look. */
static bool is_apart(const struct kv_client *client, const struct kv_command *command)
{
    const struct kv_order *order = &client->order;
    if (order->n_held != 0 || command->kind == KV_COMMAND_SCAN)
        return false;
    return (order->keys & kv_order_key(command->hash)) == 0 ||
           (client->n_barriers == 0 && client->home->store->is_sync);
}

/* Whether it waits for any earlier command. Not inlined, so that other commands cost less. */
__attribute__((noinline)) static bool waits(const struct kv_client *client,
                                            const struct kv_command *command)
{
    for (struct kv_list *link = client->commands.next; link != &command->in_client;
         link = link->next)
        if (kv_precedence_waits(command, KV_CONTAINER(link, struct kv_command, in_client)))
            return true;
    return false;
}

static inline bool may_go(const struct kv_command *command)
{
    const struct kv_client *client = client_of(command);
    if (command->traits->is_about_subscriptions)
        return false; /* only as the first of all: see run_topic_command() */
    return command->traits->is_in_no_order || is_apart(client, command) || !waits(client, command);
}

static bool is_first(const struct kv_command *command)
{
    return client_of(command)->commands.next == &command->in_client;
}

/* Whether its answer is long: a page of values, or the result of an update. */
static bool makes_answer(const struct kv_command *command)
{
    return command->kind == KV_COMMAND_SCAN ||
           (command->kind == KV_COMMAND_UPDATE && !command->update->is_quick);
}

static inline bool needs_room(const struct kv_command *command)
{
    const struct kv_room *room = &command->order->room;
    bool takes_room = command->kind == KV_COMMAND_GET
                          ? !kv_room_takes_as_it_is(room, command->home->store->is_sync, 0)
                          : makes_answer(command);
    return takes_room && room->unsent != NULL;
}

static bool await_room(struct kv_room *room)
{
    room->is_awaited = true;
    return false;
}

/* The first command may use what is left of the budget, and a little in any case: most values are
 * short. Returns: false if the budget has too little left. */
static bool reserve_first(struct kv_command *command)
{
    struct kv_room *room = &command->order->room;
    if (command->home->store->is_sync || command->kind != KV_COMMAND_GET)
        return true;
    size_t bytes = command->needed != 0 ? command->needed : kv_room_of_read(room);
    if (kv_room_charge_first(room, &command->charge, bytes) ||
        (command->needed == 0 && kv_room_charge_first(room, &command->charge, KV_TALLY_FLOOR)))
        return true;
    kv_tally_wait(room->tally, &room->waiter);
    return false;
}

static bool admit_first(struct kv_command *command)
{
    struct kv_room *room = &command->order->room;
    if (!kv_room_is_open(room))
        return await_room(room);
    return may_go(command) && reserve_first(command);
}

static bool admit_later(struct kv_command *command)
{
    struct kv_room *room = &command->order->room;
    size_t bytes = kv_room_of_read(room);
    if (makes_answer(command) || !kv_room_fits(room, bytes))
        return await_room(room);
    if (!may_go(command))
        return false;
    kv_command_charge_read(command, bytes);
    return true;
}

/* Returns: whether the command may go on, and has the room that it needs. */
static inline bool admit(struct kv_command *command)
{
    if (!needs_room(command))
        return may_go(command);
    return is_first(command) ? admit_first(command) : admit_later(command);
}

static bool is_covered(const struct kv_command *command)
{
    return kv_topics_cover(&command->home->topics, &client_of(command)->subscriber, command->key,
                           command->hash);
}

/* Returns: -1 if there is no memory. */
static int watch(struct kv_command *command)
{
    if (command->watch != NULL)
        return 0;
    command->watch = kv_watches_hold(&command->home->watches, command->key, command->hash);
    if (command->watch == NULL)
        return -1;
    client_of(command)->n_barriers++;
    return 0;
}

/* A GET of a client that has subscriptions. */
static void let_in_watched(struct kv_command *command)
{
    if (is_covered(command) && watch(command) != 0)
        kv_command_finish(command, KV_FULL);
    else
        kv_gate_admit(&command->home->gate, command);
}

static void let_in(struct kv_command *command)
{
    if (command->kind == KV_COMMAND_NOTE)
        kv_command_finish(command, KV_OK);
    else if (kv_command_is_dropped(command))
        kv_command_finish(command, KV_NOT_OPEN);
    else if (command->kind == KV_COMMAND_GET && has_subscriptions(client_of(command)))
        let_in_watched(command);
    else
        kv_gate_admit(&command->home->gate, command);
}

static void let_in_judged(struct kv_command *command, int verdict)
{
    if (verdict == KV_OK)
        let_in(command);
    else
        kv_command_finish(command, verdict);
}

/* The command will be judged again when it goes on. */
static void keep_principal(struct kv_command *command)
{
    struct kv_principal *principal = client_of(command)->principal;
    if (command->principal == NULL && !principal->is_unlimited)
        command->principal = kv_principal_ref(principal);
}

/* A held command outlives the bytes that its caller lent. */
static void hold(struct kv_command *command)
{
    if (kv_command_keep(command) != 0) {
        kv_command_finish(command, KV_FULL);
        return;
    }
    keep_principal(command);
    kv_command_charge(command);
    kv_command_wait(command);
    if (command->traits->is_about_subscriptions)
        mark_dirty(client_of(command));
}

/* A request may outlive the rules by which its client was identified. Returns: KV_OK, or the status
 * of a command whose client is no longer identified. */
static int renew(struct kv_client *client)
{
    struct kv_access_loop *access = client->home->access;
    struct kv_principal *principal = client->principal;
    struct kv_error why;
    if (access == NULL || principal->kind == KV_PRINCIPAL_CONSTANT ||
        kv_access_is_current(access, principal))
        return KV_OK;
    struct kv_principal *renewed =
        kv_access_renew(access, principal, kv_access_now_s(access), &why);
    if (renewed == NULL)
        return kv_admission_status_of_invalid(&why);
    kv_client_identify(client, renewed);
    kv_principal_unref(renewed);
    return KV_OK;
}

/* Most servers have no rules. Returns: KV_OK, or the status that ends the command. */
static inline int judge(struct kv_client *client, struct kv_command *command)
{
    if (client->principal->is_unlimited ||
        kv_admission_passes(client->home->access, client->principal, command) ||
        command->traits->is_in_no_order)
        return KV_OK;
    int status = renew(client);
    return status == KV_OK ? kv_admission_judge(client->home->access, client->principal, command)
                           : status;
}

static inline void send(struct kv_client *client, struct kv_command *command)
{
    command->order = &client->order;
    int verdict = judge(client, command);
    kv_list_append(&client->commands, &command->in_client);
    client->n_commands++;
    kv_gate_enter(&client->home->gate, command);
    if (command->new_value != NULL || command->cmd.staged != NULL)
        kv_room_charge(&client->order.room, &command->charge, command->value.len);
    bool may_enter = verdict == KV_OK && admit(command);
    kv_order_note(&client->order, command->hash, command->value.len);
    if (verdict == KV_OK && !may_enter)
        hold(command);
    else
        let_in_judged(command, verdict);
}

/* Where other servers share the store, their changes may be told a while after they were answered.
 * Those that were before the subscription do not belong to it, and one that resumes may know of
 * them: so it waits until they have been told. */
static void catch_up_ahead(struct kv_client *client, const struct kv_command *subscribe)
{
    struct kv_keyspace_loop *here = client->home;
    bool is_shared = kv_store_is_ready(here->store) &&
                     (here->parts->store_capabilities & KV_STORE_CATCHES_UP) != 0;
    if (is_shared && !subscribe->subscribe.has_caught_up)
        send(client, kv_commands_take(&here->commands, here, KV_COMMAND_CATCH_UP));
}

void kv_client_send(struct kv_client *client, struct kv_command *command)
{
    if (command->kind == KV_COMMAND_SUBSCRIBE)
        catch_up_ahead(client, command);
    send(client, command);
}

/* A command that is not finished has copies already: the batch, the gate and all others that let it
 * wait have made them. A finished one may stay for long, behind others or until there is room for
 * its value, and its key is still needed for renewals and rights. Without memory its key is empty,
 * so neither is granted. */
static void keep_finished(struct kv_command *command)
{
    if (kv_command_keep_key(command) == 0)
        return;
    command->key = (struct kv_slice){0};
    command->keeps_deadline = true;
}

void kv_client_keep(struct kv_client *client)
{
    KV_LIST_EACH(&client->commands, link, after)
    {
        struct kv_command *command = KV_CONTAINER(link, struct kv_command, in_client);
        if (command->state == KV_COMMAND_FINISHED)
            keep_finished(command);
    }
}

/* Changes that the feed holds back may be older than the state in the answer, or than the
 * subscription. Returns: whether the command has to wait until they are delivered. */
static bool awaits_feed(struct kv_command *command)
{
    struct kv_feed_inbox *inbox = &command->home->inbox;
    uint64_t oldest = kv_feed_oldest_held(inbox);
    if (oldest == 0)
        return false;
    if (command->awaited_revision == 0)
        command->awaited_revision = kv_feed_newest_held(inbox);
    if (oldest > command->awaited_revision)
        return false;
    kv_order_await_feed(command->order, command->commands);
    return true;
}

/* Subscribes or unsubscribes, as the first of the client's commands: everything before it has been
 * answered, and its own answer precedes the first change. Changes that the feed has delivered
 * already do not belong to the subscription. */
static void run_topic_command(struct kv_command *command)
{
    struct kv_client *client = client_of(command);
    client->order.n_held--;
    command->status = KV_OK;
    command->state = KV_COMMAND_FINISHED;
    if (client->owner == NULL)
        return;
    command->status = kv_subscribing_run(command, &client->subscriber, client->principal);
}

/* If the client was notified, while the GET was under way, of a change newer than the state that
 * was read, the GET is answered with that (see client.h). Returns: false if the key has to be read
 * again, because the deadline of that state has passed, or has been moved. */
static bool catch_up(struct kv_command *command)
{
    const struct kv_watch *watch = command->watch;
    const struct kv_keyspace_loop *here = command->home;
    if (watch->n_told == command->told_before || watch->newest_revision <= command->item.revision)
        return true;
    if (watch->newest.revision != 0 &&
        watch->newest.deadline_ms <= kv_clock_now_ms(here->parts->clock))
        return false;
    bool is_charged = command->charge != 0;
    kv_command_charge_read(command, 0);
    kv_item_release(here->store, &command->item);
    command->item = kv_item_share(here->store, &watch->newest);
    if (is_charged)
        kv_command_charge_read(command, command->item.value.len);
    command->status = command->item.revision != 0 ? KV_OK : KV_MISSING;
    command->revision = command->item.revision;
    return true;
}

/* Reads the first of the client's commands again. Later GETs of the key whose reads were done, or
 * under way, while this one was final would show an older state than its new one: they are read
 * again, too. */
static void read_again(struct kv_command *first)
{
    struct kv_client *client = client_of(first);
    kv_command_charge_read(first, first->home->store->is_sync ? 0 : KV_TALLY_FLOOR);
    kv_item_release(first->home->store, &first->item);
    first->is_overtaken = false;
    KV_LIST_EACH(&client->commands, link, after)
    {
        struct kv_command *later = KV_CONTAINER(link, struct kv_command, in_client);
        if (later != first && later->kind == KV_COMMAND_GET && later->hash == first->hash &&
            !kv_precedence_is_held(later))
            later->is_overtaken = true;
    }
    kv_gate_admit(&first->home->gate, first);
}

static bool is_read(const struct kv_command *command)
{
    return command->kind == KV_COMMAND_GET &&
           (command->status == KV_OK || command->status == KV_MISSING);
}

static void take_out(struct kv_command *command)
{
    struct kv_client *client = client_of(command);
    kv_list_remove(&command->in_client);
    if (--client->n_commands == 0)
        client->order.keys = 0;
    if (command->charge != 0 && command->kind == KV_COMMAND_GET)
        kv_command_charge_read(command, 0);
    else if (command->charge != 0)
        kv_room_charge(&client->order.room, &command->charge, 0);
    if (command->overhead != 0)
        kv_room_charge(&client->order.room, &command->overhead, 0);
    drop_watch(command);
    if (client->owner == NULL)
        command->finished = NULL;
    command->order = NULL;
}

/* A connection that is over its limit gets no values. */
static bool awaits_room(struct kv_client *client, const struct kv_command *finished)
{
    struct kv_room *room = &client->order.room;
    if (finished->item.revision == 0 || kv_room_is_open(room))
        return false;
    room->is_awaited = true;
    return true;
}

static void hand_back_finished(struct kv_client *client)
{
    while (!kv_list_is_empty(&client->commands)) {
        struct kv_command *first =
            KV_CONTAINER(client->commands.next, struct kv_command, in_client);
        if (first->traits->is_about_subscriptions && first->state == KV_COMMAND_WAITING) {
            kv_feed_deliver(&client->home->inbox);
            if (awaits_feed(first) || kv_subscribing_waits(first, &client->subscriber))
                return;
            run_topic_command(first);
        }
        if (first->state != KV_COMMAND_FINISHED || awaits_room(client, first) ||
            (first->watch != NULL && awaits_feed(first)))
            return;
        if (first->watch != NULL && is_read(first)) {
            if (first->is_overtaken || !catch_up(first)) {
                read_again(first);
                return;
            }
            kv_subscriber_show(&client->subscriber, first->key, first->hash, first->item.revision);
        }
        kv_counts_finish(&client->home->counts, first);
        take_out(first);
        kv_gate_leave(&client->home->gate, first);
    }
}

static void let_in_held(struct kv_client *client)
{
    KV_LIST_EACH(&client->commands, link, after)
    {
        if (client->order.n_held == 0)
            return;
        struct kv_command *command = KV_CONTAINER(link, struct kv_command, in_client);
        if (command->state != KV_COMMAND_WAITING ||
            !(kv_command_is_dropped(command) || admit(command)))
            continue;
        client->order.n_held--;
        let_in_judged(command, kv_admission_judge_again(client->home->access, command));
    }
}

void kv_client_advance(struct kv_order *order)
{
    struct kv_client *client = KV_CONTAINER(order, struct kv_client, order);
    order->is_dirty = false;
    hand_back_finished(client);
    let_in_held(client);
    if (client->owner != NULL || client->n_commands != 0 || order->is_dirty || order->awaits_feed)
        return;
    kv_principal_unref(client->principal);
    free(client);
}
