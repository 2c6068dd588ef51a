/*
 * A renewal is an UPDATE by the server that keeps the value and sets the deadline; at the end of a
 * lease, an UPDATE deletes the key. A lease has one UPDATE under way at a time, and outlives its
 * session until that has come back.
 */
#include "ws/leases.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

enum {
    BYTES_OF_ONE = 1024, /* of a key, for each lease counted */
    BYTES_BESIDE = 64,   /* for each lease, in the table and in the heap */
    SHARE = 3,           /* of the TTL: renewed after 1/SHARE of it */
    INEXACT_MS = 100,    /* possible deviation of deadlines in a shared store, and */
    DRIFT = 20000        /* the fraction of the TTL by which its clock may drift */
};

struct lease {
    struct kv_table_node node;
    struct kv_heap_node in_time;
    struct kv_leases *leases; /* NULL: forgotten, or its session has ended */
    struct kv_keyspace_loop *keyspace;
    struct kv_slice key; /* after the struct */
    uint64_t revision;
    int64_t deadline_ms;
    int64_t ttl_ms;
    bool is_asking; /* an UPDATE is under way */
    bool is_ending; /* the key will be deleted */
};

static struct kv_loop *loop_of(const struct kv_leases *leases)
{
    return kv_keyspace_event_loop(leases->keyspace);
}

static uint32_t units_of(struct kv_slice key)
{
    return 1 + (uint32_t)(key.len / BYTES_OF_ONE);
}

/* ---- memory ---- */

static size_t bytes_of(struct kv_slice key)
{
    return sizeof(struct lease) + BYTES_BESIDE + key.len;
}

static void destroy(struct lease *lease)
{
    kv_tally_add(kv_keyspace_tally(lease->keyspace), -(int64_t)bytes_of(lease->key));
    free(lease);
}

/* ---- the time of renewal ---- */

static void plan(struct kv_leases *leases)
{
    const struct kv_heap_node *first = kv_heap_first(&leases->by_time);
    if (first == NULL)
        kv_timer_stop(loop_of(leases), &leases->timer);
    else
        kv_timer_start(loop_of(leases), &leases->timer, first->at);
}

static void plan_renewal(struct lease *lease)
{
    struct kv_leases *leases = lease->leases;
    if (lease->deadline_ms != KV_NEVER)
        kv_heap_put(&leases->by_time, &lease->in_time,
                    kv_loop_now_ms(loop_of(leases)) + lease->ttl_ms / SHARE);
    plan(leases);
}

/* ---- UPDATEs ---- */

/* Whether both deadlines are the same, within the precision of the store. */
static bool is_same(const struct lease *lease, int64_t deadline_ms, int64_t set_ms)
{
    if (deadline_ms == KV_NEVER || set_ms == KV_NEVER ||
        !kv_keyspace_shows(kv_keyspace_of(lease->keyspace)))
        return deadline_ms == set_ms;
    int64_t off_ms = deadline_ms > set_ms ? deadline_ms - set_ms : set_ms - deadline_ms;
    return off_ms <= INEXACT_MS + lease->ttl_ms / DRIFT;
}

/* The function of the deleting UPDATE: succeeds if the deadline is the one set last. The revision
 * is the command's condition. */
static int judge(struct kv_command *command, const struct kv_item *old, struct kv_buffer *out)
{
    (void)out;
    return is_same(command->owner, old->deadline_ms, command->update->number) ? KV_OK
                                                                              : KV_CONDITION;
}

/* The same for a renewal, and keeps the value. */
static int keep(struct kv_command *command, const struct kv_item *old, struct kv_buffer *out)
{
    int status = judge(command, old, out);
    if (status != KV_OK)
        return status;
    if (kv_buffer_try_reserve(out, old->value.len) == NULL)
        return KV_FULL;
    kv_buffer_append(out, old->value);
    return KV_OK;
}

static void delete_key(struct lease *lease);

