/*
 * kv.incr(): a get, and a set on the condition that nothing was written meanwhile. What hooks of
 * this loop add to one key while that is under way is gathered, and goes in with the next set: many
 * hooks that count in one place thus cost one write, and do not fail each other's conditions. Only
 * the other loops and clients can, and then it is read again.
 */
#include "script/counter.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "script/origin.h"
#include "script/script.h"

enum {
    MOST_ATTEMPTS = 100
};

struct counter {
    struct kv_table_node node;
    struct kv_slice key; /* behind the struct */
    struct kv_script_loop *here;
    struct kv_list waiting; /* calls that have not been added */
    struct kv_list added;   /* those in the set that is under way */
    int n_attempts;
    int64_t base; /* before them */
    struct kv_origin *origin;
    char text[24];
};

static void read_value(struct counter *counter);

/* ---- calls ---- */

static struct kv_script_call *pop(struct kv_list *calls)
{
    if (kv_list_is_empty(calls))
        return NULL;
    struct kv_script_call *call = KV_CONTAINER(calls->next, struct kv_script_call, in_counter);
    kv_list_remove(&call->in_counter);
    return call;
}

/* To the end of the other list. */
static void move_all(struct kv_list *from, struct kv_list *to)
{
    struct kv_script_call *call;
    while ((call = pop(from)) != NULL)
        kv_list_append(to, &call->in_counter);
}

static void fail(struct kv_script_call *call, const char *why)
{
    struct kv_outcome outcome = {.fault = why};
    call->resume(call, &outcome);
}

/* Those who add again meanwhile come into the list again, and are not meant. */
static void fail_all(struct kv_list *calls, const char *why)
{
    struct kv_list all;
    struct kv_script_call *call;
    kv_list_init(&all);
    move_all(calls, &all);
    while ((call = pop(&all)) != NULL)
        fail(call, why);
}

/* Each gets the sum as of its own. */
static void succeed(struct counter *counter, uint64_t revision)
{
    struct kv_script_call *call;
    int64_t sum = counter->base;
    while ((call = pop(&counter->added)) != NULL) {
        sum += call->request.by;
        struct kv_outcome outcome = {.sum = sum, .revision = revision};
        call->resume(call, &outcome);
    }
}

/* ---- the counter ---- */

static void destroy(struct counter *counter)
{
    kv_table_remove(&counter->here->counters, &counter->node);
    free(counter);
}

static void go_on(struct counter *counter)
{
    counter->n_attempts = 0;
    if (kv_list_is_empty(&counter->waiting))
        destroy(counter);
    else
        read_value(counter);
}

static void give_up(struct counter *counter)
{
    struct kv_script_call *call;
    move_all(&counter->waiting, &counter->added);
    while ((call = pop(&counter->added)) != NULL)
        call->give_up(call);
    destroy(counter);
}

/* ---- writing ---- */

static const char *fault_of(const struct kv_command *command)
{
    if (command->status == KV_CONDITION)
        return "condition";
    return command->status == KV_REFUSED ? command->refusal
                                         : kv_command_status_text(command->status);
}

static void written(struct kv_command *command)
{
    struct counter *counter = command->owner;
    struct kv_scripts *scripts = counter->here->script->scripts;
    kv_origins_end(scripts->origins, counter->origin,
                   command->status == KV_OK ? command->revision : 0);
    if (kv_script_is_ending(counter->here)) {
        give_up(counter);
    } else if (command->status == KV_OK || command->status == KV_UNCHANGED) {
        succeed(counter, command->revision);
        go_on(counter);
    } else if (command->status == KV_CONDITION && ++counter->n_attempts < MOST_ATTEMPTS) {
        move_all(&counter->waiting, &counter->added); /* behind these, in their order */
        move_all(&counter->added, &counter->waiting);
        read_value(counter);
    } else {
        fail_all(&counter->added, fault_of(command));
        go_on(counter);
    }
}

/* Adds what can be added. Returns: the sum; *ret_depth is that of the deepest of the calls. */
static int64_t add_all(struct counter *counter, uint32_t *ret_depth)
{
    struct kv_list waiting;
    struct kv_script_call *call;
    int64_t sum = counter->base, more;
    kv_list_init(&waiting);
    move_all(&counter->waiting, &waiting);
    *ret_depth = 0;
    while ((call = pop(&waiting)) != NULL) {
        if (__builtin_add_overflow(sum, call->request.by, &more)) {
            fail(call, "the sum has more than 64 bits");
            continue;
        }
        sum = more;
        kv_list_append(&counter->added, &call->in_counter);
        if (call->depth > *ret_depth)
            *ret_depth = call->depth;
    }
    return sum;
}

