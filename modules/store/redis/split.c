#include "split.h"

#include "nodes.h"

#include <stdlib.h>

enum {
    FAILED_MS = 100,  /* for a node that could not be reached the last time */
    LONGEST_SLOT = 8, /* digits */
};

/* Returns: how many keys of the partition the connected node has; 0: or it does not say. */
static int64_t count_keys(const struct attempt *attempt, const struct kv_store *part)
{
    char slot[LONGEST_SLOT];
    snprintf(slot, sizeof(slot), "%u", nodes_slot_of(part->tag));
    const struct kv_slice words[] = {KV_SLICE("CLUSTER"), KV_SLICE("COUNTKEYSINSLOT"),
                                     kv_slice_of(slot)};
    struct resp_value value;
    struct kv_slice reply;
    bool is_counted = login_ask(attempt, words, 3, &reply) == 0 && resp_next(&reply, &value) &&
                      value.type == RESP_INTEGER;
    return is_counted ? value.number : 0;
}

struct looking {
    struct kv_store *const *parts; /* the first asks */
    uint32_t n;
    bool have_strays[MOST_PARTS];
    struct place at; /* the last node with strays */
};

static void find_strays(const struct attempt *attempt, const struct place *place,
                        struct looking *looking)
{
    bool has[MOST_PARTS];
    if (nodes_find_own(attempt, looking->parts, looking->n, has) != 0)
        return;
    for (uint32_t i = 0; i < looking->n; i++)
        if (!has[i] && count_keys(attempt, looking->parts[i]) > 0) {
            looking->have_strays[i] = true;
            looking->at = *place;
        }
}

static void look_at(const struct place *place, struct looking *looking)
{
    struct kv_store *first = looking->parts[0];
    int64_t patience_ms = place->has_failed ? FAILED_MS : nodes_patience_ms(first);
    struct kv_error error;
    struct attempt attempt = {first, &first->fetch, link_clock_ms() + patience_ms, &error, NULL};
    uint64_t id;
    link_close(&first->fetch);
    nodes_point_to(first, kv_slice_of(place->host), place->port);
    bool is_reached = login_connect(&attempt, &id) == 0;
    nodes_note(first->nodes, kv_slice_of(place->host), place->port, is_reached);
    if (is_reached && first->is_at_master)
        find_strays(&attempt, place, looking);
    link_close(&first->fetch);
}

static int look_at_masters(struct looking *looking, struct kv_error *reterr)
{
    struct kv_store *first = looking->parts[0];
    struct place *places = calloc(MOST_NODES, sizeof(*places));
    char own_host[sizeof(first->node_host)];
    int own_port = first->settings.address.port;
    if (places == NULL)
        return kv_error_set(reterr, "no memory");
    snprintf(own_host, sizeof(own_host), "%s", first->node_host);
    size_t n = nodes_list_masters(first->nodes, places);
    for (size_t i = 0; i < n; i++)
        look_at(&places[i], looking);
    nodes_point_to(first, kv_slice_of(own_host), own_port);
    free(places);
    return 0;
}

static int fail(const struct looking *looking, uint32_t part, struct kv_error *reterr)
{
    return kv_error_set(
        reterr,
        "Redis Cluster: %s:%d has keys of partition %u, which another master serves: "
        "their move was interrupted, and has to be completed (redis-cli --cluster "
        "fix)",
        looking->at.host, looking->at.port, part);
}

/* Whether Redis refuses what it cannot see in full: then it does so for a key that never exists. */
static int is_marked(const struct attempt *attempt, bool *ret)
{
    const struct kv_slice words[] = {KV_SLICE("GET"), name_slice(&attempt->store->names.nothing)};
    struct resp_value value = {0};
    struct kv_slice reply;
    if (login_ask(attempt, words, 2, &reply) != 0)
        return -1;
    *ret = resp_next(&reply, &value) && value.type == RESP_ERROR &&
           kv_slice_has_prefix(value.text, KV_SLICE("ASK "));
    return 0;
}

int split_look(const struct attempt *attempt)
{
    struct kv_store *store = attempt->store;
    struct looking looking = {.parts = &store, .n = 1};
    bool is_safe;
    store->is_split = false;
    if (is_marked(attempt, &is_safe) != 0)
        return -1;
    if (is_safe)
        return 0;
    if (look_at_masters(&looking, attempt->reterr) != 0)
        return -1;
    store->is_split = looking.have_strays[0];
    return store->is_split ? fail(&looking, store->part, attempt->reterr) : 0;
}

/* Of the partition, at the node that has it. */
static int look_for_mark(struct kv_store *part, bool *ret, struct kv_error *reterr)
{
    struct attempt attempt = login_attempt(part, &part->fetch, reterr);
    uint64_t id;
    int result = nodes_connect(&attempt, &id) == 0 ? is_marked(&attempt, ret) : -1;
    link_close(&part->fetch);
    return result;
}

int split_look_at_all(struct kv_store *const *parts, uint32_t n, struct kv_error *reterr)
{
    struct looking looking = {.parts = parts, .n = n};
    if (look_at_masters(&looking, reterr) != 0)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        bool is_safe = !looking.have_strays[i];
        if (!is_safe && look_for_mark(parts[i], &is_safe, reterr) != 0)
            return -1;
        if (!is_safe)
            return fail(&looking, parts[i]->part, reterr);
    }
    return 0;
}