static void detach(struct lease *lease)
{
    struct kv_leases *leases = lease->leases;
    assert(leases != NULL);
    kv_table_remove(&leases->by_key, &lease->node);
    kv_heap_remove(&leases->by_time, &lease->in_time);
    leases->n_held -= units_of(lease->key);
    leases->bytes -= bytes_of(lease->key);
    lease->leases = NULL;
    plan(leases);
}

static void take_renewal(struct lease *lease, const struct kv_command *command)
{
    int status = command->status;
    if (status == KV_OK || status == KV_UNCHANGED) {
        lease->deadline_ms = command->cmd.deadline_ms;
    } else if (status == KV_CONDITION || status == KV_MISSING) {
        detach(lease);
        destroy(lease);
        return;
    }
    plan_renewal(lease); /* if the store failed, it is tried again */
}

static void on_asked(struct kv_command *command)
{
    struct lease *lease = command->owner;
    lease->is_asking = false;
    if (lease->leases != NULL) {
        take_renewal(lease, command);
        return;
    }
    bool was_renewed = command->status == KV_OK || command->status == KV_UNCHANGED;
    if (lease->is_ending && was_renewed) {
        lease->is_ending = false;
        lease->deadline_ms = command->cmd.deadline_ms;
        delete_key(lease);
        return;
    }
    destroy(lease);
}

/* An UPDATE that takes effect only if the key's state is still as the lease left it. */
static struct kv_command *begin_update(struct lease *lease)
{
    struct kv_command *command = kv_command_create(lease->keyspace, KV_COMMAND_UPDATE);
    command->key = lease->key;
    command->cond = KV_COND_REVISION;
    command->if_revision = lease->revision;
    command->if_revisions = &command->if_revision;
    command->n_if_revisions = 1;
    command->update->number = lease->deadline_ms;
    command->update->is_own = true;
    command->depth = 1; /* not held back with the writes of clients */
    command->owner = lease;
    command->finished = on_asked;
    return command;
}

static void submit(struct lease *lease, struct kv_command *command)
{
    lease->is_asking = true;
    kv_keyspace_send(command);
}

static void renew(struct lease *lease)
{
    struct kv_command *command = begin_update(lease);
    command->ttl_is_given = true;
    command->ttl_ms = lease->ttl_ms;
    command->update->compute = keep;
    submit(lease, command);
}

static void delete_key(struct lease *lease)
{
    struct kv_command *command = begin_update(lease);
    command->update->compute = judge;
    command->update->is_quick = true;
    command->update->deletes = true;
    submit(lease, command);
}

/* ---- timers ---- */

static void renew_due(struct kv_timer *timer)
{
    struct kv_leases *leases = KV_CONTAINER(timer, struct kv_leases, timer);
    int64_t now_ms = kv_loop_now_ms(loop_of(leases));
    struct kv_heap_node *first;
    while ((first = kv_heap_first(&leases->by_time)) != NULL && first->at <= now_ms) {
        struct lease *lease = KV_CONTAINER(first, struct lease, in_time);
        kv_heap_remove(&leases->by_time, first);
        renew(lease);
    }
    plan(leases);
}

void kv_leases_init(struct kv_leases *leases, struct kv_keyspace_loop *keyspace,
                    const struct kv_access_loop *access)
{
    *leases =
        (struct kv_leases){.keyspace = keyspace, .access = access, .timer = {.fire = renew_due}};
}

/* ---- beginning and ending a lease ---- */

static struct lease *find(const struct kv_leases *leases, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(&leases->by_key, hash, node)
    {
        struct lease *lease = KV_CONTAINER(node, struct lease, node);
        if (kv_slice_equals(lease->key, key))
            return lease;
    }
    return NULL;
}

/* Leaves the key as it is. */
static void forget(struct lease *lease)
{
    detach(lease);
    if (!lease->is_asking)
        destroy(lease);
}

bool kv_leases_have_room(const struct kv_leases *leases, struct kv_slice key, uint32_t most)
{
    return leases->n_held + leases->n_asked + units_of(key) <= most ||
           find(leases, key, kv_hash(key)) != NULL;
}

