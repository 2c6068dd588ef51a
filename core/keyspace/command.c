/*
 * The memory of commands, and the lists of finished ones. A loop keeps some commands for reuse. A
 * command borrows the caller's bytes until kv_command_keep() copies them, all in one block: most
 * commands finish within their turn and are never copied.
 */
#include "keyspace/command.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

enum {
    MOST_FREE_COMMANDS = 1024,
    LONGEST_REFUSAL = 1024
};

static const struct kv_command_traits traits_of[KV_N_COMMAND_KINDS] = {
    [KV_COMMAND_GET] = {.name = "get", .op = KV_OP_GET, .has_key = true, .is_read = true},
    [KV_COMMAND_SET] = {.name = "set",
                        .op = KV_OP_SET,
                        .has_key = true,
                        .is_write = true,
                        .is_intercepted = true,
                        .has_ttl = true},
    [KV_COMMAND_DELETE] = {.name = "delete",
                           .op = KV_OP_DELETE,
                           .has_key = true,
                           .is_write = true,
                           .is_intercepted = true},
    [KV_COMMAND_TOUCH] = {.name = "touch", .op = KV_OP_TOUCH, .has_key = true, .is_write = true},
    [KV_COMMAND_UPDATE] = {.name = "update",
                           .has_key = true,
                           .is_read = true,
                           .is_write = true,
                           .is_intercepted = true,
                           .has_ttl = true,
                           .has_argument = true,
                           .has_steps = true},
    [KV_COMMAND_SCAN] = {.name = "list", .is_read = true, .has_argument = true, .has_steps = true},
    [KV_COMMAND_SUBSCRIBE] = {.name = "subscribe to",
                              .has_key = true,
                              .has_argument = true,
                              .is_about_subscriptions = true},
    [KV_COMMAND_UNSUBSCRIBE] = {.name = "unsubscribe from",
                                .has_key = true,
                                .has_argument = true,
                                .is_about_subscriptions = true},
    [KV_COMMAND_NOTE] = {.name = "note", .is_in_no_order = true},
    [KV_COMMAND_CATCH_UP] = {.name = "catch up", .op = KV_OP_CATCH_UP, .is_in_no_order = true},
};

void kv_commands_init(struct kv_commands *commands, const struct kv_store_link *store)
{
    *commands = (struct kv_commands){.store = store};
    kv_queue_init(&commands->finished);
    kv_queue_init(&commands->dirty);
    kv_queue_init(&commands->awaiting);
}

void kv_commands_fini(struct kv_commands *commands)
{
    while (commands->free != NULL) {
        struct kv_command *command = KV_CONTAINER(commands->free, struct kv_command, link);
        commands->free = command->link.next;
        free(command);
    }
}

static struct kv_page *create_page(struct kv_command *command)
{
    struct kv_page *page = kv_calloc(1, sizeof(*page));
    page->command = command;
    return page;
}

/* Adds the struct of its kind. Not inlined, for the sake of all other kinds. */
__attribute__((noinline)) static void add_parts(struct kv_command *command)
{
    command->argument = (struct kv_slice){0};
    command->subscribe = (struct kv_subscribe){0};
    if (command->kind == KV_COMMAND_UPDATE) {
        command->update = kv_calloc(1, sizeof(*command->update));
        kv_list_init(&command->update->in_computing);
    } else if (command->kind == KV_COMMAND_SCAN) {
        command->page = create_page(command);
    }
}

static void free_page(const struct kv_store_link *store, struct kv_page *page)
{
    for (uint32_t i = 0; i < page->n; i++)
        kv_item_release(store, &page->entries[i].item);
    for (uint32_t i = 0; i < page->n_prefixes; i++)
        kv_item_release(store, &page->prefixes[i].item);
    if (page->cursor_ref != NULL)
        store->ops->unref(store->store, page->cursor_ref);
    kv_charge_set(&page->charge, 0);
    free(page->entries);
    free(page->prefixes);
    kv_buffer_fini(&page->start);
    kv_buffer_fini(&page->cursor);
    free(page);
}

__attribute__((noinline)) static void free_parts(struct kv_command *command)
{
    if (command->page != NULL)
        free_page(command->commands->store, command->page);
    if (command->update != NULL) {
        kv_buffer_fini(&command->update->result);
        kv_item_release(command->commands->store, &command->update->staged);
    }
    free(command->update);
}

