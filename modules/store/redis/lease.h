/*
 * The lease: of the KvServers that share a store, one shows the changes of a partition to its hooks
 * and sinks. It reads them from the log, behind the cursor, and renews the lease with a cursor that
 * has moved as far as hooks and sinks have taken them. When it dies, its time runs out, and another
 * server continues at the cursor.
 *
 * Each time that the lease changes hands, it gets a new claim, and Redis accepts a cursor only with
 * the newest. A holder that was stopped for longer than its time is not sure of its claim until it
 * has asked Redis; meanwhile nobody acts on what it has shown.
 */
#ifndef KV_STORE_REDIS_LEASE_H
#define KV_STORE_REDIS_LEASE_H

#include "shared.h"

enum {
    LEASE_HOLDER = 17 /* a number, hexadecimal */
};

void lease_init(struct kv_store *store);
void lease_fini(struct kv_store *store);

/* ---- on the thread ---- */

/* Whether the lease is to be asked for, or renewed; then *ret_job is to be sent. */
bool lease_is_to_ask(struct kv_store *store, struct job *ret_job);
/* Whether changes are to be read; then *ret_job is to be sent. */
bool lease_is_to_read(struct kv_store *store, struct job *ret_job);
/* How long until one of them may be the case, in milliseconds. */
int lease_wait_ms(const struct kv_store *store);

void lease_write_request(const struct kv_store *store, const struct job *job, struct buffer *out);
void lease_write_reading(const struct kv_store *store, const struct job *job, struct buffer *out);

/* number: the cursor; where there is no claim, for how long it is another server's. reply: what
 * follows: the cursor, and who that is. */
void lease_take(struct kv_store *store, const struct job *job, uint64_t claim, uint64_t number,
                struct kv_slice reply);
/* answer, reply: an array of entries of the log. */
void lease_take_page(struct kv_store *store, const struct job *job, const struct resp_value *answer,
                     struct kv_slice reply);
/* One of these jobs has ended without an answer. Ignores others. */
void lease_fail(struct kv_store *store, const struct job *job);

/* Notes whether observers have taken all there is. To be called often. */
void lease_look(struct kv_store *store);

/* Leaves the lease to the next server, if that takes no long time. The last call. */
void lease_release(struct kv_store *store);

/* The connection is lost: another Redis may be asked next. */
void lease_be_unsure(struct kv_store *store);

/* ---- on any ---- */

bool lease_is_held(const struct kv_store *store);
enum kv_claim_state lease_state(const struct kv_store *store, uint64_t claim);
/* Of the changes up to this revision. */
bool lease_has_to_show(const struct kv_store *store, uint64_t revision);
/* Sets the holder, its cursor, and how far that is behind. id: where its text is written. */
void lease_report(const struct kv_store *store, struct kv_part_state *state, char id[LEASE_HOLDER]);
void lease_settle(struct kv_store *store, uint64_t claim, uint64_t revision);

#endif
