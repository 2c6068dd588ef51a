/*
 * The service: on each loop a stage that serves the active streams, after the keyspace's stage, so
 * that the keyspace's changes are written in the same turn.
 */
#include "events/events.h"

#include <stdlib.h>

#include "events/serve.h"

enum {
    LARGEST_KEPT = 1 << 16 /* of the buffer that is reused for each event */
};

struct kv_events {
    uint32_t n_loops;
    struct kv_events_loop loops[];
};

static void run_stage(struct kv_loop_stage *stage)
{
    struct kv_events_loop *here = KV_CONTAINER(stage, struct kv_events_loop, stage);
    KV_LIST_EACH(&here->active, link, after)
    kv_stream_go_on(KV_CONTAINER(link, struct kv_stream, in_active));
    kv_buffer_trim(&here->text, LARGEST_KEPT);
}

static int64_t stage_wake_at(struct kv_loop_stage *stage)
{
    struct kv_events_loop *here = KV_CONTAINER(stage, struct kv_events_loop, stage);
    return kv_list_is_empty(&here->active) ? INT64_MAX : INT64_MIN;
}

static void init_loop(struct kv_events *events, struct kv_access *access,
                      struct kv_keyspace *keyspace, uint32_t index, struct kv_loop *loop)
{
    struct kv_events_loop *here = &events->loops[index];
    here->loop = loop;
    here->access = kv_access_on(access, index);
    here->keyspace = kv_keyspace_on(keyspace, index);
    here->stage.run = run_stage;
    here->stage.wake_at = stage_wake_at;
    kv_list_init(&here->streams);
    kv_list_init(&here->active);
    kv_loop_add_stage(loop, &here->stage);
}

struct kv_events *kv_events_create(const struct kv_events_config *config, struct kv_access *access,
                                   struct kv_keyspace *keyspace, struct kv_loop *const *loops,
                                   uint32_t n_loops)
{
    struct kv_events *events =
        kv_calloc(1, sizeof(*events) + n_loops * sizeof(struct kv_events_loop));
    events->n_loops = n_loops;
    for (uint32_t i = 0; i < n_loops; i++) {
        events->loops[i].config = *config;
        init_loop(events, access, keyspace, i, loops[i]);
    }
    return events;
}

bool kv_events_have_room(const struct kv_events *events, uint32_t loop, uint64_t cost)
{
    return cost <= events->loops[loop].config.max_subscriptions;
}

void kv_events_open(struct kv_events *events, uint32_t loop, struct kv_connection *connection,
                    struct kv_wish *wish, struct kv_client *before)
{
    kv_stream_open(&events->loops[loop], connection, wish, before);
}

void kv_events_revise(struct kv_events *events, uint32_t loop)
{
    KV_LIST_EACH(&events->loops[loop].streams, link, after)
    kv_stream_revise(KV_CONTAINER(link, struct kv_stream, in_loop));
}

void kv_events_take_config(struct kv_events *events, uint32_t loop,
                           const struct kv_events_config *config)
{
    struct kv_events_loop *here = &events->loops[loop];
    here->config = *config;
    KV_LIST_EACH(&here->streams, link, after)
    kv_stream_take_config(KV_CONTAINER(link, struct kv_stream, in_loop));
}

static void tell_to_leave(struct kv_list *link)
{
    struct kv_stream *stream = KV_CONTAINER(link, struct kv_stream, in_loop);
    stream->is_leaving = true;
    kv_stream_activate(stream);
}

void kv_events_drain(struct kv_events *events, uint32_t loop, int64_t over_ms)
{
    struct kv_events_loop *here = &events->loops[loop];
    kv_ebb_begin(&here->ebb, here->loop, &here->streams, over_ms, tell_to_leave);
}

void kv_events_abort(struct kv_events *events, uint32_t loop)
{
    struct kv_events_loop *here = &events->loops[loop];
    kv_ebb_end(&here->ebb);
    KV_LIST_EACH(&here->streams, link, after)
    kv_stream_destroy(KV_CONTAINER(link, struct kv_stream, in_loop));
}

void kv_events_collect(const struct kv_events *events, struct kv_metrics_text *text)
{
    static const struct kv_metric streams = {"kvserver_event_streams", KV_METRIC_GAUGE, NULL,
                                             "Open event streams"};
    uint64_t n = 0;
    for (uint32_t i = 0; i < events->n_loops; i++)
        n += kv_counter_read(&events->loops[i].n_streams);
    kv_metrics_number(text, &streams, n);
}

void kv_events_destroy(struct kv_events *events)
{
    if (events == NULL)
        return;
    for (uint32_t i = 0; i < events->n_loops; i++)
        kv_buffer_fini(&events->loops[i].text);
    free(events);
}