struct kv_command *kv_commands_take(struct kv_commands *commands, struct kv_keyspace_loop *home,
                                    enum kv_command_kind kind)
{
    struct kv_command *command;
    if (commands->free != NULL) {
        command = KV_CONTAINER(commands->free, struct kv_command, link);
        commands->free = command->link.next;
        commands->n_free--;
    } else {
        command = kv_alloc_lines(sizeof(*command));
    }
    kv_clear(command, offsetof(struct kv_command, argument));
    command->cmd.deadline_ms = 0;
    command->cmd.keeps_deadline = false;
    command->cmd.staged = NULL;
    command->kind = kind;
    command->traits = &traits_of[kind];
    command->home = home;
    command->commands = commands;
    if (command->traits->has_argument)
        add_parts(command);
    return command;
}

void kv_command_free(struct kv_command *command)
{
    struct kv_commands *commands = command->commands;
    kv_item_release(commands->store, &command->item);
    if (command->traits->has_steps)
        free_parts(command);
    if (command->copy != NULL)
        free(command->copy);
    if (command->new_value != NULL)
        free(command->new_value);
    if (command->cmd.staged != NULL)
        commands->store->ops->unref(commands->store->store, command->cmd.staged);
    if (command->refusal != NULL)
        free(command->own_refusal);
    if (commands->n_free >= MOST_FREE_COMMANDS) {
        free(command);
        return;
    }
    command->link.next = commands->free;
    commands->free = &command->link;
    commands->n_free++;
}

void kv_order_mark_dirty(struct kv_order *order, struct kv_commands *commands)
{
    if (order->is_dirty)
        return;
    order->is_dirty = true;
    kv_queue_push(&commands->dirty, &order->in_dirty);
}

void kv_order_await_feed(struct kv_order *order, struct kv_commands *commands)
{
    if (order->awaits_feed)
        return;
    order->awaits_feed = true;
    kv_queue_push(&commands->awaiting, &order->in_awaiting);
}

void kv_commands_end_waits(struct kv_commands *commands)
{
    struct kv_link *link;
    while ((link = kv_queue_pop(&commands->awaiting)) != NULL) {
        struct kv_order *order = KV_CONTAINER(link, struct kv_order, in_awaiting);
        order->awaits_feed = false;
        kv_order_mark_dirty(order, commands);
    }
}

void kv_command_mark_unsettled(struct kv_command *command)
{
    command->is_unsettled = true;
    if (command->order != NULL)
        command->order->n_held++;
}

static void settle(struct kv_command *command)
{
    command->is_unsettled = false;
    if (command->order != NULL)
        command->order->n_held--;
}

static size_t argument_len(const struct kv_command *command)
{
    return command->traits->has_argument ? command->argument.len : 0;
}

void kv_command_charge(struct kv_command *command)
{
    size_t bytes = sizeof(*command) + command->key.len + argument_len(command) + command->note.len;
    if (command->traits->has_steps)
        bytes += command->update != NULL ? sizeof(*command->update) : sizeof(*command->page);
    if (command->order != NULL && command->overhead == 0)
        kv_room_charge(&command->order->room, &command->overhead, bytes);
}

static void count_item(struct kv_command *command, size_t bytes)
{
    struct kv_tally *tally = command->order->room.tally;
    if (command->is_pinned)
        kv_tally_unpin(tally, command->item.ref, command->charge);
    command->is_pinned = bytes != 0 && command->item.ref != NULL;
    if (command->is_pinned)
        kv_tally_pin(tally, command->item.ref, bytes);
}

void kv_command_charge_read(struct kv_command *command, size_t bytes)
{
    struct kv_room *room = &command->order->room;
    if (!command->commands->store->is_sync) {
        kv_room_charge(room, &command->charge, bytes);
        return;
    }
    count_item(command, bytes);
    kv_room_reserve(room, &command->charge, bytes);
}

void kv_command_wait(struct kv_command *command)
{
    command->state = KV_COMMAND_WAITING;
    command->order->n_held++;
}

void kv_command_finish(struct kv_command *command, int status)
{
    if (command->is_unsettled)
        settle(command);
    command->status = status;
    command->state = KV_COMMAND_FINISHED;
    if (command->order != NULL)
        kv_order_mark_dirty(command->order, command->commands);
    else
        kv_queue_push(&command->commands->finished, &command->link);
}

static void move(struct kv_slice *slice, char **at)
{
    if (slice->len != 0)
        memcpy(*at, slice->bytes, slice->len);
    slice->bytes = *at;
    *at += slice->len;
}

