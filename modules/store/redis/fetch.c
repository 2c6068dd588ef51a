#include "fetch.h"

#include "login.h"
#include "request.h"

int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record)
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
