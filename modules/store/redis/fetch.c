#include "fetch.h"

#include "login.h"
#include "nodes.h"
#include "../../redis_client/options.h"
#include "../../redis_client/request.h"

/* Returns: -1 if the node does not answer. */
static int ask(const struct attempt *attempt, struct kv_slice key, struct resp_value *ret_value)
{
    struct kv_slice reply;
    struct buffer *out = &attempt->link->out;
    if (!buffer_reserve(out, key.len + LONGEST_NAME + 3 * REQUEST_WORD))
        return -1;
    request_begin(out, 2);
    request_word(out, KV_SLICE("GET"));
    request_joined(out, name_slice(&attempt->store->names.record), key);
    if (link_wait(attempt->link, login_address(attempt), attempt->until_ms, &reply,
                  attempt->reterr) != 0 ||
        !resp_next(&reply, ret_value))
        return -1;
    return 0;
}

static int connect_if_closed(const struct attempt *attempt)
{
    uint64_t id;
    return attempt->link->fd >= 0 ? 0 : login_connect(attempt, &id);
}

/* "ASK 1234 10.0.0.7:7000", or "MOVED …". Returns: whether it is that. ret_at: FETCH_ADDRESS bytes.
 */
static bool says_where(const struct kv_store *store, const struct resp_value *value, bool *ret_asks,
                       char *ret_at)
{
    struct kv_slice text = value->text;
    if (store->nodes == NULL || value->type != RESP_ERROR)
        return false;
    const char *space = memrchr(text.bytes, ' ', text.len);
    *ret_asks = kv_slice_has_prefix(text, KV_SLICE("ASK "));
    if (space == NULL || !(*ret_asks || kv_slice_has_prefix(text, KV_SLICE("MOVED "))))
        return false;
    size_t len = (size_t)(text.bytes + text.len - space - 1);
    snprintf(ret_at, FETCH_ADDRESS, "%.*s", (int)len, space + 1);
    return true;
}

static int ask_there(const struct attempt *attempt, bool asks, struct kv_slice key,
                     struct resp_value *ret_value)
{
    if (connect_if_closed(attempt) != 0)
        return -1;
    if (asks && login_demand_done(attempt, (struct kv_slice[]){KV_SLICE("ASKING")}, 1) != 0)
        return -1;
    return ask(attempt, key, ret_value);
}

/* The slot is being moved, and the key is at another node already. The session stays where it is:
 * this node still answers for all that it has been sent. */
static int follow(struct kv_store *store, const char *at, bool asks, struct kv_slice key,
                  struct resp_value *ret_value)
{
    struct kv_error error;
    struct kv_slice host;
    char own_host[sizeof(store->node_host)];
    int port, own_port = store->settings.address.port;
    if (!redis_address_parse(kv_slice_of(at), &host, &port))
        return -1;
    snprintf(own_host, sizeof(own_host), "%s", store->node_host);
    link_close(&store->fetch);
    nodes_point_to(store, host, port);
    struct attempt attempt = login_attempt(store, &store->fetch, &error);
    int result = ask_there(&attempt, asks, key, ret_value);
    nodes_point_to(store, kv_slice_of(own_host), own_port);
    store->is_fetch_elsewhere = true;
    return result;
}

static int try_to_fetch(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record)
{
    struct kv_error error;
    struct attempt attempt = login_attempt(store, &store->fetch, &error);
    struct resp_value value = {0};
    char at[FETCH_ADDRESS];
    bool asks;
    if (connect_if_closed(&attempt) != 0)
        return -1;
    int result = ask(&attempt, key, &value);
    if (result == 0 && says_where(store, &value, &asks, at))
        result = follow(store, at, asks, key, &value);
    if (result != 0 || value.type == RESP_ERROR) {
        link_close(&store->fetch);
        return -1;
    }
    *ret_record = value.text;
    return 0;
}

int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record)
{
    bool was_open = store->fetch.fd >= 0; /* Redis may have closed it, as it was idle */
    int result = try_to_fetch(store, key, ret_record);
    return result != 0 && was_open ? try_to_fetch(store, key, ret_record) : result;
}

void fetch_release(struct kv_store *store)
{
    struct kv_slice message;
    if (store->is_fetch_elsewhere || link_next(&store->fetch, &message) != 0)
        link_close(&store->fetch);
    store->is_fetch_elsewhere = false;
}