int kv_command_keep_key(struct kv_command *command)
{
    if (command->key_is_kept)
        return 0;
    size_t list = command->n_if_revisions * sizeof(uint64_t);
    size_t size = list + command->key.len + argument_len(command) + command->note.len;
    char *at = command->small;
    if (size > sizeof(command->small) && (at = command->copy = kv_try_alloc(size)) == NULL)
        return -1;
    command->small_used = at == command->small ? (uint16_t)size : 0;
    if (list != 0)
        memcpy(at, command->if_revisions, list);
    command->if_revisions = (const uint64_t *)(void *)at;
    at += list;
    move(&command->key, &at);
    if (command->traits->has_argument)
        move(&command->argument, &at);
    move(&command->note, &at);
    command->key_is_kept = true;
    return 0;
}

int kv_command_keep(struct kv_command *command)
{
    if (kv_command_keep_key(command) != 0)
        return -1;
    if (command->value_is_kept)
        return 0;
    if (command->value.len > sizeof(command->small) - command->small_used)
        return kv_command_replace_value(command, command->value);
    char *at = command->small + command->small_used;
    move(&command->value, &at);
    command->value_is_kept = true;
    return 0;
}

/* Drops its copy of the value. */
static void drop_value(struct kv_command *command)
{
    struct kv_item staged = {.ref = command->cmd.staged};
    kv_item_release(command->commands->store, &staged);
    command->cmd.staged = NULL;
    free(command->new_value);
    command->new_value = NULL;
}

void kv_command_take_value(struct kv_command *command, struct kv_buffer *value)
{
    drop_value(command);
    command->new_value = value->bytes;
    command->value = kv_buffer_slice(value);
    command->value_is_kept = true;
    *value = (struct kv_buffer){0};
}

void kv_command_take_staged(struct kv_command *command, struct kv_item *staged)
{
    drop_value(command);
    command->cmd.staged = staged->ref;
    command->value = staged->value;
    command->value_is_kept = true;
    *staged = (struct kv_item){0};
}

int kv_command_replace_value(struct kv_command *command, struct kv_slice value)
{
    char *copy = kv_try_alloc(value.len);
    if (copy == NULL)
        return -1;
    if (value.len != 0)
        memcpy(copy, value.bytes, value.len);
    drop_value(command);
    command->new_value = copy;
    command->value = (struct kv_slice){copy, value.len};
    command->value_is_kept = true;
    if (command->order == NULL)
        return 0;
    kv_order_note(command->order, command->hash, value.len);
    kv_room_charge(&command->order->room, &command->charge, value.len);
    return 0;
}

void kv_command_refuse(struct kv_command *command, struct kv_slice reason)
{
    if (reason.len > LONGEST_REFUSAL)
        reason.len = kv_utf8_valid_len((struct kv_slice){reason.bytes, LONGEST_REFUSAL});
    free(command->own_refusal);
    command->own_refusal = kv_alloc(reason.len + 1);
    if (reason.len != 0)
        memcpy(command->own_refusal, reason.bytes, reason.len);
    command->own_refusal[reason.len] = '\0';
    command->refusal = command->own_refusal;
}

struct kv_item kv_command_take_item(struct kv_command *command)
{
    struct kv_item item = command->item;
    command->item = (struct kv_item){0};
    return item;
}

const char *kv_command_status_text(int status)
{
    switch (status) {
    case KV_OK:
        return "done";
    case KV_UNCHANGED:
        return "unchanged";
    case KV_MISSING:
        return "the key has no value";
    case KV_CONDITION:
        return "the condition does not hold";
    case KV_FULL:
        return "the store is full";
    case KV_IO:
        return "the store failed to read or write";
    case KV_TOO_BIG:
        return "the key or value is too big for the store";
    case KV_UNKNOWN:
        return "the store did not answer: the write may have taken effect, or may do so yet";
    case KV_UNAVAILABLE:
        return "the store is out of reach: nothing has changed";
    case KV_TOO_MANY_TOPICS:
        return "too many subscriptions on this connection";
    case KV_CROWDED:
        return "the memory of all connections is used up: no more subscriptions for now";
    case KV_REFUSED:
        return "refused";
    case KV_INAPPLICABLE:
        return "the value cannot be updated in this way";
    case KV_CONTENDED:
        return "too many other writes of the key";
    case KV_BAD_CURSOR:
        return "the cursor belongs to another listing";
    case KV_FORBIDDEN:
        return "the right to do this has not been granted";
    case KV_UNIDENTIFIED:
        return "a token is needed for this";
    case KV_EXPIRED:
        return "the token is no longer valid";
    default:
        return "the store is not available: the server is starting or shutting down";
    }
}