/* As with subscriptions, every connection may have some. */
bool kv_leases_have_memory(const struct kv_leases *leases, struct kv_slice key)
{
    size_t bytes = bytes_of(key);
    return leases->bytes + bytes <= KV_TALLY_FLOOR ||
           kv_tally_spare(kv_keyspace_tally(leases->keyspace)) >= bytes ||
           find(leases, key, kv_hash(key)) != NULL;
}

void kv_leases_ask(struct kv_leases *leases, const struct kv_command *set)
{
    leases->n_asked += units_of(set->key);
}

static struct lease *create(struct kv_leases *leases, const struct kv_command *set)
{
    struct lease *lease = kv_calloc(1, sizeof(*lease) + set->key.len);
    char *key = (char *)(lease + 1);
    if (set->key.len != 0)
        memcpy(key, set->key.bytes, set->key.len);
    lease->key = (struct kv_slice){key, set->key.len};
    lease->leases = leases;
    lease->keyspace = leases->keyspace;
    lease->revision = set->revision;
    lease->deadline_ms = set->cmd.deadline_ms;
    if (lease->deadline_ms != KV_NEVER)
        lease->ttl_ms = lease->deadline_ms - set->taken_up_ms;
    kv_table_insert(&leases->by_key, &lease->node, set->hash);
    leases->n_held += units_of(lease->key);
    leases->bytes += bytes_of(lease->key);
    kv_tally_add(kv_keyspace_tally(lease->keyspace), (int64_t)bytes_of(lease->key));
    return lease;
}

/* A lease needs the rights to read and to write (keyspace/admission.c). */
static bool may_lease(const struct kv_leases *leases, const struct kv_principal *principal,
                      struct kv_slice key)
{
    return principal->is_unlimited ||
           (kv_grants_cover(principal->grants, KV_RIGHT_READ | KV_RIGHT_WRITE, key) &&
            !kv_access_reserves(leases->access, principal->grants, key));
}

/* If a renewal is under way, the lease ends when that has come back. */
static void end(struct lease *lease)
{
    detach(lease);
    if (lease->is_asking)
        lease->is_ending = true;
    else
        delete_key(lease);
}

void kv_leases_begin(struct kv_leases *leases, const struct kv_command *set,
                     const struct kv_principal *principal)
{
    leases->n_asked -= units_of(set->key);
    if (set->status != KV_OK && set->status != KV_UNCHANGED)
        return;
    kv_leases_forget(leases, set);
    struct lease *lease = create(leases, set);
    if (may_lease(leases, principal, lease->key))
        plan_renewal(lease);
    else
        end(lease);
}

void kv_leases_forget(struct kv_leases *leases, const struct kv_command *write)
{
    struct lease *lease = find(leases, write->key, write->hash);
    if (lease != NULL)
        forget(lease);
}

static struct lease *find_forbidden(const struct kv_leases *leases, size_t bucket,
                                    const struct kv_principal *principal)
{
    for (struct kv_table_node *node = leases->by_key.buckets[bucket]; node != NULL;
         node = node->next) {
        struct lease *lease = KV_CONTAINER(node, struct lease, node);
        if (!may_lease(leases, principal, lease->key))
            return lease;
    }
    return NULL;
}

/* The table may shrink when a lease is removed: then the walk starts again. */
void kv_leases_end_forbidden(struct kv_leases *leases, const struct kv_principal *principal)
{
    for (size_t i = 0; i < leases->by_key.n_buckets;) {
        size_t n_buckets = leases->by_key.n_buckets;
        struct lease *lease = find_forbidden(leases, i, principal);
        if (lease != NULL)
            end(lease);
        else
            i++;
        if (leases->by_key.n_buckets != n_buckets)
            i = 0;
    }
}

void kv_leases_end(struct kv_leases *leases)
{
    for (size_t i = 0; leases->by_key.n != 0; i++) { /* it shrinks meanwhile */
        struct kv_table_node *node = leases->by_key.buckets[i % leases->by_key.n_buckets];
        if (node != NULL)
            end(KV_CONTAINER(node, struct lease, node));
    }
    kv_timer_stop(loop_of(leases), &leases->timer);
    kv_table_fini(&leases->by_key);
    kv_heap_fini(&leases->by_time);
}
