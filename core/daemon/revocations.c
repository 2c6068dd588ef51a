/*
 * The store is read on loop 0, page by page: once while the thread that opens it waits, and again
 * whenever changes may have been missed. In a store that several servers share, others may revoke
 * tokens between the first reading and the moment from which changes are seen, so it is read again
 * then.
 */
#include "daemon/revocations.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    PAGE_KEYS = 1000,
    PAGE_BYTES = 1 << 20,
    RETRY_MS = 100,
    MOST_UNSURE_MS = 900 /* a revoked token is shut out within a second */
};

struct kv_revoking {
    struct kv_revocations *revocations;
    struct kv_observer observer;
    struct kv_loader loader;
    void (*told)(void);
    atomic_bool has_told;
    /* The readings: */
    struct kv_keyspace_loop *here; /* loop 0 */
    struct kv_post post;
    struct kv_buffer cursor;
    int status;      /* of the last page */
    bool is_loading; /* for the first time: a thread waits for `done` */
    bool is_reading; /* a page is under way, or the keys will be read again soon */
    bool is_stale;   /* changes were missed during this reading */
    bool is_late;    /* connections have been closed as it took too long */
    bool is_failing; /* a page could not be read since the beginning */
    struct kv_timer retry;
    struct kv_timer patience;
    sem_t done;
};

struct kv_revocations *kv_revoking_revocations(struct kv_revoking *revoking)
{
    return revoking == NULL ? NULL : revoking->revocations;
}

struct kv_observer *kv_revoking_observer(struct kv_revoking *revoking)
{
    return &revoking->observer;
}

struct kv_loader *kv_revoking_loader(struct kv_revoking *revoking)
{
    return &revoking->loader;
}

/* ---- changes ---- */

static void tell(struct kv_revoking *revoking)
{
    if (!atomic_exchange(&revoking->has_told, true))
        revoking->told();
}

void kv_revoking_take(struct kv_revoking *revoking)
{
    if (revoking == NULL)
        return; /* the caller need not know whether there are revocations */
    atomic_store(&revoking->has_told, false);
}

static void on_change(struct kv_observer *observer, struct kv_keyspace_loop *loop,
                      const struct kv_change *change, struct kv_shown *shown)
{
    struct kv_revoking *revoking = KV_CONTAINER(observer, struct kv_revoking, observer);
    (void)loop;
    (void)shown;
    if (!kv_slice_has_prefix(change->key, kv_revocations_prefix(revoking->revocations)))
        return;
    kv_revocations_note(revoking->revocations, change->key, change->after.revision != 0);
    if (!kv_revocations_are_lost(revoking->revocations)) /* otherwise told when they are known */
        tell(revoking);
}

/* ---- reading all keys ---- */

static void send_page(struct kv_revoking *revoking);

static struct kv_loop *loop_of(const struct kv_revoking *revoking)
{
    return kv_keyspace_event_loop(revoking->here);
}

static void begin_reading(struct kv_revoking *revoking)
{
    revoking->is_reading = true;
    revoking->is_stale = false;
    revoking->cursor.len = 0;
    kv_revocations_begin(revoking->revocations);
    send_page(revoking);
}

static void retry(struct kv_timer *timer)
{
    begin_reading(KV_CONTAINER(timer, struct kv_revoking, retry));
}

static void end_patience(struct kv_revoking *revoking)
{
    kv_timer_stop(loop_of(revoking), &revoking->patience);
    if (revoking->is_late)
        kv_log(KV_LOG_INFO, "server", "access.revoked: the revoked tokens are known again");
    revoking->is_late = revoking->is_failing = false;
}

static void start_patience(struct kv_revoking *revoking)
{
    kv_timer_start(loop_of(revoking), &revoking->patience,
                   kv_loop_now_ms(loop_of(revoking)) + MOST_UNSURE_MS);
}

static void read_again_soon(struct kv_revoking *revoking)
{
    kv_timer_start(loop_of(revoking), &revoking->retry,
                   kv_loop_now_ms(loop_of(revoking)) + RETRY_MS);
}

/* The keys are read again although no change is known to have been missed: then it shows only now
 * that it is not known which tokens are revoked. */
static void fail_reading(struct kv_revoking *revoking)
{
    if (!revoking->is_failing && !kv_revocations_are_lost(revoking->revocations))
        start_patience(revoking);
    revoking->is_failing = true;
    read_again_soon(revoking);
}

/* Connections whose tokens were accepted before are closed: they may have been revoked. */
static void lose_patience(struct kv_timer *timer)
{
    struct kv_revoking *revoking = KV_CONTAINER(timer, struct kv_revoking, patience);
    revoking->is_late = true;
    kv_revocations_lose(revoking->revocations);
    kv_log(KV_LOG_WARN, "server",
           "access.revoked: changes may have been missed, and the keys cannot be read: no token of "
           "an issuer "
           "is accepted until they have been read (%s)",
           kv_command_status_text(revoking->status));
    tell(revoking);
}

