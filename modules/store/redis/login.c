#include "login.h"

#include "../../redis_client/request.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    LEAST_MAJOR = 7, /* version of Redis */
    LONGEST_NUMBER = 24,
};

struct attempt login_attempt(struct kv_store *store, struct link *link, struct kv_error *reterr)
{
    return (struct attempt){store, link, link_clock_ms() + store->settings.timeout_ms, reterr,
                            NULL};
}

const struct address *login_address(const struct attempt *attempt)
{
    return &attempt->store->settings.address;
}

int login_ask(const struct attempt *attempt, const struct kv_slice *words, size_t n,
              struct kv_slice *ret_reply)
{
    *ret_reply = (struct kv_slice){0};
    if (!request_words(&attempt->link->out, words, n))
        return kv_error_set(attempt->reterr, "no memory");
    return link_wait(attempt->link, login_address(attempt), attempt->until_ms, ret_reply,
                     attempt->reterr);
}

int login_fail(const struct attempt *attempt, struct kv_slice word, struct kv_slice reply)
{
    struct resp_value value = {0};
    resp_next(&reply, &value);
    return kv_error_set(attempt->reterr, "Redis at %s: %.*s: %.*s", login_address(attempt)->text,
                        (int)word.len, word.bytes, (int)value.text.len, value.text.bytes);
}

int login_demand(const struct attempt *attempt, const struct kv_slice *words, size_t n,
                 struct resp_value *ret_value, struct kv_slice *ret_reply)
{
    if (login_ask(attempt, words, n, ret_reply) != 0)
        return -1;
    if (resp_is_error(*ret_reply))
        return login_fail(attempt, words[0], *ret_reply);
    if (!resp_next(ret_reply, ret_value))
        return kv_error_set(attempt->reterr, "Redis at %s answers nothing",
                            login_address(attempt)->text);
    return 0;
}

int login_demand_done(const struct attempt *attempt, const struct kv_slice *words, size_t n)
{
    struct resp_value value;
    struct kv_slice reply;
    return login_demand(attempt, words, n, &value, &reply);
}

static int check_version(const struct attempt *attempt, struct kv_slice version)
{
    if (resp_read_digits(version) >= LEAST_MAJOR)
        return 0;
    return kv_error_set(attempt->reterr, "Redis at %s has version %.*s: 7.0 or later is needed",
                        login_address(attempt)->text, (int)version.len, version.bytes);
}

/* Reads the map that answers HELLO. */
static int read_hello(const struct attempt *attempt, struct kv_slice reply, uint64_t *ret_id)
{
    struct resp_value name, value;
    struct kv_slice version = {0}, role = {0};
    while (resp_next(&reply, &name) && resp_next(&reply, &value)) {
        if (kv_slice_equals(name.text, KV_SLICE("version")))
            version = value.text;
        else if (kv_slice_equals(name.text, KV_SLICE("role")))
            role = value.text;
        else if (kv_slice_equals(name.text, KV_SLICE("id")))
            *ret_id = (uint64_t)value.number;
    }
    if (version.len == 0)
        return kv_error_set(attempt->reterr, "Redis at %s does not tell its version",
                            login_address(attempt)->text);
    attempt->store->is_at_master = kv_slice_equals(role, KV_SLICE("master"));
    if (attempt->store->master != NULL && !attempt->store->is_at_master)
        return kv_error_set(attempt->reterr, "Redis at %s is not a master yet, or no longer",
                            login_address(attempt)->text);
    return check_version(attempt, version);
}

static int say_hello(const struct attempt *attempt, uint64_t *ret_id)
{
    const struct settings *settings = &attempt->store->settings;
    struct kv_slice user = settings->user.len != 0 ? settings->user : KV_SLICE("default");
    const struct kv_slice words[] = {KV_SLICE("HELLO"), KV_SLICE("3"), KV_SLICE("AUTH"), user,
                                     settings->password};
    struct resp_value value;
    struct kv_slice reply;
    size_t n = settings->password.len != 0 ? 5 : 2;
    return login_demand(attempt, words, n, &value, &reply) == 0 ? read_hello(attempt, reply, ret_id)
                                                                : -1;
}

static int select_database(const struct attempt *attempt)
{
    char number[LONGEST_NUMBER];
    if (attempt->store->settings.database == 0)
        return 0;
    snprintf(number, sizeof(number), "%" PRId64, attempt->store->settings.database);
    return login_demand_done(attempt, (struct kv_slice[]){KV_SLICE("SELECT"), kv_slice_of(number)},
                             2);
}

int login_connect(const struct attempt *attempt, uint64_t *ret_id)
{
    if (link_connect(attempt->link, login_address(attempt), attempt->until_ms, attempt->reterr) !=
        0)
        return -1;
    return say_hello(attempt, ret_id) == 0 ? select_database(attempt) : -1;
}

static struct kv_slice find_run_id(struct kv_slice info)
{
    struct kv_slice name = KV_SLICE("run_id:");
    const char *at = memmem(info.bytes, info.len, name.bytes, name.len);
    if (at == NULL)
        return (struct kv_slice){0};
    at += name.len;
    const char *end = memchr(at, '\r', (size_t)(info.bytes + info.len - at));
    return (struct kv_slice){at, end == NULL ? 0 : (size_t)(end - at)};
}

int login_ask_run(const struct attempt *attempt, char *ret_id)
{
    const struct kv_slice words[] = {KV_SLICE("INFO"), KV_SLICE("server")};
    struct resp_value value = {0};
    struct kv_slice reply;
    if (login_ask(attempt, words, 2, &reply) != 0)
        return -1;
    resp_next(&reply, &value);
    struct kv_slice run_id = find_run_id(value.text);
    if (value.type != RESP_ERROR && run_id.len != 0 && run_id.len < RUN_ID)
        snprintf(ret_id, RUN_ID, "%.*s", (int)run_id.len, run_id.bytes);
    return 0;
}
