/* All sentinels are asked, as one on the wrong side of a network partition names the old master
 * while the partition lasts. */
#include "sentinel.h"

#include "request.h"

#include <stdlib.h>

enum {
    REST_MS = 5000, /* for one that did not answer while others do */
    LEAST_PATIENCE_MS = 100,
};

struct sentinel {
    struct address address;
    char host[REDIS_LONGEST_HOST];
    struct resolver resolver;
    struct link link;
    int64_t rests_until_ms;
};

bool master_address_equals(const struct master_address *one, const struct master_address *other)
{
    return one->port == other->port && strcmp(one->host, other->host) == 0;
}

/* ---- making and ending ---- */

static void init(struct sentinel *sentinel, const struct kv_option_value *options,
                 struct kv_slice where, const atomic_bool *gives_up)
{
    struct address *address = &sentinel->address;
    bool has_own_name = options[REDIS_TLS].list.items[REDIS_TLS_NAME].string.len != 0;
    struct kv_slice host = {0};
    redis_options_read(options, address);
    redis_address_parse(where, &host, &address->port);
    snprintf(sentinel->host, sizeof(sentinel->host), "%.*s", (int)host.len, host.bytes);
    address->host = kv_slice_of(sentinel->host);
    if (!has_own_name)
        address->tls.name = address->host;
    address->resolver = &sentinel->resolver;
    address->gives_up = gives_up;
    snprintf(address->text, sizeof(address->text), "%.*s (a sentinel)", (int)where.len,
             where.bytes);
    link_init(&sentinel->link);
}

int sentinels_init(struct sentinels *sentinels, const struct kv_option_value *options,
                   const atomic_bool *gives_up, struct kv_error *reterr)
{
    const struct kv_option_value *list = &options[REDIS_SENTINELS];
    *sentinels = (struct sentinels){
        .all = calloc(list->list.n, sizeof(struct sentinel)),
        .master = options[REDIS_MASTER].string,
        .user = options[REDIS_SENTINEL_USER].string,
        .password = options[REDIS_SENTINEL_PASSWORD].string,
    };
    if (sentinels->all == NULL)
        return kv_error_set(reterr, "no memory");
    for (; sentinels->n < list->list.n; sentinels->n++)
        init(&sentinels->all[sentinels->n], options, list->list.items[sentinels->n].string,
             gives_up);
    return 0;
}

void sentinels_fini(struct sentinels *sentinels)
{
    for (size_t i = 0; i < sentinels->n; i++) {
        link_close(&sentinels->all[i].link);
        resolver_fini(&sentinels->all[i].resolver);
    }
    free(sentinels->all);
}

/* ---- asking one ---- */

struct question {
    const struct sentinels *sentinels;
    struct sentinel *sentinel;
    int64_t until_ms;
    struct kv_error *reterr;
};

static int ask(const struct question *question, const struct kv_slice *words, size_t n,
               struct kv_slice *ret_reply)
{
    struct sentinel *sentinel = question->sentinel;
    *ret_reply = (struct kv_slice){0};
    if (!request_words(&sentinel->link.out, words, n))
        return kv_error_set(question->reterr, "no memory");
    return link_wait(&sentinel->link, &sentinel->address, question->until_ms, ret_reply,
                     question->reterr);
}

static int fail(const struct question *question, const char *word, struct kv_slice reply)
{
    struct resp_value value = {0};
    resp_next(&reply, &value);
    return kv_error_set(question->reterr, "Redis at %s: %s: %.*s", question->sentinel->address.text,
                        word, (int)value.text.len, value.text.bytes);
}

static int log_in(const struct question *question)
{
    struct kv_slice user = question->sentinels->user, password = question->sentinels->password;
    const struct kv_slice both[] = {KV_SLICE("AUTH"), user, password};
    const struct kv_slice one[] = {KV_SLICE("AUTH"), password};
    struct kv_slice reply;
    if (password.len == 0)
        return 0;
    if (ask(question, user.len != 0 ? both : one, user.len != 0 ? 3 : 2, &reply) != 0)
        return -1;
    return resp_is_error(reply) ? fail(question, "AUTH", reply) : 0;
}

static int connect_to(const struct question *question)
{
    struct sentinel *sentinel = question->sentinel;
    if (sentinel->link.fd >= 0 && !link_is_stale(&sentinel->link))
        return 0;
    return link_connect(&sentinel->link, &sentinel->address, question->until_ms,
                        question->reterr) == 0
               ? log_in(question)
               : -1;
}

