#include "nodes.h"

#include "event.h"
#include "../../redis_client/options.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    MOST_HOPS = 4,
    N_SLOTS = 16384,
    HASTE = 4,
};

struct node {
    char host[REDIS_LONGEST_HOST];
    int port;
    bool is_configured;
    bool has_failed; /* the last connection to it */
    bool is_replica; /* in the last answer that it is in */
    uint64_t named;  /* the number of the last answer that it is in */
};

struct nodes {
    pthread_mutex_t lock;
    uint64_t n_answers; /* to CLUSTER SLOTS */
    size_t n;
    struct node all[MOST_NODES];
};

struct nodes *nodes_create(void)
{
    struct nodes *nodes = calloc(1, sizeof(*nodes));
    if (nodes != NULL)
        pthread_mutex_init(&nodes->lock, NULL);
    return nodes;
}

void nodes_destroy(struct nodes *nodes)
{
    if (nodes != NULL)
        pthread_mutex_destroy(&nodes->lock);
    free(nodes);
}

static bool is_node(const struct node *node, struct kv_slice host, int port)
{
    return node->port == port && kv_slice_equals(kv_slice_of(node->host), host);
}

/* Under the lock. NULL: it is not known. */
static struct node *find(struct nodes *nodes, struct kv_slice host, int port)
{
    for (size_t i = 0; i < nodes->n; i++)
        if (is_node(&nodes->all[i], host, port))
            return &nodes->all[i];
    return NULL;
}

/* Under the lock. Returns: a place for another node, in which a learned one may be, of those that
 * cannot be reached the one that was named the longest time ago; NULL: there is none. */
static struct node *make_room(struct nodes *nodes)
{
    struct node *worst = NULL;
    if (nodes->n < MOST_NODES)
        return &nodes->all[nodes->n++];
    for (struct node *each = nodes->all; each < nodes->all + nodes->n; each++) {
        bool is_worse = worst == NULL || (each->has_failed && !worst->has_failed) ||
                        (each->has_failed == worst->has_failed && each->named < worst->named);
        if (!each->is_configured && is_worse)
            worst = each;
    }
    return worst;
}

/* Under the lock. Returns: NULL if there is no room. */
static struct node *find_or_add(struct nodes *nodes, struct kv_slice host, int port)
{
    struct node *node = find(nodes, host, port);
    if (node != NULL || host.len >= REDIS_LONGEST_HOST || (node = make_room(nodes)) == NULL)
        return node;
    *node = (struct node){.port = port};
    snprintf(node->host, REDIS_LONGEST_HOST, "%.*s", (int)host.len, host.bytes);
    return node;
}

void nodes_add(struct nodes *nodes, struct kv_slice host, int port)
{
    pthread_mutex_lock(&nodes->lock);
    struct node *node = find_or_add(nodes, host, port);
    if (node != NULL)
        node->is_configured = true;
    pthread_mutex_unlock(&nodes->lock);
}

void nodes_note(struct nodes *nodes, struct kv_slice host, int port, bool is_reached)
{
    pthread_mutex_lock(&nodes->lock);
    struct node *node = find(nodes, host, port);
    if (node != NULL)
        node->has_failed = !is_reached;
    pthread_mutex_unlock(&nodes->lock);
}

static uint64_t begin_answer(struct nodes *nodes)
{
    pthread_mutex_lock(&nodes->lock);
    uint64_t number = ++nodes->n_answers;
    pthread_mutex_unlock(&nodes->lock);
    return number;
}

/* A master with several ranges is in an answer several times. */
static void learn(struct nodes *nodes, const struct owner *owner, bool is_replica, uint64_t answer)
{
    pthread_mutex_lock(&nodes->lock);
    struct node *node = find_or_add(nodes, owner->host, owner->port);
    if (node != NULL && node->named <= answer) {
        node->named = answer;
        node->is_replica = is_replica;
    }
    pthread_mutex_unlock(&nodes->lock);
}

size_t nodes_list_masters(struct nodes *nodes, struct place ret[MOST_NODES])
{
    size_t n = 0;
    pthread_mutex_lock(&nodes->lock);
    for (size_t i = 0; i < nodes->n; i++) {
        const struct node *node = &nodes->all[i];
        if (node->is_replica || node->named == 0)
            continue;
        memcpy(ret[n].host, node->host, REDIS_LONGEST_HOST);
        ret[n].port = node->port;
        ret[n++].has_failed = node->has_failed;
    }
    pthread_mutex_unlock(&nodes->lock);
    return n;
}

/* An answer may be outdated, and a node unreachable for a while: so both have to speak against it.
 */
static void forget_others(struct nodes *nodes, uint64_t answer)
{
    size_t n = 0;
    pthread_mutex_lock(&nodes->lock);
    for (size_t i = 0; i < nodes->n; i++) {
        const struct node *node = &nodes->all[i];
        if (node->is_configured || !node->has_failed || node->named >= answer)
            nodes->all[n++] = *node;
    }
    nodes->n = n;
    pthread_mutex_unlock(&nodes->lock);
}

