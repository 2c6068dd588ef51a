/* The store is read on a loop, page by page, while the thread that opens it waits. */
#include "daemon/revocations.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    PAGE_KEYS = 1000,
    PAGE_BYTES = 1 << 20
};

struct kv_revoking {
    struct kv_revocations *revocations;
    struct kv_observer observer;
    struct kv_loader loader;
    void (*told)(void);
    atomic_bool has_told;
    /* While the store is being read: */
    struct kv_keyspace_loop *here;
    struct kv_post post;
    struct kv_buffer cursor;
    int status; /* of the last page */
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
    tell(revoking);
}

/* ---- keys in the store at the start ---- */

static void send_page(struct kv_revoking *revoking);

static void on_page(struct kv_command *command)
{
    struct kv_revoking *revoking = command->owner;
    const struct kv_page *page = command->page;
    revoking->status = command->status;
    revoking->cursor.len = 0;
    if (command->status == KV_OK) {
        for (uint32_t i = 0; i < page->n; i++)
            kv_revocations_note(revoking->revocations, page->entries[i].key, true);
        kv_buffer_append(&revoking->cursor, kv_buffer_slice(&page->cursor));
    }
    if (revoking->cursor.len != 0)
        send_page(revoking);
    else
        sem_post(&revoking->done);
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
    send_page(KV_CONTAINER(post, struct kv_revoking, post));
}

static int load(struct kv_loader *loader, struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    struct kv_revoking *revoking = KV_CONTAINER(loader, struct kv_revoking, loader);
    revoking->here = kv_keyspace_on(keyspace, 0);
    revoking->post.run = begin;
    kv_loop_post(kv_keyspace_event_loop(revoking->here), &revoking->post);
    while (sem_wait(&revoking->done) != 0)
        continue;
    if (revoking->status != KV_OK)
        return kv_error_set(reterr, "access.revoked: what is revoked cannot be read: %s",
                            kv_command_status_text(revoking->status));
    kv_revocations_set_known(revoking->revocations);
    tell(revoking);
    return 0;
}

/* ---- creating and destroying ---- */

struct kv_revoking *kv_revoking_create(struct kv_slice prefix, void (*told)(void))
{
    struct kv_revoking *revoking = kv_calloc(1, sizeof(*revoking));
    revoking->revocations = kv_revocations_create(prefix);
    revoking->observer.on_change = on_change;
    revoking->observer.is_everywhere = true; /* any of the servers may revoke a token */
    revoking->loader.load = load;
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
