/* `GET /admin/cluster`: the partitions of a store that several servers share, as this one sees
 * them.
 */
#include <inttypes.h>

#include "http/resource.h"
#include "keyspace/partitions.h"
#include "wire/json_string.h"

/* Receives the states of the parts from the store. */
struct list {
    struct kv_parts_out out;
    struct kv_buffer text;
    bool has_any;
};

static void put_text(struct kv_buffer *out, const char *name, struct kv_slice text)
{
    if (text.len == 0)
        return;
    kv_buffer_printf(out, ",\"%s\":", name);
    kv_json_append_string(out, text);
}

static void put_holder(struct kv_buffer *out, const struct kv_part_state *state)
{
    if (state->holder == KV_HOLDER_UNKNOWN)
        return;
    put_text(out, "lease",
             state->holder == KV_HOLDER_HERE ? KV_SLICE("here") : KV_SLICE("elsewhere"));
    put_text(out, "holder", state->holder_id);
    kv_buffer_printf(out, ",\"cursor\":%" PRIu64, state->cursor);
    if (state->behind_ms >= 0)
        kv_buffer_printf(out, ",\"behind\":%" PRId64, state->behind_ms);
}

static void put_part(struct kv_parts_out *out, const struct kv_part_state *given)
{
    struct list *list = KV_CONTAINER(out, struct list, out);
    struct kv_part_state state = kv_partition_state(given);
    kv_buffer_printf(&list->text, "%s{\"partition\":%" PRIu32 ",\"connected\":%s",
                     list->has_any ? "," : "", state.part, state.is_connected ? "true" : "false");
    put_text(&list->text, "node", state.node);
    put_text(&list->text, "fault", state.fault);
    if (state.revision != 0)
        kv_buffer_printf(&list->text, ",\"revision\":%" PRIu64, state.revision);
    if (state.lag_ms >= 0)
        kv_buffer_printf(&list->text, ",\"lag\":%" PRId64, state.lag_ms);
    kv_buffer_printf(&list->text,
                     ",\"waiting\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"held\":%" PRIu64
                     ",\"reconnects\":%" PRIu64 ",\"resyncs\":%" PRIu64,
                     state.n_waiting, state.n_sent, state.n_held, state.n_reconnects,
                     state.n_resyncs);
    put_holder(&list->text, &state);
    kv_buffer_append_char(&list->text, '}');
    list->has_any = true;
}

static void answer(struct kv_exchange *exchange, const struct kv_store_link *store)
{
    struct list list = {.out = {.size = sizeof(struct kv_parts_out), .part = put_part}};
    kv_buffer_append(&list.text, KV_SLICE("{\"partitions\":["));
    store->ops->parts(store->store, &list.out);
    kv_buffer_append(&list.text, KV_SLICE("]}"));
    kv_exchange_answer_with(exchange, (struct kv_answer){.status = 200, .is_of_now = true},
                            &list.text);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    const struct kv_store_link *store = kv_keyspace_store(exchange->here->keyspace);
    (void)request;
    if (!kv_store_is_ready(store))
        kv_exchange_refuse_unready(exchange);
    else if (!kv_partitions_are_told(store))
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 409},
                           "the store of this server is not one that servers share");
    else
        answer(exchange, store);
}

const struct kv_resource kv_resource_cluster = {.path = {"/admin/cluster", 14},
                                                .methods = KV_METHODS_READING,
                                                .keeps = true,
                                                .admin = KV_ADMIN_CLUSTER,
                                                .serve = serve};
