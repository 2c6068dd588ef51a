/*
 * A keyspace that a test owns: its clock, the turns of its loops, and the moments at which its
 * store takes commands up and gives them back. The store is `simple` behind a gate: while the gate
 * is shut, commands are deferred, and the test lets them through one by one.
 *
 *     rig_init(&rig, 1);
 *     rig.gate_is_shut = true;
 *     send_set(client, "k", "1", "a");    answers: -        store: -
 *     rig_turn(&rig);                     answers: -        store: waits at the gate
 *     rig_execute(&rig, 0);               committed; told by the feed
 *     rig_complete(&rig, 0);              given back
 *     rig_turn(&rig);                     log: "told k=1", "a ok"
 */
#ifndef KV_TESTS_KEYSPACE_RIG_H
#define KV_TESTS_KEYSPACE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keyspace/keyspace.h"
#include "module/module.h"

enum {
    RIG_START_MS = 1000000, /* what the clock shows at first */
    RIG_PATIENCE = 100000,  /* rounds of 0.1 ms */
    RIG_MAX_WAITING = 256,
    RIG_MAX_LOOPS = 2
};

struct rig {
    struct kv_clock clock;  /* first: the clock's function finds the rig by it */
    _Atomic int64_t now_ns; /* a store may have threads */
    struct kv_loop *loops[RIG_MAX_LOOPS];
    uint32_t n_loops;
    struct kv_loaded_module *module;
    struct kv_store_ops ops; /* the gate's */
    size_t n_scans;          /* pages that the store was asked for */
    const struct kv_store_host *host;
    struct kv_keyspace *keyspace;
    /* Set before rig_open(). */
    bool is_sync;          /* no gate: the store completes within submit() */
    uint64_t capabilities; /* of the store, besides */
    uint64_t log_bytes;    /* of the change log */
    int64_t log_ms;
    struct kv_ttl_link *ttl_chain;
    size_t n_ttl_chain;
    struct kv_interceptor *interceptors[4];
    size_t n_interceptors;
    struct kv_observer *observers[4];
    size_t n_observers;
    struct kv_loader *loader;
    struct kv_access *access;
    struct kv_workers *workers; /* ended before the keyspace */
    /* The gate. */
    bool gate_is_shut;
    struct kv_cmd *waiting[RIG_MAX_WAITING]; /* NULL: completed */
    uint32_t waiting_loop[RIG_MAX_WAITING];
    size_t n_waiting;
    uint64_t synced; /* the revision of the last `synced` */
    /* What happened, in order: `<name> <outcome>` of commands, `told k=v` of changes, with ` meta`,
     * or ` collapsed`, behind it; `state k=v`, `synced k` and `reset k` of subscriptions. */
    char log[65536];
};

void rig_init(struct rig *rig);
/* The same with another store: `memory`, `simple`, or `late`, whose thread completes what it likes
 * when it likes. */
void rig_init_on(struct rig *rig, const char *store);
/* Makes the keyspace of what is set, and opens it. */
void rig_open(struct rig *rig, uint32_t n_loops);
void rig_fini(struct rig *rig);

void rig_pass_ms(struct rig *rig, int64_t ms);

/* A few turns of every loop. */
void rig_turn(struct rig *rig);

/* Turns until no command is under way and every change was told. */
void rig_settle(struct rig *rig);

/* The i-th command that came to the gate: lets it take effect; gives it back. */
void rig_execute(struct rig *rig, size_t i);
void rig_complete(struct rig *rig, size_t i);

/* Asserts what has happened since the last call, lines joined by `; `. */
void rig_expect(struct rig *rig, const char *log);
void rig_note(struct rig *rig, const char *format, ...) KV_PRINTF(2, 3);

struct kv_client *rig_client(struct rig *rig, uint32_t loop);
/* One that has no room while `*unsent` is not 0. */
struct kv_client *rig_narrow_client(struct rig *rig, uint32_t loop, const size_t *unsent);

/* Sends a command; its outcome is logged as `<name> …`. value NULL: none. client NULL: on loop 0,
 * in no order. Texts need not outlive the turn. */
void rig_get(struct rig *rig, struct kv_client *client, const char *name, const char *key);
void rig_set(struct rig *rig, struct kv_client *client, const char *name, const char *key,
             const char *value, int64_t ttl_ms);
void rig_delete(struct rig *rig, struct kv_client *client, const char *name, const char *key);
void rig_subscribe(struct rig *rig, struct kv_client *client, const char *name, const char *key);
void rig_unsubscribe(struct rig *rig, struct kv_client *client, const char *name, const char *key);
/* The same of a prefix. */
void rig_subscribe_prefix(struct rig *rig, struct kv_client *client, const char *name,
                          const char *prefix);
void rig_unsubscribe_prefix(struct rig *rig, struct kv_client *client, const char *name,
                            const char *prefix);

/* A command to be filled in and sent: its outcome is logged as above. client NULL: as above. */
struct kv_command *rig_command(struct rig *rig, struct kv_client *client, const char *name,
                               enum kv_command_kind kind, const char *key);
void rig_send(struct kv_client *client, struct kv_command *command);

#endif
