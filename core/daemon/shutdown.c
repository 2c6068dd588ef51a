/*
 * Clients first, then the loops' threads, then sinks, and the store last: each may still give work
 * to the later ones. Objects of a thread that cannot be stopped are left to the end of the process.
 */
#include "daemon/shutdown.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/log_writer.h"
#include "base/mem.h"
#include "daemon/certificates.h"
#include "daemon/running.h"
#include "daemon/staging.h"
#include "daemon/thread.h"
#include "keyspace/slow_log.h"

enum {
    ABORT_MS = 2000, /* for aborted connections */
    GRACE_MS = 2000, /* for sinks that have to return */
    /* After a second signal; together well below a second. */
    HURRIED_ABORT_MS = 250,
    HURRIED_GRACE_MS = 150,
    HURRIED_CLOSE_MS = 400,
};

/* ---- waiting until nothing is under way ---- */

static uint32_t count_undrained(const struct kv_server *server)
{
    return server->config->n_threads - atomic_load(&server->n_drained);
}

/* A loop may accept connections until it has been told to stop, so they are counted after that.
 * Hooks may lead to commands, and these to changes that call hooks: so the server is quiet only if
 * nothing is found twice. */
static bool is_quiet(const void *context)
{
    const struct kv_server *server = context;
    bool is_quiet = count_undrained(server) == 0 && kv_net_is_quiet(server->net) &&
                    !atomic_load(&server->is_opening);
    for (int i = 0; i < 2; i++)
        is_quiet = is_quiet && kv_keyspace_is_quiet(server->keyspace) &&
                   kv_scripts_under_way(server->scripts) == 0;
    return is_quiet;
}

/* Appends the reasons why it is not quiet. */
static void describe_noise(const void *context, struct kv_buffer *out)
{
    const struct kv_server *server = context;
    kv_ending_append_count(out, kv_net_n_connections(server->net), "connection");
    kv_ending_append_count(out, kv_net_n_lingering(server->net), "half-closed connection");
    kv_ending_append_count(out, kv_keyspace_under_way(server->keyspace), "command");
    kv_ending_append_count(out, kv_scripts_under_way(server->scripts), "hook");
    kv_ending_append_count(out, count_undrained(server), "busy thread");
    if (atomic_load(&server->is_opening))
        kv_buffer_printf(out, "%sthe store to open", out->len == 0 ? "" : ", ");
    if (out->len == 0)
        kv_buffer_append(out, KV_SLICE("changes to reach subscribers"));
}

static bool wait_until_quiet(struct kv_server *server, int64_t until_ms, int64_t hurried_ms)
{
    const struct kv_awaited quiet = {.is_over = is_quiet,
                                     .describe = describe_noise,
                                     .context = server,
                                     .until_ms = until_ms,
                                     .hurried_ms = hurried_ms};
    return kv_ending_await(&server->ending, &quiet);
}

static void log_noise(const struct kv_server *server, enum kv_log_level level, const char *effect)
{
    struct kv_buffer what = {0};
    describe_noise(server, &what);
    kv_log(level, "server", "%s: %.*s", effect, (int)what.len, what.bytes);
    kv_buffer_fini(&what);
}

/* ---- serving parts ---- */

static void drain_loop(struct kv_post *post)
{
    struct kv_loop_thread *thread = KV_CONTAINER(post, struct kv_loop_thread, drain);
    kv_net_drain(thread->server->net, thread->index);
    int64_t over_ms = thread->server->drain_ms / 2; /* the rest is for their last answers */
    kv_ws_drain(thread->server->ws, thread->index, over_ms);
    kv_events_drain(thread->server->events, thread->index, over_ms);
    kv_http_drain(thread->server->http, thread->index);
    atomic_fetch_add(&thread->server->n_drained, 1);
}

static void post_drain(struct kv_server *server)
{
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        server->threads[i].drain.run = drain_loop;
        kv_loop_post(server->loops[i], &server->threads[i].drain);
    }
}

static void abort_loop(struct kv_post *post)
{
    struct kv_loop_thread *thread = KV_CONTAINER(post, struct kv_loop_thread, abort);
    kv_ws_abort(thread->server->ws, thread->index);
    kv_events_abort(thread->server->events, thread->index);
    kv_backups_abort(thread->server->backups, thread->index);
    kv_net_abort(thread->server->net, thread->index);
}

static void post_abort(struct kv_server *server)
{
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        server->threads[i].abort.run = abort_loop;
        kv_loop_post(server->loops[i], &server->threads[i].abort);
    }
}

/* Ends the process with its threads still running. */
static _Noreturn void leave(int status)
{
    kv_log_stop();
    _exit(status);
}

/* The remaining work belongs to threads that cannot be stopped, such as one that reads a long body.
 * If the store is volatile, a second signal loses nothing by ending at once. */
static void give_up(struct kv_server *server)
{
    if (server->has_opener)
        pthread_tryjoin_np(server->opener, NULL); /* it may still be opening the store */
    if (server->ending.is_hurried && kv_server_is_volatile(server)) {
        log_noise(server, KV_LOG_WARN, "stopped at once; unfinished");
        leave(EXIT_SUCCESS);
    }
    log_noise(server, KV_LOG_ERROR, "giving up without closing the store; unfinished");
    leave(EXIT_FAILURE);
}

