/*
 * Connects to Redis, logs in, and sends the first commands. These calls block, but no longer than
 * the store's timeout.
 */
#ifndef KV_STORE_REDIS_LOGIN_H
#define KV_STORE_REDIS_LOGIN_H

#include "shared.h"

/* One attempt to connect. */
struct attempt {
    struct kv_store *store;
    struct link *link;
    int64_t until_ms;
    struct kv_error *reterr;
    /* Called before each page of keys or of the log, and while the host has no room for one: fails
     * overdue requests and renews until_ms. Returns -1 and *reterr if the server ends. NULL: this
     * attempt reads no pages. */
    int (*begin_page)(struct attempt *attempt);
};

/* Its time begins. */
struct attempt login_attempt(struct kv_store *store, struct link *link, struct kv_error *reterr);

const struct address *login_address(const struct attempt *attempt);

/* Connects and logs in. *ret_id: the connection's, at Redis. Returns: -1 and *reterr. */
int login_connect(const struct attempt *attempt, uint64_t *ret_id);

/* Asks for the run ID of the Redis that it is connected to. ret_id: RUN_ID bytes; unchanged if the
 * ACL does not allow the question. Returns: -1 and *reterr. */
int login_ask_run(const struct attempt *attempt, char *ret_id);

/* Sends a command and shows its answer, which may be an error. Returns: -1 and *reterr. */
int login_ask(const struct attempt *attempt, const struct kv_slice *words, size_t n,
              struct kv_slice *ret_reply);

/* Says in *reterr that the command beginning with the word was answered with an error. Returns: -1.
 */
int login_fail(const struct attempt *attempt, struct kv_slice word, struct kv_slice reply);

/* The same, but an error is a failure. ret_value: how the answer begins; the rest is *ret_reply. */
int login_demand(const struct attempt *attempt, const struct kv_slice *words, size_t n,
                 struct resp_value *ret_value, struct kv_slice *ret_reply);

/* The same, without the answer. */
int login_demand_done(const struct attempt *attempt, const struct kv_slice *words, size_t n);

#endif