int sentinel_read_address(struct kv_slice reply, struct master_address *ret)
{
    struct resp_value value, host, port;
    if (!resp_next(&reply, &value) || value.type != RESP_ARRAY || value.number != 2)
        return 0;
    if (!resp_next(&reply, &host) || !resp_next(&reply, &port) || host.type != RESP_STRING ||
        port.type != RESP_STRING || host.text.len == 0 || host.text.len >= sizeof(ret->host) ||
        memchr(host.text.bytes, '\0', host.text.len) != NULL)
        return -1;
    snprintf(ret->host, sizeof(ret->host), "%.*s", (int)host.text.len, host.text.bytes);
    int64_t number = resp_read_digits(port.text);
    ret->port = (int)number;
    return number > 0 && number < 65536 ? 1 : -1;
}

int64_t sentinel_read_epoch(struct kv_slice reply)
{
    struct resp_value name, value;
    if (!resp_next(&reply, &value) || value.type != RESP_ARRAY)
        return EPOCH_UNKNOWN;
    while (resp_next(&reply, &name) && resp_next(&reply, &value))
        if (kv_slice_equals(name.text, KV_SLICE("config-epoch")) && value.type == RESP_STRING)
            return resp_read_digits(value.text);
    return EPOCH_UNKNOWN;
}

/* While a replica is being promoted, this already names it, once the epoch is the new one. */
static int ask_for_address(const struct question *question, struct master_address *ret)
{
    const struct kv_slice words[] = {KV_SLICE("SENTINEL"), KV_SLICE("GET-MASTER-ADDR-BY-NAME"),
                                     question->sentinels->master};
    const char *text = question->sentinel->address.text;
    struct kv_slice reply, name = question->sentinels->master;
    if (ask(question, words, 3, &reply) != 0)
        return -1;
    if (resp_is_error(reply))
        return fail(question, "SENTINEL", reply);
    int found = sentinel_read_address(reply, ret);
    if (found == 0)
        return kv_error_set(question->reterr, "Redis at %s knows no master \"%.*s\"", text,
                            (int)name.len, name.bytes);
    if (found < 0)
        return kv_error_set(question->reterr, "Redis at %s: its answer is malformed", text);
    return 0;
}

static int ask_for_epoch(const struct question *question, struct master_address *ret)
{
    const struct kv_slice words[] = {KV_SLICE("SENTINEL"), KV_SLICE("MASTER"),
                                     question->sentinels->master};
    struct kv_slice reply;
    if (ask(question, words, 3, &reply) != 0)
        return -1;
    ret->epoch = sentinel_read_epoch(reply);
    return 0;
}

static int ask_one(const struct question *question, struct master_address *ret)
{
    struct sentinel *sentinel = question->sentinel;
    if (connect_to(question) == 0 && ask_for_epoch(question, ret) == 0 &&
        ask_for_address(question, ret) == 0)
        return 0;
    link_close(&sentinel->link);
    sentinel->rests_until_ms = link_clock_ms() + REST_MS;
    return -1;
}

/* ---- asking all ---- */

/* Returns: whether any sentinel has answered. */
static bool ask_all(struct sentinels *sentinels, int64_t patience_ms, bool are_resting,
                    struct master_address *ret, struct kv_error *reterr)
{
    struct master_address answer;
    bool is_found = false;
    int64_t now_ms = link_clock_ms();
    for (size_t i = 0; i < sentinels->n; i++) {
        struct sentinel *sentinel = &sentinels->all[i];
        struct question question = {sentinels, sentinel, link_clock_ms() + patience_ms, reterr};
        bool is_resting = sentinel->rests_until_ms > now_ms;
        if (is_resting != are_resting || ask_one(&question, &answer) != 0)
            continue;
        if (!is_found || answer.epoch > ret->epoch)
            *ret = answer;
        is_found = true;
    }
    return is_found;
}

int sentinels_find_master(struct sentinels *sentinels, int64_t patience_ms,
                          struct master_address *ret, struct kv_error *reterr)
{
    int64_t each_ms = patience_ms / (int64_t)sentinels->n;
    if (each_ms < LEAST_PATIENCE_MS)
        each_ms = LEAST_PATIENCE_MS;
    bool is_found = ask_all(sentinels, each_ms, false, ret, reterr) ||
                    ask_all(sentinels, each_ms, true, ret, reterr);
    return is_found ? 0 : -1;
}