void kv_server_drain(struct kv_server *server)
{
    server->ends_by_ms = kv_clock_now_ms(&kv_clock_boot) + server->drain_ms;
    kv_keyspace_drain(server->keyspace);
    kv_scripts_drain(server->scripts);
    post_drain(server);
    if (!wait_until_quiet(server, server->ends_by_ms, 0))
        log_noise(server, KV_LOG_WARN, "cutting off what did not end in time");
    if (server->sinks != NULL)
        kv_sinks_stop_blocking(server->sinks);
    kv_keyspace_stop_showing(server->keyspace);
    kv_scripts_end(server->scripts);
    post_abort(server);
    if (!wait_until_quiet(server, kv_clock_now_ms(&kv_clock_boot) + ABORT_MS, HURRIED_ABORT_MS))
        give_up(server);
}

void kv_server_stop_threads(struct kv_server *server)
{
    if (server->has_opener)
        pthread_join(server->opener, NULL);
    if (server->threads == NULL)
        return;
    for (uint32_t i = 0; i < server->config->n_threads; i++) {
        if (!server->threads[i].is_running)
            continue;
        kv_loop_stop(server->loops[i]);
        pthread_join(server->threads[i].thread, NULL);
    }
}

/* ---- sinks and the store ---- */

static bool have_sinks_ended(const void *context)
{
    return kv_sinks_have_ended(context);
}

static void describe_sinks(const void *context, struct kv_buffer *out)
{
    kv_sinks_describe(context, out);
}

/* Returns: false if a sink does not return. */
static bool end_sinks(struct kv_server *server)
{
    struct kv_awaited ended = {.is_over = have_sinks_ended,
                               .describe = describe_sinks,
                               .context = server->sinks,
                               .until_ms = server->ends_by_ms};
    kv_sinks_ask_to_end(server->sinks, server->ends_by_ms);
    if (!kv_ending_await(&server->ending, &ended)) {
        kv_sinks_cut_short(server->sinks);
        ended.until_ms = kv_clock_now_ms(&kv_clock_boot) + GRACE_MS;
        ended.hurried_ms = HURRIED_GRACE_MS;
        kv_ending_await(&server->ending, &ended);
    }
    return kv_sinks_end(server->sinks);
}

static void *close_store(void *argument)
{
    struct kv_server *server = argument;
    kv_keyspace_destroy(server->keyspace);
    atomic_store(&server->is_closed, true);
    return NULL;
}

static bool is_store_closed(const void *context)
{
    const struct kv_server *server = context;
    return atomic_load(&server->is_closed);
}

static void describe_store(const void *context, struct kv_buffer *out)
{
    const struct kv_server *server = context;
    kv_buffer_printf(out, "%s to close", server->store_name);
}

/* Closes the store on a thread of its own, as that may take long. If a second signal cuts it short,
 * the next start has more to do. */
static void end_store(struct kv_server *server)
{
    struct kv_error error;
    pthread_t closer;
    const struct kv_awaited closed = {.is_over = is_store_closed,
                                      .describe = describe_store,
                                      .context = server,
                                      .until_ms = INT64_MAX,
                                      .hurried_ms = HURRIED_CLOSE_MS};
    if (kv_thread_start(&closer, close_store, server, &error) != 0) {
        close_store(server);
        return;
    }
    if (kv_ending_await(&server->ending, &closed)) {
        pthread_join(closer, NULL);
        return;
    }
    if (pthread_tryjoin_np(closer, NULL) == 0)
        return; /* just closed */
    if (kv_server_is_volatile(server))
        leave(EXIT_SUCCESS);
    kv_log(KV_LOG_WARN, "server", "%s is not closed; what was answered is kept, as after a crash",
           server->store_name);
    leave(EXIT_FAILURE);
}

/* A sink that does not return may be using the store's data and its module. A durable store is
 * closed nevertheless, as far as possible; then this is the only way to end. */
static void end_without(struct kv_server *server)
{
    if (!kv_server_is_volatile(server))
        end_store(server);
    leave(EXIT_SUCCESS);
}

static void end_keyspace(struct kv_server *server)
{
    if (server->keyspace == NULL)
        return;
    kv_scripts_end(server->scripts);
    kv_keyspace_finish(server->keyspace);
    if (server->sinks != NULL && !end_sinks(server))
        end_without(server);
    kv_scripts_destroy(server->scripts);
    server->scripts = NULL;
    end_store(server);
}

void kv_server_take_apart(struct kv_server *server)
{
    kv_workers_destroy(server->workers);
    kv_pages_close(server->pages);
    kv_ws_destroy(server->ws);
    kv_http_destroy(server->http);
    kv_events_destroy(server->events);
    kv_backups_destroy(server->backups);
    kv_uploads_destroy(server->uploads);
    kv_staging_destroy(server->staging);
    kv_net_destroy(server->net);
    kv_certificates_close(server);
    kv_metrics_destroy(server->metrics);
    end_keyspace(server);
    kv_scripts_destroy(server->scripts);
    kv_outlets_close(server->outlets);
    for (uint32_t i = 0; server->loops != NULL && i < server->config->n_threads; i++)
        kv_loop_destroy(server->loops[i]);
    kv_slow_log_destroy(server->slow_log);
    kv_rollouts_destroy(server->rollouts);
    kv_round_destroy(server->pulse);
    kv_chain_close(server->chain);
    kv_access_destroy(server->access);
    kv_revoking_destroy(server->revoking);
    kv_jwt_sources_destroy(server->key_sources);
    kv_budget_destroy(server->budget);
    free(server->loops);
    free(server->threads);
    free(server->ports);
    kv_buffer_fini(&server->applied);
    free(server->interceptors);
    sem_destroy(&server->opened);
}
