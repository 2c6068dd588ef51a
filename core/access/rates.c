/*
 * A meter holds the time at which it will be as if there had been no requests (the generic cell
 * rate algorithm): each request moves that time on by an interval, and it may be at most a period
 * ahead. So a meter is one number, which loops change without a lock.
 *
 * A meter without holders is kept until that time; then a new one would be equivalent.
 */
#include "access/rates.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

enum {
    KEY_BYTES = 32,
    NETWORK_BYTES = 8, /* of an IPv6 address */
    MOST_FORGOTTEN = 8 /* meters dropped at a time */
};

struct kv_meter {
    _Atomic int64_t empty_ns[KV_N_METERED]; /* when it will be as if there had been no requests */
    _Atomic uint32_t n_connections;
    struct kv_table_node node;
    struct kv_list in_unheld; /* if it has no holders; the one given back last is at the end */
    struct kv_meters *meters;
    uint32_t n_holders; /* under the lock */
    unsigned char key[KEY_BYTES];
};

struct kv_meters {
    pthread_mutex_t lock;
    struct kv_table table;
    struct kv_list unheld;
    struct kv_meter others; /* shared by those for whom there is no room */
};

/* ---- one meter ---- */

static bool is_empty(const struct kv_meter *meter, int64_t now_ns)
{
    for (int i = 0; i < KV_N_METERED; i++)
        if (atomic_load_explicit(&meter->empty_ns[i], memory_order_relaxed) > now_ns)
            return false;
    return true;
}

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The time until one more is allowed, for a meter with this `empty_ns`. */
static int64_t wait_ns(int64_t empty_ns, const struct kv_rate *rate, int64_t now_ns)
{
    int64_t wait = later_of(empty_ns, now_ns) + rate->interval_ns - rate->period_ns - now_ns;
    return later_of(wait, 0);
}

int64_t kv_meter_take(struct kv_meter *meter, enum kv_metered what, const struct kv_rate *rate,
                      int64_t now_ns)
{
    _Atomic int64_t *at = &meter->empty_ns[what];
    int64_t empty_ns = atomic_load_explicit(at, memory_order_relaxed), wait;
    if (rate->interval_ns == 0)
        return 0;
    do {
        if ((wait = wait_ns(empty_ns, rate, now_ns)) != 0)
            return wait;
    } while (!atomic_compare_exchange_weak_explicit(at, &empty_ns,
                                                    later_of(empty_ns, now_ns) + rate->interval_ns,
                                                    memory_order_relaxed, memory_order_relaxed));
    return 0;
}

bool kv_meter_has_room(const struct kv_meter *meter, uint32_t most)
{
    return most == 0 || atomic_load_explicit(&meter->n_connections, memory_order_relaxed) < most;
}

void kv_meter_join(struct kv_meter *meter)
{
    atomic_fetch_add_explicit(&meter->n_connections, 1, memory_order_relaxed);
}

void kv_meter_leave(struct kv_meter *meter)
{
    atomic_fetch_sub_explicit(&meter->n_connections, 1, memory_order_relaxed);
}

/* ---- all meters ---- */

struct kv_meters *kv_meters_create(void)
{
    struct kv_meters *meters = kv_calloc(1, sizeof(*meters));
    pthread_mutex_init(&meters->lock, NULL);
    kv_list_init(&meters->unheld);
    kv_list_init(&meters->others.in_unheld);
    meters->others.meters = meters;
    return meters;
}

static void forget(struct kv_meters *meters, struct kv_meter *meter)
{
    kv_table_remove(&meters->table, &meter->node);
    kv_list_remove(&meter->in_unheld);
    free(meter);
}

static struct kv_meter *oldest_unheld(const struct kv_meters *meters)
{
    return kv_list_is_empty(&meters->unheld)
               ? NULL
               : KV_CONTAINER(meters->unheld.next, struct kv_meter, in_unheld);
}

