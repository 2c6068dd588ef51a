#include "moving.h"

#include "chain.h"
#include "nodes.h"
#include "../../redis_client/options.h"

#include <stdlib.h>

struct reading {
    int64_t us;      /* before `newest` was read */
    uint64_t newest; /* revision; 0: the node does not have it */
    char at[256];    /* the node that may have it; empty: none */
};

static int read_time(const struct attempt *attempt, int64_t *ret_us)
{
    struct resp_value value, seconds = {0}, us = {0};
    struct kv_slice reply;
    if (login_demand(attempt, (struct kv_slice[]){KV_SLICE("TIME")}, 1, &value, &reply) != 0)
        return -1;
    if (!resp_next(&reply, &seconds) || !resp_next(&reply, &us) || us.type != RESP_STRING)
        return -1;
    *ret_us = strtoll(seconds.text.bytes, NULL, 10) * 1000000 + strtoll(us.text.bytes, NULL, 10);
    return 0;
}

/* "ASK 1234 10.0.0.7:7000" */
static void note_where(struct kv_slice text, struct reading *reading)
{
    const char *space = memrchr(text.bytes, ' ', text.len);
    if (!kv_slice_has_prefix(text, KV_SLICE("ASK ")) || space == NULL)
        return;
    size_t len = (size_t)(text.bytes + text.len - space - 1);
    snprintf(reading->at, sizeof(reading->at), "%.*s", (int)len, space + 1);
}

static int read_newest(const struct attempt *attempt, struct reading *reading)
{
    const struct kv_slice words[] = {KV_SLICE("GET"), name_slice(&attempt->store->names.newest)};
    struct resp_value value = {0};
    struct kv_slice reply;
    if (login_ask(attempt, words, 2, &reply) != 0 || !resp_next(&reply, &value))
        return -1;
    if (value.type == RESP_ERROR)
        note_where(value.text, reading);
    else if (value.type == RESP_STRING)
        reading->newest = strtoull(value.text.bytes, NULL, 10);
    return 0;
}

static int look(struct kv_store *store, bool asks, struct reading *ret)
{
    struct kv_error error;
    struct attempt attempt = {store, &store->fetch, link_clock_ms() + nodes_patience_ms(store),
                              &error, NULL};
    uint64_t id;
    *ret = (struct reading){0};
    link_close(&store->fetch);
    if (login_connect(&attempt, &id) != 0 || read_time(&attempt, &ret->us) != 0)
        return -1;
    if (asks && login_demand_done(&attempt, (struct kv_slice[]){KV_SLICE("ASKING")}, 1) != 0)
        return -1;
    return read_newest(&attempt, ret);
}

static int look_at_both(struct kv_store *store, struct reading *ret)
{
    struct kv_slice host;
    int port;
    if (look(store, false, ret) != 0)
        return -1;
    if (ret->at[0] == '\0')
        return 0;
    if (!redis_address_parse(kv_slice_of(ret->at), &host, &port))
        return -1;
    nodes_point_to(store, host, port);
    return look(store, true, ret);
}

void moving_pass(struct kv_store *store)
{
    struct reading reading;
    if (store->position != 0 && look_at_both(store, &reading) == 0 &&
        reading.newest == store->position)
        chain_pass(store, reading.us);
    link_close(&store->fetch);
}
