#include "kvctl/events.h"

static void replace(struct kv_buffer *buffer, struct kv_slice bytes)
{
    buffer->len = 0;
    kv_buffer_append(buffer, bytes);
}

static void take_data(struct kv_ctl_events *events, struct kv_slice value)
{
    if (events->has_data)
        kv_buffer_append_char(&events->data, '\n');
    kv_buffer_append(&events->data, value);
    events->has_data = true;
}

/* Handles an empty line: the event is complete. Its id counts even if it has no data. */
static bool dispatch(struct kv_ctl_events *events)
{
    struct kv_ctl_event event = {.type = kv_buffer_slice(&events->type),
                                 .data = kv_buffer_slice(&events->data)};
    bool goes_on = true;
    if (events->has_data)
        goes_on = events->on_event(events->context, &event);
    replace(&events->id, kv_buffer_slice(&events->next_id));
    events->type.len = events->data.len = 0;
    events->has_data = false;
    return goes_on;
}

static void take_field(struct kv_ctl_events *events, struct kv_slice name, struct kv_slice value)
{
    if (kv_slice_equals(name, KV_SLICE("data")))
        take_data(events, value);
    else if (kv_slice_equals(name, KV_SLICE("event")))
        replace(&events->type, value);
    else if (kv_slice_equals(name, KV_SLICE("id")) &&
             (value.len == 0 || memchr(value.bytes, '\0', value.len) == NULL))
        replace(&events->next_id, value);
}

static bool take_line(struct kv_ctl_events *events, struct kv_slice line)
{
    if (line.len == 0)
        return dispatch(events);
    const char *colon = memchr(line.bytes, ':', line.len);
    size_t name_len = colon == NULL ? line.len : (size_t)(colon - line.bytes);
    size_t at = colon == NULL ? line.len : name_len + 1;
    if (at < line.len && line.bytes[at] == ' ')
        at++;
    take_field(events, (struct kv_slice){line.bytes, name_len},
               (struct kv_slice){line.bytes + at, line.len - at});
    return true;
}

static size_t line_len(struct kv_slice bytes)
{
    size_t n = 0;
    while (n < bytes.len && bytes.bytes[n] != '\n' && bytes.bytes[n] != '\r')
        n++;
    return n;
}

bool kv_ctl_events_take(struct kv_ctl_events *events, struct kv_slice bytes)
{
    if (events->has_cr && bytes.len != 0 && bytes.bytes[0] == '\n')
        bytes = (struct kv_slice){bytes.bytes + 1, bytes.len - 1};
    while (bytes.len != 0) {
        size_t n = line_len(bytes);
        events->has_cr = false;
        kv_buffer_append(&events->line, (struct kv_slice){bytes.bytes, n});
        if (n == bytes.len)
            return true;
        bool goes_on = take_line(events, kv_buffer_slice(&events->line));
        events->line.len = 0;
        size_t end = n + 1;
        if (bytes.bytes[n] == '\r' && end == bytes.len)
            events->has_cr = true;
        else if (bytes.bytes[n] == '\r' && bytes.bytes[end] == '\n')
            end++;
        bytes = (struct kv_slice){bytes.bytes + end, bytes.len - end};
        if (!goes_on)
            return false;
    }
    return true;
}

void kv_ctl_events_restart(struct kv_ctl_events *events)
{
    events->line.len = events->type.len = events->data.len = 0;
    events->has_data = events->has_cr = false;
    replace(&events->next_id, kv_buffer_slice(&events->id));
}

void kv_ctl_events_fini(struct kv_ctl_events *events)
{
    kv_buffer_fini(&events->line);
    kv_buffer_fini(&events->type);
    kv_buffer_fini(&events->data);
    kv_buffer_fini(&events->id);
    kv_buffer_fini(&events->next_id);
}