void kv_meters_destroy(struct kv_meters *meters)
{
    for (struct kv_meter *meter; (meter = oldest_unheld(meters)) != NULL;)
        forget(meters, meter);
    kv_table_fini(&meters->table);
    pthread_mutex_destroy(&meters->lock);
    free(meters);
}

static void forget_empty(struct kv_meters *meters, int64_t now_ns)
{
    for (int i = 0; i < MOST_FORGOTTEN; i++) {
        struct kv_meter *meter = oldest_unheld(meters);
        if (meter == NULL || !is_empty(meter, now_ns))
            return;
        forget(meters, meter);
    }
}

static struct kv_meter *find(const struct kv_meters *meters, const unsigned char key[KEY_BYTES],
                             uint64_t hash)
{
    KV_TABLE_EACH(&meters->table, hash, node)
    {
        struct kv_meter *meter = KV_CONTAINER(node, struct kv_meter, node);
        if (memcmp(meter->key, key, KEY_BYTES) == 0)
            return meter;
    }
    return NULL;
}

/* Returns: whether there is room for one more. If not, drops the meter that was given back longest
 * ago, even if its time has not come. */
static bool make_room(struct kv_meters *meters)
{
    struct kv_meter *oldest = oldest_unheld(meters);
    if (meters->table.n < KV_MOST_METERS)
        return true;
    if (oldest != NULL)
        forget(meters, oldest);
    return oldest != NULL;
}

static struct kv_meter *add(struct kv_meters *meters, const unsigned char key[KEY_BYTES],
                            uint64_t hash)
{
    if (!make_room(meters))
        return &meters->others;
    struct kv_meter *meter = kv_calloc(1, sizeof(*meter));
    meter->meters = meters;
    memcpy(meter->key, key, KEY_BYTES);
    kv_list_init(&meter->in_unheld);
    kv_table_insert(&meters->table, &meter->node, hash);
    return meter;
}

static struct kv_meter *get(struct kv_meters *meters, const unsigned char key[KEY_BYTES],
                            int64_t now_ns)
{
    uint64_t hash = kv_hash((struct kv_slice){(const char *)key, KEY_BYTES});
    pthread_mutex_lock(&meters->lock);
    forget_empty(meters, now_ns);
    struct kv_meter *meter = find(meters, key, hash);
    if (meter == NULL)
        meter = add(meters, key, hash);
    kv_list_remove(&meter->in_unheld);
    meter->n_holders++;
    pthread_mutex_unlock(&meters->lock);
    return meter;
}

/* A digest cannot equal the key of an address. */
struct kv_meter *kv_meters_of_name(struct kv_meters *meters, struct kv_slice issuer,
                                   struct kv_slice name, int64_t now_ns)
{
    unsigned char key[KEY_BYTES];
    struct kv_buffer text = {0};
    kv_buffer_append_u64(&text, issuer.len);
    kv_buffer_append_char(&text, ' ');
    kv_buffer_append(&text, issuer);
    kv_buffer_append(&text, name);
    SHA256((const unsigned char *)text.bytes, text.len, key);
    kv_buffer_fini(&text);
    return get(meters, key, now_ns);
}

struct kv_meter *kv_meters_of_address(struct kv_meters *meters, const struct kv_address *address,
                                      int64_t now_ns)
{
    unsigned char key[KEY_BYTES] = {address->len};
    size_t len = address->len < NETWORK_BYTES ? address->len : NETWORK_BYTES;
    memcpy(key + 1, address->bytes, len);
    return get(meters, key, now_ns);
}

void kv_meter_put(struct kv_meter *meter)
{
    if (meter == NULL)
        return;
    struct kv_meters *meters = meter->meters;
    pthread_mutex_lock(&meters->lock);
    if (--meter->n_holders == 0 && meter != &meters->others)
        kv_list_append(&meters->unheld, &meter->in_unheld);
    pthread_mutex_unlock(&meters->lock);
}

size_t kv_meters_count(struct kv_meters *meters)
{
    pthread_mutex_lock(&meters->lock);
    size_t n = meters->table.n;
    pthread_mutex_unlock(&meters->lock);
    return n;
}
