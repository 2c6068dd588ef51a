#include "protocol/telling.h"

#include "protocol/outcome.h"
#include "wire/json_string.h"
#include "wire/state_text.h"

struct kv_slice kv_telling_type(const struct kv_news *news)
{
    return news->state.revision != 0 ? KV_SLICE("value") : KV_SLICE("no-value");
}

enum kv_telling_way kv_telling_way(const struct kv_delivery *delivery)
{
    if (!delivery->wants_meta)
        return KV_TOLD_PLAINLY;
    return delivery->is_collapsed ? KV_TOLD_COLLAPSED : KV_TOLD_WITH_META;
}

static struct kv_state_meta meta_of(struct kv_keyspace *keyspace,
                                    const struct kv_delivery *delivery)
{
    const struct kv_news *news = delivery->news;
    struct kv_state_meta meta = {.revision = news->revision,
                                 .epoch = kv_slice_of(kv_keyspace_epoch(keyspace)),
                                 .reason = kv_reason_name(news->reason),
                                 .is_collapsed = delivery->is_collapsed};
    if (news->state.revision != 0)
        meta.ttl_ms = kv_keyspace_ttl_left_ms(keyspace, news->state.deadline_ms);
    return meta;
}

void kv_telling_begin_state(struct kv_buffer *out, struct kv_keyspace *keyspace,
                            const struct kv_delivery *delivery)
{
    const struct kv_news *news = delivery->news;
    bool has_value = news->state.revision != 0;
    if (delivery->wants_meta) {
        const struct kv_state_meta meta = meta_of(keyspace, delivery);
        kv_state_text_begin(out, news->key, &meta, has_value);
    } else {
        kv_state_text_begin(out, news->key, NULL, has_value);
    }
}

static void append_pattern(struct kv_buffer *out, const struct kv_pattern *pattern)
{
    kv_buffer_append(out, pattern->is_prefix ? KV_SLICE("{\"prefix\":") : KV_SLICE("{\"key\":"));
    kv_json_append_string(out, pattern->text);
}

static void append_epoch(struct kv_buffer *out, struct kv_keyspace *keyspace)
{
    kv_buffer_append(out, KV_SLICE(",\"epoch\":"));
    kv_json_append_string(out, kv_slice_of(kv_keyspace_epoch(keyspace)));
    kv_buffer_append_char(out, '}');
}

void kv_telling_write_synced(struct kv_buffer *out, struct kv_keyspace *keyspace,
                             const struct kv_pattern *pattern, uint64_t revision)
{
    append_pattern(out, pattern);
    if (revision != 0) {
        kv_buffer_append(out, KV_SLICE(",\"revision\":"));
        kv_buffer_append_u64(out, revision);
    }
    append_epoch(out, keyspace);
}

void kv_telling_write_reset(struct kv_buffer *out, struct kv_keyspace *keyspace,
                            const struct kv_pattern *pattern)
{
    append_pattern(out, pattern);
    append_epoch(out, keyspace);
}

void kv_telling_write_ended(struct kv_buffer *out, const struct kv_pattern *pattern, int status)
{
    append_pattern(out, pattern);
    kv_buffer_append(out, KV_SLICE(",\"error\":"));
    kv_json_append_string(out, kv_slice_of(kv_command_status_text(status)));
    kv_buffer_append(out, KV_SLICE(",\"status\":"));
    kv_buffer_append_u64(out, (uint64_t)kv_outcome_status(status));
    kv_buffer_append_char(out, '}');
}