static void end_reading(struct kv_revoking *revoking)
{
    revoking->is_reading = kv_revocations_end(revoking->revocations);
    if (revoking->is_reading)
        read_again_soon(revoking);
    end_patience(revoking);
    tell(revoking);
}

static void end_loading(struct kv_revoking *revoking)
{
    revoking->is_loading = revoking->is_reading = false;
    if (revoking->status == KV_OK)
        kv_revocations_end(revoking->revocations);
    sem_post(&revoking->done);
}

static void take_page(struct kv_revoking *revoking, const struct kv_page *page)
{
    revoking->cursor.len = 0;
    for (uint32_t i = 0; i < page->n; i++)
        kv_revocations_read(revoking->revocations, page->entries[i].key);
    kv_buffer_append(&revoking->cursor, kv_buffer_slice(&page->cursor));
}

static void on_page(struct kv_command *command)
{
    struct kv_revoking *revoking = command->owner;
    revoking->status = command->status;
    if (command->status == KV_OK)
        take_page(revoking, command->page);
    if (command->status == KV_OK && revoking->cursor.len != 0 && !revoking->is_stale)
        send_page(revoking);
    else if (revoking->is_loading)
        end_loading(revoking);
    else if (command->status != KV_OK)
        fail_reading(revoking);
    else if (revoking->is_stale)
        begin_reading(revoking);
    else
        end_reading(revoking);
}

static void send_page(struct kv_revoking *revoking)
{
    struct kv_command *command = kv_command_create(revoking->here, KV_COMMAND_SCAN);
    command->key = kv_revocations_prefix(revoking->revocations);
    command->argument = kv_buffer_slice(&revoking->cursor);
    command->is_load = true;
    command->page->max_keys = PAGE_KEYS;
    command->page->max_bytes = PAGE_BYTES;
    command->owner = revoking;
    command->finished = on_page;
    kv_keyspace_send(command);
}

static void begin(struct kv_post *post)
{
    struct kv_revoking *revoking = KV_CONTAINER(post, struct kv_revoking, post);
    if (!revoking->is_reading)
        begin_reading(revoking);
}

static void on_resync(struct kv_observer *observer)
{
    struct kv_revoking *revoking = KV_CONTAINER(observer, struct kv_revoking, observer);
    if (revoking->here == NULL)
        return; /* the server imports, and has not read them */
    if (!kv_revocations_are_lost(revoking->revocations))
        start_patience(revoking);
    kv_revocations_lose(revoking->revocations);
    revoking->is_stale = revoking->is_reading;
    if (!revoking->is_reading)
        begin_reading(revoking);
}

static int load(struct kv_loader *loader, struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    struct kv_revoking *revoking = KV_CONTAINER(loader, struct kv_revoking, loader);
    revoking->here = kv_keyspace_on(keyspace, 0);
    revoking->is_loading = true;
    kv_loop_post(loop_of(revoking), &revoking->post);
    while (sem_wait(&revoking->done) != 0)
        continue;
    if (revoking->status != KV_OK)
        return kv_error_set(reterr, "access.revoked: what is revoked cannot be read: %s",
                            kv_command_status_text(revoking->status));
    tell(revoking);
    return 0;
}

void kv_revoking_begin(struct kv_revoking *revoking, const struct kv_keyspace *keyspace)
{
    if (revoking != NULL && kv_keyspace_catches_up(keyspace))
        kv_loop_post(loop_of(revoking), &revoking->post);
}

/* ---- creating and destroying ---- */

struct kv_revoking *kv_revoking_create(struct kv_slice prefix, void (*told)(void))
{
    struct kv_revoking *revoking = kv_calloc(1, sizeof(*revoking));
    revoking->revocations = kv_revocations_create(prefix);
    revoking->observer.on_change = on_change;
    revoking->observer.on_resync = on_resync;
    revoking->observer.is_everywhere = true; /* any of the servers may revoke a token */
    revoking->loader.load = load;
    revoking->post.run = begin;
    revoking->retry.fire = retry;
    revoking->patience.fire = lose_patience;
    revoking->told = told;
    sem_init(&revoking->done, 0, 0);
    return revoking;
}

void kv_revoking_destroy(struct kv_revoking *revoking)
{
    if (revoking == NULL)
        return;
    kv_revocations_destroy(revoking->revocations);
    kv_buffer_fini(&revoking->cursor);
    sem_destroy(&revoking->done);
    free(revoking);
}
