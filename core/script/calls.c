#include "script/calls.h"

#include <stdlib.h>

#include "base/clock.h"
#include "script/run.h"
#include "script/script.h"

enum {
    MOST_SPARE = 64
};

/* The end of the server does not wait for on_start(), so that is not counted. */
static void count_call(struct kv_script_loop *here, enum kv_hook hook, int change)
{
    if (hook == KV_HOOK_ON_START)
        return;
    uint32_t before = atomic_load_explicit(&here->n_calls, memory_order_relaxed);
    atomic_store_explicit(&here->n_calls, before + (uint32_t)change, memory_order_release);
}

struct kv_script_call *kv_call_create(struct kv_script_loop *here, enum kv_hook hook,
                                      uint32_t depth, struct kv_slice key)
{
    struct kv_script_call *call;
    if (kv_list_is_empty(&here->spare)) {
        call = kv_alloc(sizeof(*call));
    } else {
        call = KV_CONTAINER(here->spare.next, struct kv_script_call, in_all);
        kv_list_remove(&call->in_all);
        here->n_spare--;
    }
    *call = (struct kv_script_call){.here = here, .hook = hook, .depth = depth, .key = key};
    call->began_ns = kv_clock_boot.now_ns(&kv_clock_boot);
    kv_list_init(&call->in_gathering);
    kv_queue_init(&call->behind);
    kv_list_append(&here->all, &call->in_all);
    count_call(here, hook, 1);
    return call;
}

void kv_call_destroy(struct kv_script_call *call)
{
    struct kv_script_loop *here = call->here;
    kv_histogram_add(&here->counts.durations[call->hook],
                     kv_clock_boot.now_ns(&kv_clock_boot) - call->began_ns, 1);
    kv_list_remove(&call->in_all);
    if (call->state != NULL)
        kv_call_drop_coroutine(call);
    kv_state_unref(call->state);
    kv_keyspace_release(here->script->scripts->keyspace, &call->value);
    kv_keyspace_release(here->script->scripts->keyspace, &call->previous);
    kv_shown_give_back(call->shown);
    kv_buffer_fini(&call->text);
    count_call(here, call->hook, -1);
    if (here->n_spare == MOST_SPARE) {
        free(call);
        return;
    }
    kv_list_append(&here->spare, &call->in_all);
    here->n_spare++;
}

void kv_calls_fini(struct kv_script_loop *here)
{
    KV_LIST_EACH(&here->all, link, after)
    {
        struct kv_script_call *call = KV_CONTAINER(link, struct kv_script_call, in_all);
        kv_shown_forgo(call->shown); /* so that it is shown again */
        kv_call_destroy(call);
    }
    KV_LIST_EACH(&here->spare, link, after)
    free(KV_CONTAINER(link, struct kv_script_call, in_all));
}
