#include "fetch.h"

#include "login.h"
#include "../../redis_client/request.h"

static int try_to_fetch(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record)
{
    struct kv_error error;
    struct attempt attempt = login_attempt(store, &store->fetch, &error);
    struct resp_value value = {0};
    uint64_t id;
    if (store->fetch.fd < 0 && login_connect(&attempt, &id) != 0)
        return -1;
    struct buffer *out = &store->fetch.out;
    if (!buffer_reserve(out, key.len + LONGEST_NAME + 3 * REQUEST_WORD))
        return -1;
    request_begin(out, 2);
    request_word(out, KV_SLICE("GET"));
    request_joined(out, name_slice(&store->names.record), key);
    struct kv_slice reply;
    if (link_wait(&store->fetch, login_address(&attempt), attempt.until_ms, &reply, &error) != 0 ||
        !resp_next(&reply, &value) || value.type == RESP_ERROR) {
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