/* found: what stands there; its value is base. NULL: nothing. */
static void write_sum(struct counter *counter, const struct kv_item *found)
{
    struct kv_script_loop *here = counter->here;
    struct kv_scripts *scripts = here->script->scripts;
    uint32_t depth;
    int64_t sum = add_all(counter, &depth);
    if (kv_list_is_empty(&counter->added)) {
        go_on(counter);
        return;
    }
    struct kv_command *command = kv_command_create(here->keyspace_loop, KV_COMMAND_SET);
    int len = snprintf(counter->text, sizeof(counter->text), "%lld", (long long)sum);
    command->key = counter->key;
    command->value = (struct kv_slice){counter->text, (size_t)len};
    command->cond = found == NULL ? KV_COND_ABSENT : KV_COND_REVISION;
    command->depth = depth + 1;
    command->owner = counter;
    command->finished = written;
    if (found != NULL) {
        command->if_revision = found->revision;
        command->if_revisions = &command->if_revision;
        command->n_if_revisions = 1;
        command->ttl_is_given = true;
        command->ttl_ms = kv_keyspace_ttl_left_ms(scripts->keyspace, found->deadline_ms);
    }
    counter->origin = kv_origins_begin(scripts->origins, counter->key, command->depth);
    kv_keyspace_send(command);
}

/* ---- reading ---- */

/* Returns: whether it is an integer of 64 bits. */
static bool read_integer(struct kv_slice json, int64_t *ret)
{
    bool is_negative = json.len != 0 && json.bytes[0] == '-';
    int64_t number = 0;
    if (json.len == (size_t)is_negative)
        return false;
    for (size_t i = is_negative; i < json.len; i++) {
        int digit = json.bytes[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, digit, &number))
            return false; /* below zero there is one number more */
    }
    if (!is_negative && number == INT64_MIN)
        return false;
    *ret = is_negative ? number : -number;
    return true;
}

static void value_is_read(struct kv_command *command)
{
    struct counter *counter = command->owner;
    if (kv_script_is_ending(counter->here)) {
        give_up(counter);
    } else if (command->status == KV_MISSING) {
        counter->base = 0;
        write_sum(counter, NULL);
    } else if (command->status != KV_OK) {
        fail_all(&counter->waiting, fault_of(command));
        go_on(counter);
    } else if (!read_integer(command->item.value, &counter->base)) {
        fail_all(&counter->waiting, "the value is no integer of 64 bits");
        go_on(counter);
    } else {
        write_sum(counter, &command->item);
    }
}

static void read_value(struct counter *counter)
{
    struct kv_command *command = kv_command_create(counter->here->keyspace_loop, KV_COMMAND_GET);
    command->key = counter->key;
    command->owner = counter;
    command->finished = value_is_read;
    kv_keyspace_send(command);
}

/* ---- for hooks ---- */

static struct counter *find(struct kv_script_loop *here, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(&here->counters, hash, node)
    {
        struct counter *counter = KV_CONTAINER(node, struct counter, node);
        if (kv_slice_equals(counter->key, key))
            return counter;
    }
    return NULL;
}

static struct counter *create(struct kv_script_loop *here, struct kv_slice key, uint64_t hash)
{
    struct counter *counter = kv_calloc(1, sizeof(*counter) + key.len);
    char *copy = (char *)(counter + 1);
    if (key.len != 0)
        memcpy(copy, key.bytes, key.len);
    counter->key = (struct kv_slice){copy, key.len};
    counter->here = here;
    kv_list_init(&counter->waiting);
    kv_list_init(&counter->added);
    kv_table_insert(&here->counters, &counter->node, hash);
    return counter;
}

void kv_counter_add(struct kv_script_call *call)
{
    struct kv_script_loop *here = call->here;
    uint64_t hash = kv_hash(call->request.key);
    struct counter *counter = find(here, call->request.key, hash);
    bool is_new = counter == NULL;
    if (is_new)
        counter = create(here, call->request.key, hash);
    kv_list_append(&counter->waiting, &call->in_counter);
    if (is_new)
        read_value(counter);
}
