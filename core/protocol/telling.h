/*
 * The payloads of messages and events to subscribers, about states and subscriptions (PROTOCOL A2,
 * B2).
 */
#ifndef KV_PROTOCOL_TELLING_H
#define KV_PROTOCOL_TELLING_H

#include "keyspace/keyspace.h"

/* `value` or `no-value`. */
struct kv_slice kv_telling_type(const struct kv_news *news);

/* The forms in which a state is sent. */
enum kv_telling_way {
    KV_TOLD_PLAINLY,
    KV_TOLD_WITH_META,
    KV_TOLD_COLLAPSED, /* with `meta`, and marked as standing for several */
    KV_N_TELLING_WAYS
};

enum kv_telling_way kv_telling_way(const struct kv_delivery *delivery);

/* Appends the payload of a state, as kv_state_text_begin() does: the caller appends the value and
 * `}`. */
void kv_telling_begin_state(struct kv_buffer *out, struct kv_keyspace *keyspace,
                            const struct kv_delivery *delivery);

/* Appends the payload of a `synced`. revision: 0 if it is not known. */
void kv_telling_write_synced(struct kv_buffer *out, struct kv_keyspace *keyspace,
                             const struct kv_pattern *pattern, uint64_t revision);

/* Appends the payload of a `reset`. */
void kv_telling_write_reset(struct kv_buffer *out, struct kv_keyspace *keyspace,
                            const struct kv_pattern *pattern);

/* Appends the payload of an `ended`. status: the reason, as of a command. */
void kv_telling_write_ended(struct kv_buffer *out, const struct kv_pattern *pattern, int status);

#endif
