/*
 * A stream of events from any server: however it is split, it yields the same events and the same
 * place to resume from.
 */
#include <stdlib.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "kvctl/events.h"

static bool note(void *context, const struct kv_ctl_event *event)
{
    struct kv_buffer *seen = context;
    kv_buffer_printf(seen, "%zu,%zu:", event->type.len, event->data.len);
    kv_buffer_append(seen, event->type);
    kv_buffer_append(seen, event->data);
    return true;
}

/* first: the length of the first piece; the others have `step` bytes. */
static void read_in_pieces(struct kv_slice text, size_t first, size_t step, struct kv_buffer *seen)
{
    struct kv_ctl_events events = {.on_event = note, .context = seen};
    size_t n = first;
    for (size_t at = 0; at < text.len; at += n, n = step) {
        if (n > text.len - at)
            n = text.len - at;
        /* A separate copy, so that reading beyond the piece is detected. */
        char *piece = malloc(n + 1);
        assert(piece != NULL);
        memcpy(piece, text.bytes + at, n);
        assert(kv_ctl_events_take(&events, (struct kv_slice){piece, n}));
        free(piece);
    }
    kv_buffer_append(seen, KV_SLICE(" id:"));
    kv_buffer_append(seen, kv_buffer_slice(&events.id));
    kv_ctl_events_restart(&events);
    assert(events.line.len == 0 && events.data.len == 0);
    kv_ctl_events_fini(&events);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len);
    struct kv_buffer whole = {0}, other = {0};
    read_in_pieces(text, len == 0 ? 1 : len, 1, &whole);
    read_in_pieces(text, 1, 1, &other);
    assert(kv_slice_equals(kv_buffer_slice(&whole), kv_buffer_slice(&other)));
    other.len = 0;
    read_in_pieces(text, len / 2 + 1, 3, &other);
    assert(kv_slice_equals(kv_buffer_slice(&whole), kv_buffer_slice(&other)));
    kv_buffer_fini(&whole);
    kv_buffer_fini(&other);
    return 0;
}
