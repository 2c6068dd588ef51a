/*
 * Event streams: a parsed id equals the written one, and data, in any number of lines, is
 * reassembled by a client unchanged, except for CRs.
 */
#include "base/buffer.h"
#include "fuzz.h"
#include "wire/event_text.h"

static void check_id(struct kv_slice text)
{
    struct kv_buffer again = {0};
    struct kv_slice epoch, epoch_again;
    uint64_t revision, revision_again;
    if (!kv_event_read_id(text, &epoch, &revision))
        return;
    kv_event_append_id(&again, epoch, revision);
    struct kv_slice line = kv_buffer_slice(&again);
    assert(kv_slice_has_prefix(line, KV_SLICE("id: ")) && line.bytes[line.len - 1] == '\n');
    struct kv_slice id = {line.bytes + 4, line.len - 5};
    assert(kv_event_read_id(id, &epoch_again, &revision_again));
    assert(kv_slice_equals(epoch, epoch_again) && revision == revision_again);
    kv_buffer_fini(&again);
}

/* Reads `<text>` of lines as a client does: each line but the first starts with `data: `. */
static void check_data(struct kv_slice text)
{
    struct kv_buffer out = {0};
    kv_event_append(&out, text);
    assert(kv_event_is_one_line(text) == kv_slice_equals(text, kv_buffer_slice(&out)));
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool is_cr = text.bytes[i] == '\r';
        assert(at < out.len && out.bytes[at++] == (is_cr ? ' ' : text.bytes[i]));
        if (text.bytes[i] != '\n')
            continue;
        assert(out.len - at >= 6 && memcmp(out.bytes + at, "data: ", 6) == 0);
        at += 6;
    }
    assert(at == out.len);
    kv_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = len == 0 ? KV_SLICE("") : fuzz_slice(bytes, len);
    check_id(text);
    check_data(text);
    return 0;
}
