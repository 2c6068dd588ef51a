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
    RIG_START_MS = 1000000, /* the clock's first reading */
    RIG_PATIENCE = 100000,  /* rounds of 0.1 ms */
    RIG_MAX_WAITING = 256,
    RIG_MAX_LOOPS = 2
};

struct rig {
    struct kv_clock clock;  /* first, as the clock's function finds the rig by it */
    _Atomic int64_t now_ns; /* atomic, as a store may have threads */
    struct kv_loop *loops[RIG_MAX_LOOPS];
    uint32_t n_loops;
    struct kv_loaded_module *module;
    struct kv_store_ops ops; /* of the gate */
    size_t n_scans;          /* pages requested from the store */
    unsigned n_empty_pages;  /* without keys, that the store returns at the beginning of a walk */
    char empty_cursor[24];   /* after the last of them */
    const struct kv_store_host *host;
    struct kv_keyspace *keyspace;
    /* Set before rig_open(). */
    bool is_sync;          /* no gate: the store completes within submit() */
    uint64_t capabilities; /* claimed in addition to the store's own */
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
    bool tells_seconds;         /* as a store that was built before ABI 1.8 */
    struct kv_workers *workers; /* destroyed before the keyspace */
    /* The gate. */
    bool gate_is_shut;
    struct kv_cmd *waiting[RIG_MAX_WAITING]; /* NULL: completed */
    uint32_t waiting_loop[RIG_MAX_WAITING];
    size_t n_waiting;
    uint64_t synced; /* the revision of the last `synced` */
    /* The events in order: `<name> <outcome>` of commands; `told k=v` of changes, followed by `
     * meta` or ` collapsed`; `state k=v`, `synced k` and `reset k` of subscriptions. */
    char log[65536];
};

void rig_init(struct rig *rig);
/* The same with another store: `memory`, `simple`, or `late`, whose thread completes commands at
 * random times and in random order. */
void rig_init_on(struct rig *rig, const char *store);
/* Creates the keyspace from the members set before, and opens it. */
void rig_open(struct rig *rig, uint32_t n_loops);
void rig_fini(struct rig *rig);

void rig_pass_ms(struct rig *rig, int64_t ms);

/* A few turns of every loop. */
void rig_turn(struct rig *rig);

/* Turns until no command is in progress and every change was notified. */
void rig_settle(struct rig *rig);

/* Of the i-th command that reached the gate: rig_execute() makes it take effect, rig_complete()
 * returns it. */
void rig_execute(struct rig *rig, size_t i);
void rig_complete(struct rig *rig, size_t i);

/* Asserts the events since the last call, joined by `; `. */
void rig_expect(struct rig *rig, const char *log);
void rig_note(struct rig *rig, const char *format, ...) KV_PRINTF(2, 3);

struct kv_client *rig_client(struct rig *rig, uint32_t loop);
/* A client that has no room while `*unsent` is not 0. */
struct kv_client *rig_narrow_client(struct rig *rig, uint32_t loop, const size_t *unsent);

/* Sends a command; its outcome is logged as `<name> …`. value NULL: none. client NULL: on loop 0,
 * unordered. The texts need only last until the end of the turn. */
void rig_get(struct rig *rig, struct kv_client *client, const char *name, const char *key);
void rig_set(struct rig *rig, struct kv_client *client, const char *name, const char *key,
             const char *value, int64_t ttl_ms);
void rig_delete(struct rig *rig, struct kv_client *client, const char *name, const char *key);
void rig_subscribe(struct rig *rig, struct kv_client *client, const char *name, const char *key);
void rig_unsubscribe(struct rig *rig, struct kv_client *client, const char *name, const char *key);
/* The same for a prefix. */
void rig_subscribe_prefix(struct rig *rig, struct kv_client *client, const char *name,
                          const char *prefix);
void rig_unsubscribe_prefix(struct rig *rig, struct kv_client *client, const char *name,
                            const char *prefix);

/* A command to be completed and sent: its outcome is logged as above. client NULL: as above. */
struct kv_command *rig_command(struct rig *rig, struct kv_client *client, const char *name,
                               enum kv_command_kind kind, const char *key);
void rig_send(struct kv_client *client, struct kv_command *command);

#endif
