#include "script/gathering.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/origin.h"
#include "script/script.h"

/* ---- creating and destroying ---- */

struct kv_gathering *kv_gathering_find(struct kv_table *table, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(table, hash, node)
    {
        struct kv_gathering *gathering = KV_CONTAINER(node, struct kv_gathering, node);
        if (kv_slice_equals(gathering->key, key))
            return gathering;
    }
    return NULL;
}

struct kv_gathering *kv_gathering_create(struct kv_script_loop *here, struct kv_table *table,
                                         size_t size, struct kv_slice key, uint64_t hash)
{
    struct kv_gathering *gathering = kv_calloc(1, size + key.len);
    char *copy = (char *)gathering + size;
    if (key.len != 0)
        memcpy(copy, key.bytes, key.len);
    gathering->key = (struct kv_slice){copy, key.len};
    gathering->table = table;
    gathering->here = here;
    kv_list_init(&gathering->waiting);
    kv_list_init(&gathering->taken);
    kv_table_insert(table, &gathering->node, hash);
    return gathering;
}

void kv_gathering_destroy(struct kv_gathering *gathering)
{
    kv_table_remove(gathering->table, &gathering->node);
    free(gathering);
}

/* ---- waiting and taken calls ---- */

static struct kv_script_call *first_of(const struct kv_list *calls)
{
    return kv_list_is_empty(calls) ? NULL
                                   : KV_CONTAINER(calls->next, struct kv_script_call, in_gathering);
}

static void put_first(struct kv_list *calls, struct kv_list *link)
{
    kv_list_append(calls->next, link); /* inserts it before that one */
}

struct kv_script_call *kv_gathering_next(struct kv_gathering *gathering)
{
    struct kv_script_call *call = first_of(&gathering->waiting);
    if (call == NULL || (gathering->n_alone != 0 && gathering->n_taken != 0))
        return NULL;
    kv_list_remove(&call->in_gathering);
    if (gathering->n_alone != 0)
        gathering->n_alone--;
    return call;
}

void kv_gathering_take(struct kv_gathering *gathering, struct kv_script_call *call)
{
    kv_list_append(&gathering->taken, &call->in_gathering);
    gathering->n_taken++;
}

void kv_gathering_put_back(struct kv_gathering *gathering, struct kv_script_call *call)
{
    put_first(&gathering->waiting, &call->in_gathering);
}

static struct kv_script_call *pop(struct kv_gathering *gathering, struct kv_list *link)
{
    if (kv_list_is_empty(&gathering->taken))
        return NULL;
    kv_list_remove(link);
    gathering->n_taken--;
    return KV_CONTAINER(link, struct kv_script_call, in_gathering);
}

struct kv_script_call *kv_gathering_pop(struct kv_gathering *gathering)
{
    return pop(gathering, gathering->taken.next);
}

struct kv_script_call *kv_gathering_pop_last(struct kv_gathering *gathering)
{
    return pop(gathering, gathering->taken.prev);
}

void kv_gathering_put_all_back(struct kv_gathering *gathering)
{
    if (gathering->n_alone != 0)
        gathering->n_alone += gathering->n_taken;
    while (!kv_list_is_empty(&gathering->taken)) {
        struct kv_list *last = gathering->taken.prev;
        kv_list_remove(last);
        put_first(&gathering->waiting, last);
    }
    gathering->n_taken = 0;
}

/* ---- writing ---- */

uint32_t kv_gathering_begin_write(struct kv_gathering *gathering)
{
    uint32_t depth = 0;
    KV_LIST_EACH(&gathering->taken, link, after)
    {
        const struct kv_script_call *call = KV_CONTAINER(link, struct kv_script_call, in_gathering);
        if (call->depth > depth)
            depth = call->depth;
    }
    gathering->origin =
        kv_origins_begin(gathering->here->script->scripts->origins, gathering->key, depth + 1);
    return depth + 1;
}

void kv_gathering_end_write(struct kv_gathering *gathering, const struct kv_command *command)
{
    kv_origins_end(gathering->here->script->scripts->origins, gathering->origin,
                   command->status == KV_OK ? command->revision : 0);
    gathering->origin = NULL;
}

/* ---- resuming calls ---- */

static void fail_taken(struct kv_gathering *gathering, const char *why)
{
    struct kv_script_call *call;
    while ((call = kv_gathering_pop(gathering)) != NULL) {
        struct kv_outcome outcome = {.fault = why};
        call->resume(call, &outcome);
    }
}

void kv_gathering_fail(struct kv_gathering *gathering, const char *why)
{
    if (gathering->n_taken == 1) {
        fail_taken(gathering, why);
        return;
    }
    uint32_t n = gathering->n_taken;
    kv_gathering_put_all_back(gathering);
    if (gathering->n_alone < n)
        gathering->n_alone = n;
}

/* Calls that are added meanwhile wait, and are not affected. */
void kv_gathering_fail_all(struct kv_gathering *gathering, const char *why)
{
    struct kv_script_call *call;
    while ((call = first_of(&gathering->waiting)) != NULL) {
        kv_list_remove(&call->in_gathering);
        kv_gathering_take(gathering, call);
    }
    gathering->n_alone = 0;
    fail_taken(gathering, why);
}

void kv_gathering_give_up(struct kv_gathering *gathering)
{
    struct kv_script_call *call;
    kv_gathering_put_all_back(gathering);
    while ((call = first_of(&gathering->waiting)) != NULL) {
        kv_list_remove(&call->in_gathering);
        call->give_up(call);
    }
}

const char *kv_gathering_fault_of(const struct kv_command *command)
{
    switch (command->status) {
    case KV_CONDITION:
        return "condition";
    case KV_REFUSED:
    case KV_INAPPLICABLE:
        return command->refusal;
    default:
        return kv_command_status_text(command->status);
    }
}
