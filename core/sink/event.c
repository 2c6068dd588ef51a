#include "sink/event.h"

#include <time.h>

#include "wire/json_string.h"

enum {
    AROUND = 256,       /* of an event's text besides key and value, at most */
    ESCAPED = 6,        /* bytes of the escape of one byte of a key */
    KEPT_TEXT = 1 << 20 /* memory that a batch keeps for the next one */
};

static void append_time(struct kv_buffer *out, int64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    kv_buffer_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(time_us % 1000000));
}

/* The offsets of the parts of an event's text, which may move while it grows. */
struct place {
    size_t id, id_len, json, json_len;
};

static int append_event(struct kv_buffer *out, const struct kv_sink_entry *entry, const char *epoch,
                        struct place *ret)
{
    size_t most = AROUND + ESCAPED * entry->key.len + entry->item.value.len;
    if (kv_buffer_try_reserve(out, most) == NULL)
        return -1;
    ret->json = out->len;
    kv_buffer_append(out, KV_SLICE("{\"id\":\""));
    ret->id = out->len;
    kv_buffer_printf(out, "%s-", epoch);
    kv_buffer_append_u64(out, entry->revision);
    ret->id_len = out->len - ret->id;
    kv_buffer_printf(out, "\",\"type\":\"%s\",\"key\":", kv_event_type_name(entry->type));
    kv_json_append_string(out, entry->key);
    kv_buffer_append(out, entry->type == KV_EVENT_SET ? KV_SLICE(",\"value\":")
                                                      : KV_SLICE(",\"previous\":"));
    kv_buffer_append(out, entry->item.value);
    kv_buffer_append(out, KV_SLICE(",\"revision\":"));
    kv_buffer_append_u64(out, entry->revision);
    kv_buffer_append(out, KV_SLICE(",\"time\":\""));
    append_time(out, entry->time_us);
    kv_buffer_append(out, KV_SLICE("\"}"));
    ret->json_len = out->len - ret->json;
    return 0;
}

static struct kv_event event_of(const struct kv_sink_entry *entry, const char *text,
                                const struct place *place)
{
    bool is_set = entry->type == KV_EVENT_SET;
    struct kv_slice none = {0};
    return (struct kv_event){
        .type = entry->type,
        .id = {text + place->id, place->id_len},
        .key = entry->key,
        .value = is_set ? entry->item.value : none,
        .previous = is_set ? none : entry->item.value,
        .revision = entry->revision,
        .time_us = entry->time_us,
        .json = {text + place->json, place->json_len},
    };
}

int kv_sink_batch_write(struct kv_sink_batch *batch, const char *epoch)
{
    struct place places[KV_SINK_BATCH];
    kv_buffer_trim(&batch->text, KEPT_TEXT);
    for (size_t i = 0; i < batch->n; i++)
        if (append_event(&batch->text, batch->entries[i], epoch, &places[i]) != 0)
            return -1;
    for (size_t i = 0; i < batch->n; i++)
        batch->events[i] = event_of(batch->entries[i], batch->text.bytes, &places[i]);
    return 0;
}

void kv_sink_batch_fini(struct kv_sink_batch *batch)
{
    kv_buffer_fini(&batch->text);
}
