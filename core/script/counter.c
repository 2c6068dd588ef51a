/*
 * kv.incr(): an UPDATE whose function adds. Increments of one key by hooks of this loop are
 * gathered while an UPDATE is under way, and included in the next one.
 */
#include "script/counter.h"

#include <string.h>

#include "base/hash.h"
#include "script/gathering.h"
#include "script/script.h"
#include "wire/integer.h"

/* The sum of several increments. If the value plus `least` and the value plus `most` are both
 * integers in range, so is the value at every step. */
struct addition {
    int64_t total, least, most;
};

struct counter {
    struct kv_gathering gathering;
    struct addition addition;
};

static void go_on(struct counter *counter);

/* ---- adding ---- */

static int refuse(struct kv_command *command, const char *why)
{
    command->refusal = why;
    return KV_INAPPLICABLE;
}

static int add(struct kv_command *command, const struct kv_item *old, struct kv_buffer *out)
{
    struct addition addition;
    int64_t base = 0, any;
    char text[KV_INTEGER_ROOM];
    memcpy(&addition, command->argument.bytes, sizeof(addition));
    if (old->revision != 0 && !kv_integer_read(old->value, &base))
        return refuse(command, "the value is no integer of 64 bits");
    if (!kv_integer_add(base, addition.least, &any) || !kv_integer_add(base, addition.most, &any))
        return refuse(command, "the sum has more than 64 bits");
    size_t len = kv_integer_write(text, base + addition.total);
    if (kv_buffer_try_reserve(out, len) == NULL)
        return KV_FULL;
    kv_buffer_append(out, (struct kv_slice){text, len});
    return KV_OK;
}

/* Returns: whether the increment can be added to the others. */
static bool extend(struct addition *addition, int64_t by)
{
    if (!kv_integer_add(addition->total, by, &addition->total))
        return false;
    if (addition->total < addition->least)
        addition->least = addition->total;
    if (addition->total > addition->most)
        addition->most = addition->total;
    return true;
}

/* Takes as many calls as can be added together. */
static void take(struct counter *counter)
{
    struct kv_gathering *gathering = &counter->gathering;
    struct kv_script_call *call;
    counter->addition = (struct addition){0};
    while ((call = kv_gathering_next(gathering)) != NULL) {
        if (!extend(&counter->addition, call->request.by)) {
            kv_gathering_put_back(gathering, call);
            return;
        }
        kv_gathering_take(gathering, call);
    }
}

/* ---- writing ---- */

/* Each call gets the running total including its own increment. */
static void succeed(struct counter *counter, int64_t sum, uint64_t revision)
{
    struct kv_script_call *call;
    sum -= counter->addition.total;
    while ((call = kv_gathering_pop(&counter->gathering)) != NULL) {
        sum += call->request.by;
        struct kv_outcome outcome = {.sum = sum, .revision = revision};
        call->resume(call, &outcome);
    }
}

static void written(struct kv_command *command)
{
    struct counter *counter = command->owner;
    struct kv_gathering *gathering = &counter->gathering;
    bool is_done = command->status == KV_OK || command->status == KV_UNCHANGED;
    int64_t sum;
    kv_gathering_end_write(gathering, command);
    if (kv_script_is_ending(gathering->here)) {
        kv_gathering_give_up(gathering);
        kv_gathering_destroy(gathering);
        return;
    }
    if (!is_done)
        kv_gathering_fail(gathering, kv_gathering_fault_of(command));
    else if (!kv_integer_read(command->value, &sum))
        kv_gathering_fail_all(gathering, "a hook has put something else in place of the sum");
    else
        succeed(counter, sum, command->revision);
    go_on(counter);
}

static void write_sum(struct counter *counter)
{
    struct kv_gathering *gathering = &counter->gathering;
    struct kv_command *command =
        kv_command_create(gathering->here->keyspace_loop, KV_COMMAND_UPDATE);
    command->script = gathering->here->script->config->name;
    command->key = gathering->key;
    command->argument =
        (struct kv_slice){(const char *)&counter->addition, sizeof(counter->addition)};
    command->update->compute = add;
    command->update->is_quick = true;
    command->depth = kv_gathering_begin_write(gathering);
    command->owner = counter;
    command->finished = written;
    kv_keyspace_send(command);
}

static void go_on(struct counter *counter)
{
    take(counter);
    if (counter->gathering.n_taken == 0)
        kv_gathering_destroy(&counter->gathering);
    else
        write_sum(counter);
}

/* ---- for hooks ---- */

void kv_counter_take_up(struct kv_script_call *call)
{
    struct kv_script_loop *here = call->here;
    uint64_t hash = kv_hash(call->request.key);
    struct kv_gathering *gathering = kv_gathering_find(&here->counters, call->request.key, hash);
    bool is_new = gathering == NULL;
    if (is_new)
        gathering = kv_gathering_create(here, &here->counters, sizeof(struct counter),
                                        call->request.key, hash);
    kv_list_append(&gathering->waiting, &call->in_gathering);
    if (is_new)
        go_on((struct counter *)gathering);
}
