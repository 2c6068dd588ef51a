/*
 * The service: on each loop a stage that serves the active sessions, after the keyspace's stage, so
 * that the keyspace's answers are written in the same turn.
 */
#include "ws/ws.h"

#include <stdlib.h>

#include "ws/identity.h"
#include "ws/serve.h"

enum {
    LARGEST_KEPT = 1 << 16 /* of the buffers that are reused for each message */
};

struct kv_ws {
    uint32_t n_loops;
    struct kv_ws_loop loops[];
};

static void run_stage(struct kv_loop_stage *stage)
{
    struct kv_ws_loop *here = KV_CONTAINER(stage, struct kv_ws_loop, stage);
    KV_LIST_EACH(&here->active, link, after)
    kv_session_go_on(KV_CONTAINER(link, struct kv_session, in_active));
    kv_quanta_end_turn(&here->quanta, kv_session_take_waiting);
    kv_buffer_trim(&here->scratch, LARGEST_KEPT);
    kv_buffer_trim(&here->answer, LARGEST_KEPT);
    kv_buffer_trim(&here->inflation.text, LARGEST_KEPT);
    kv_compression_trim(&here->compression);
}

static int64_t stage_wake_at(struct kv_loop_stage *stage)
{
    struct kv_ws_loop *here = KV_CONTAINER(stage, struct kv_ws_loop, stage);
    bool has_work = !kv_list_is_empty(&here->active) || kv_quanta_are_waited_for(&here->quanta);
    return has_work ? INT64_MIN : INT64_MAX;
}

static void resume_held_up(struct kv_compression *compression)
{
    struct kv_ws_loop *here = KV_CONTAINER(compression, struct kv_ws_loop, compression);
    KV_LIST_EACH(&here->held_up, link, after)
    {
        kv_list_remove(link);
        kv_session_activate(KV_CONTAINER(link, struct kv_session, in_held_up));
    }
}

static void init_loop(struct kv_ws *ws, struct kv_keyspace *keyspace, struct kv_workers *workers,
                      uint32_t index, struct kv_loop *loop)
{
    struct kv_ws_loop *here = &ws->loops[index];
    here->workers = workers;
    here->loop = loop;
    here->keyspace = kv_keyspace_on(keyspace, index);
    here->stage.run = run_stage;
    here->stage.wake_at = stage_wake_at;
    kv_list_init(&here->sessions);
    kv_list_init(&here->active);
    kv_list_init(&here->held_up);
    kv_quanta_init(&here->quanta);
    kv_compression_init(&here->compression, workers, loop, here->tally, resume_held_up);
    kv_loop_add_stage(loop, &here->stage);
}

struct kv_ws *kv_ws_create(const struct kv_ws_config *config, struct kv_net *net,
                           struct kv_access *access, struct kv_keyspace *keyspace,
                           struct kv_workers *workers, const struct kv_request_log *request_log,
                           struct kv_loop *const *loops, uint32_t n_loops)
{
    struct kv_ws *ws = kv_calloc(1, sizeof(*ws) + n_loops * sizeof(struct kv_ws_loop));
    ws->n_loops = n_loops;
    for (uint32_t i = 0; i < n_loops; i++) {
        ws->loops[i].config = *config;
        ws->loops[i].tally = kv_net_tally(net, i);
        ws->loops[i].access = kv_access_on(access, i);
        ws->loops[i].lot = kv_request_lot_of(request_log, i);
        init_loop(ws, keyspace, workers, i, loops[i]);
    }
    return ws;
}

void kv_ws_open(struct kv_ws *ws, uint32_t loop, struct kv_connection *connection,
                struct kv_client *before, uint8_t window_bits)
{
    kv_session_open(&ws->loops[loop], connection, before, window_bits);
}

void kv_ws_revise(struct kv_ws *ws, uint32_t loop)
{
    KV_LIST_EACH(&ws->loops[loop].sessions, link, after)
    kv_identity_revise(KV_CONTAINER(link, struct kv_session, in_loop));
}