/* ---- slots ---- */

/* CRC16 (XMODEM), with which Redis Cluster maps keys to slots. */
unsigned nodes_slot_of(const char *tag)
{
    unsigned crc = 0;
    for (; *tag != '\0'; tag++) {
        crc ^= (unsigned)(unsigned char)*tag << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000) != 0 ? (crc << 1 ^ 0x1021) & 0xffff : crc << 1;
    }
    return crc % N_SLOTS;
}

void nodes_write_tag(uint32_t part, uint32_t n_parts, char tag[LONGEST_TAG])
{
    unsigned number = 0;
    if (n_parts == 1) {
        snprintf(tag, LONGEST_TAG, "0");
        return;
    }
    do
        snprintf(tag, LONGEST_TAG, "%u", number++);
    while (nodes_slot_of(tag) * n_parts / N_SLOTS != part);
}

/* FNV-1a, mixed. Returns: 32 bits. */
static uint64_t hash_of(struct kv_slice bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.bytes[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return hash >> 32;
}

static uint32_t number_of_node(struct kv_slice id)
{
    return (uint32_t)hash_of(id) % TOKEN_NODE | TOKEN_NODE;
}

/* ---- connecting ---- */

void nodes_point_to(struct kv_store *store, struct kv_slice host, int port)
{
    struct address *address = &store->settings.address;
    bool has_own_name = address->tls.name.bytes != store->node_host;
    if (host.bytes != store->node_host)
        snprintf(store->node_host, sizeof(store->node_host), "%.*s", (int)host.len, host.bytes);
    address->host = kv_slice_of(store->node_host);
    address->port = port;
    if (!has_own_name)
        address->tls.name = address->host;
    redis_address_write_text(address);
}

int64_t nodes_patience_ms(const struct kv_store *store)
{
    return store->settings.timeout_ms / (may_be_replaced(store) ? HASTE : 1);
}

void nodes_try_next(struct kv_store *store)
{
    struct nodes *nodes = store->nodes;
    pthread_mutex_lock(&nodes->lock);
    struct node node = nodes->all[store->next_node++ % nodes->n];
    pthread_mutex_unlock(&nodes->lock);
    nodes_point_to(store, kv_slice_of(node.host), node.port);
}

/* Skips a value with everything in it. */
static bool skip(struct kv_slice *reply)
{
    struct resp_value value;
    for (int64_t left = 1; left != 0; left--) {
        if (!resp_next(reply, &value))
            return false;
        if (value.type == RESP_ARRAY || value.type == RESP_MAP || value.type == RESP_SET)
            left += value.number;
    }
    return true;
}

static bool take_number(struct kv_slice *reply, int64_t *ret)
{
    struct resp_value value;
    if (!resp_next(reply, &value))
        return false;
    *ret = value.number;
    return true;
}

/* A node: its host, its port, its ID, and more. Without a host it is the one that was asked. */
static bool take_node(struct kv_store *store, struct kv_slice *reply, bool is_replica,
                      uint64_t answer, struct owner *ret)
{
    struct resp_value host, id = {0};
    int64_t n, port;
    if (!take_number(reply, &n) || n < 2 || !resp_next(reply, &host) ||
        !take_number(reply, &port) || port < 1 || port > 65535 ||
        host.text.len >= REDIS_LONGEST_HOST)
        return false;
    *ret = (struct owner){.host = host.text.len != 0 ? host.text : store->settings.address.host,
                          .port = (int)port};
    learn(store->nodes, ret, is_replica, answer);
    if (n > 2 && !resp_next(reply, &id))
        return false;
    if (id.type == RESP_STRING && id.text.len != 0)
        ret->node = number_of_node(id.text);
    for (; n > 3; n--)
        if (!skip(reply))
            return false;
    return true;
}

/* A range: its first and last slot, its master, its replicas. */
static bool take_range(struct kv_store *store, unsigned slot, struct kv_slice *reply,
                       uint64_t answer, struct owner *owner)
{
    int64_t n, first, last;
    if (!take_number(reply, &n) || !take_number(reply, &first) || !take_number(reply, &last))
        return false;
    for (int64_t i = 2; i < n; i++) {
        struct owner node;
        if (!take_node(store, reply, i != 2, answer, &node))
            return false;
        if (i == 2 && first <= slot && slot <= last)
            *owner = node;
    }
    return true;
}

/* store: the one that has asked. */
static int read_slots(struct kv_store *store, unsigned slot, struct kv_slice reply,
                      struct owner *ret_owner)
{
    struct resp_value ranges;
    uint64_t answer = begin_answer(store->nodes);
    *ret_owner = (struct owner){0};
    if (!resp_next(&reply, &ranges) || ranges.type != RESP_ARRAY)
        return -1;
    for (int64_t i = 0; i < ranges.number; i++)
        if (!take_range(store, slot, &reply, answer, ret_owner))
            return -1;
    if (ranges.number > 0)
        forget_others(store->nodes, answer);
    return 0;
}

int nodes_read_slots(struct kv_store *store, struct kv_slice reply, struct owner *ret_owner)
{
    return read_slots(store, nodes_slot_of(store->tag), reply, ret_owner);
}

static int ask_for_slots(const struct attempt *attempt, struct kv_slice *ret_reply)
{
    const struct kv_slice words[] = {KV_SLICE("CLUSTER"), KV_SLICE("SLOTS")};
    if (login_ask(attempt, words, 2, ret_reply) != 0)
        return -1;
    return resp_is_error(*ret_reply) ? login_fail(attempt, words[0], *ret_reply) : 0;
}

static int fail_to_read_slots(const struct attempt *attempt)
{
    return kv_error_set(attempt->reterr, "Redis at %s: its answer to CLUSTER SLOTS is malformed",
                        login_address(attempt)->text);
}

static bool is_at(const struct owner *owner, const struct address *address)
{
    return owner->port == address->port && kv_slice_equals(owner->host, address->host);
}

/* Returns: 1 if the node that was asked has the slot; 0 if another one has it, to which the store
 * points now; -1 and *reterr. */
static int look_for_owner(const struct attempt *attempt)
{
    struct kv_store *store = attempt->store;
    struct kv_slice reply;
    struct owner owner;
    if (ask_for_slots(attempt, &reply) != 0)
        return -1;
    if (nodes_read_slots(store, reply, &owner) != 0)
        return fail_to_read_slots(attempt);
    if (owner.host.len == 0)
        return kv_error_set(attempt->reterr, "Redis Cluster: no node serves partition %u",
                            store->part);
    store->node = owner.node;
    if (is_at(&owner, login_address(attempt)))
        return 1;
    nodes_point_to(store, owner.host, owner.port);
    return 0;
}

static int reach(const struct attempt *attempt, uint64_t *ret_id)
{
    const struct address *address = login_address(attempt);
    int result = login_connect(attempt, ret_id);
    nodes_note(attempt->store->nodes, address->host, address->port, result == 0);
    return result;
}

uint64_t nodes_number(const struct kv_store *store)
{
    const struct address *address = &store->settings.address;
    return hash_of(address->host) << 32 | (uint64_t)address->port << 1 | 1;
}

int nodes_connect(const struct attempt *attempt, uint64_t *ret_id)
{
    struct kv_store *store = attempt->store;
    struct attempt one = *attempt;
    int result = 0;
    for (int hop = 0; hop < MOST_HOPS && result == 0; hop++) {
        one.until_ms = link_clock_ms() + nodes_patience_ms(store);
        result = reach(&one, ret_id) == 0 ? look_for_owner(&one) : -1;
    }
    if (result == 1)
        return 0;
    if (result == 0)
        kv_error_set(attempt->reterr,
                     "Redis Cluster: the masters do not agree on which of them owns partition %u; "
                     "if that lasts, repair slot %u with `redis-cli --cluster fix`",
                     store->part, nodes_slot_of(store->tag));
    return -1;
}

int nodes_find_beside(const struct attempt *attempt, struct kv_store *const *parts, uint32_t n,
                      bool *ret_are_beside)
{
    struct kv_slice reply;
    if (ask_for_slots(attempt, &reply) != 0)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        struct owner owner;
        if (read_slots(attempt->store, nodes_slot_of(parts[i]->tag), reply, &owner) != 0)
            return fail_to_read_slots(attempt);
        ret_are_beside[i] = parts[i] != attempt->store && is_at(&owner, login_address(attempt));
        if (ret_are_beside[i])
            nodes_point_to(parts[i], owner.host, owner.port);
    }
    return 0;
}

