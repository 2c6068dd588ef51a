/*
 * A running server: its parts, which server.c creates, and shutdown.c ends. Private to these two.
 */
#ifndef KV_DAEMON_RUNNING_H
#define KV_DAEMON_RUNNING_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "access/access.h"
#include "admin/backups.h"
#include "admin/uploads.h"
#include "daemon/chain.h"
#include "daemon/ending.h"
#include "daemon/import.h"
#include "jwt/source.h"
#include "daemon/outlets.h"
#include "daemon/revocations.h"
#include "daemon/rollouts.h"
#include "loop/round.h"
#include "pages/pages.h"
#include "protocol/request_log.h"

struct kv_server;

struct kv_loop_thread {
    struct kv_server *server;
    uint32_t index;
    pthread_t thread;
    bool is_running;
    struct kv_post drain;
    struct kv_post abort;
};

struct kv_server {
    const struct kv_config *config;
    struct kv_import *import; /* NULL: none */
    bool serves;              /* false: it ends when everything is imported */
    struct kv_chain *chain;
    struct kv_outlets *outlets;
    struct kv_sinks *sinks; /* NULL: none */
    struct kv_scripts *scripts;
    struct kv_interceptor **interceptors; /* one for each script */
    struct kv_observer *observers[3];
    size_t n_observers;
    int64_t drain_ms;   /* the longest time for draining */
    int64_t ends_by_ms; /* the end of the time for draining */
    struct kv_ending ending;
    atomic_bool is_closed; /* the store is closed */
    struct kv_loop **loops;
    struct kv_loop_thread *threads;
    _Atomic uint32_t n_drained; /* loops that no longer accept connections */
    struct kv_round *pulse;     /* of the watchdog */
    struct kv_rollouts *rollouts;
    uint16_t *ports;     /* of the addresses */
    struct kv_tls **tls; /* of the addresses; NULL: none */
    struct kv_budget *budget;
    struct kv_jwt_sources *key_sources;
    struct kv_jwt_watch key_watch; /* is told when keys change */
    struct kv_access *access;
    bool has_access_rules;        /* of the last reload */
    struct kv_buffer applied;     /* of the last reload: the configuration, printed, with secrets */
    struct kv_revoking *revoking; /* NULL: no keys revoke tokens */
    struct kv_keyspace *keyspace;
    struct kv_workers *workers;
    struct kv_pages *pages; /* NULL: none */
    struct kv_inherited inherited;
    struct kv_net *net;
    struct kv_http *http;
    struct kv_http_upgrade upgrade; /* to the WebSockets */
    struct kv_ws *ws;
    struct kv_events *events;
    struct kv_backups *backups;
    struct kv_staging *staging;
    struct kv_uploads *uploads;
    struct kv_slow_log *slow_log;
    struct kv_request_log request_log;
    struct kv_readiness readiness;
    char store_name[64];
    pthread_t opener;
    bool has_opener;
    sem_t opened;           /* posted when the store has been opened, or opening it has failed */
    atomic_bool is_opening; /* the store is being opened or loaded */
    atomic_bool is_open;    /* the store is open, and clients can be served */
    bool has_logged_readiness;
    bool is_told_ready;     /* to the service manager, since the last reload began */
    atomic_bool has_ended;  /* without a signal: everything is imported, or has failed */
    atomic_bool has_failed; /* the store could not be opened or loaded */
    struct kv_error why;
    int64_t started_ms;
    int64_t started_wall_us;
    struct kv_metrics *metrics;
};

static inline bool kv_server_is_volatile(const struct kv_server *server)
{
    return (server->config->store.module->identity->capabilities & KV_STORE_DURABLE) == 0;
}

#endif