void kv_ws_take_config(struct kv_ws *ws, uint32_t loop, const struct kv_ws_config *config)
{
    struct kv_ws_loop *here = &ws->loops[loop];
    here->config = *config;
    KV_LIST_EACH(&here->sessions, link, after)
    kv_session_take_config(KV_CONTAINER(link, struct kv_session, in_loop));
}

static void tell_to_leave(struct kv_list *link)
{
    struct kv_session *session = KV_CONTAINER(link, struct kv_session, in_loop);
    session->is_leaving = true;
    kv_session_activate(session);
}

void kv_ws_drain(struct kv_ws *ws, uint32_t loop, int64_t over_ms)
{
    struct kv_ws_loop *here = &ws->loops[loop];
    kv_ebb_begin(&here->ebb, here->loop, &here->sessions, over_ms, tell_to_leave);
}

void kv_ws_abort(struct kv_ws *ws, uint32_t loop)
{
    struct kv_ws_loop *here = &ws->loops[loop];
    kv_ebb_end(&here->ebb);
    KV_LIST_EACH(&here->sessions, link, after)
    kv_session_destroy(KV_CONTAINER(link, struct kv_session, in_loop));
}

static void collect_compression(const struct kv_ws *ws, struct kv_metrics_text *text)
{
    static const struct kv_metric bytes = {
        "kvserver_websocket_compression_bytes", KV_METRIC_COUNTER, NULL,
        "Bytes of messages that were compressed to be sent (out), or came compressed (in), before "
        "(plain) and after compression (deflated)"};
    struct {
        const char *direction, *form;
        uint64_t n;
    } sums[] = {
        {"in", "deflated", 0}, {"in", "plain", 0}, {"out", "deflated", 0}, {"out", "plain", 0}};
    for (uint32_t i = 0; i < ws->n_loops; i++) {
        const struct kv_ws_loop *here = &ws->loops[i];
        sums[0].n += kv_counter_read(&here->inflation.n_deflated);
        sums[1].n += kv_counter_read(&here->inflation.n_plain);
        sums[2].n += kv_counter_read(&here->compression.n_deflated);
        sums[3].n += kv_counter_read(&here->compression.n_plain);
    }
    kv_metrics_begin(text, &bytes);
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        kv_metrics_sample(
            text, (struct kv_labels){{{"direction", sums[i].direction}, {"form", sums[i].form}}},
            sums[i].n);
}

void kv_ws_collect(const struct kv_ws *ws, struct kv_metrics_text *text)
{
    static const struct kv_metric sessions = {"kvserver_websocket_sessions", KV_METRIC_GAUGE, NULL,
                                              "Open WebSockets"};
    static const struct kv_metric messages = {"kvserver_websocket_messages_received",
                                              KV_METRIC_COUNTER, NULL,
                                              "Messages that clients sent over WebSocket"};
    uint64_t n_sessions = 0, n_messages = 0;
    for (uint32_t i = 0; i < ws->n_loops; i++) {
        n_sessions += kv_counter_read(&ws->loops[i].n_sessions);
        n_messages += kv_counter_read(&ws->loops[i].n_messages);
    }
    kv_metrics_number(text, &sessions, n_sessions);
    kv_metrics_number(text, &messages, n_messages);
    collect_compression(ws, text);
}

void kv_ws_destroy(struct kv_ws *ws)
{
    if (ws == NULL)
        return;
    for (uint32_t i = 0; i < ws->n_loops; i++) {
        kv_buffer_fini(&ws->loops[i].scratch);
        kv_buffer_fini(&ws->loops[i].answer);
        kv_buffer_fini(&ws->loops[i].inflation.text);
        kv_inflater_destroy(ws->loops[i].inflation.inflater);
        kv_compression_fini(&ws->loops[i].compression);
    }
    free(ws);
}