/* Returns: the number of the connected node, made of its ID; 0: it does not say. */
static uint32_t ask_number(const struct attempt *attempt)
{
    const struct kv_slice words[] = {KV_SLICE("CLUSTER"), KV_SLICE("MYID")};
    struct resp_value id;
    struct kv_slice reply;
    bool is_told = login_ask(attempt, words, 2, &reply) == 0 && resp_next(&reply, &id) &&
                   id.type == RESP_STRING && id.text.len != 0;
    return is_told ? number_of_node(id.text) : 0;
}

int nodes_find_own(const struct attempt *attempt, struct kv_store *const *parts, uint32_t n,
                   bool *ret_has)
{
    struct kv_slice reply;
    uint32_t number = ask_number(attempt);
    if (number == 0)
        return kv_error_set(attempt->reterr, "Redis at %s does not tell its ID",
                            login_address(attempt)->text);
    if (n == 1) {
        ret_has[0] = parts[0]->node == number || parts[0]->node == 0;
        return 0;
    }
    if (ask_for_slots(attempt, &reply) != 0)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        struct owner owner;
        if (read_slots(attempt->store, nodes_slot_of(parts[i]->tag), reply, &owner) != 0)
            return fail_to_read_slots(attempt);
        ret_has[i] = owner.node == number || owner.node == 0;
    }
    return 0;
}
