/*
 * Lines of imports: every slice is within its text; a parsed line that is written again is one
 * line, within the documented length, and is parsed identically.
 */
#include <kvserver/ttl.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "wire/json.h"
#include "wire/line.h"

static const struct kv_line_limits limits = {
    .max_depth = 64, .max_key_bytes = 100, .max_value_bytes = 1000};

static bool lies_within(struct kv_slice part, struct kv_slice whole)
{
    return part.bytes >= whole.bytes && part.bytes + part.len <= whole.bytes + whole.len;
}

static void check_line(const struct kv_line *line, struct kv_slice text,
                       const struct kv_buffer *scratch)
{
    struct kv_slice again;
    struct kv_json_error error;
    assert(lies_within(line->key, scratch->len > 0 ? kv_buffer_slice(scratch) : text) ||
           line->key.len == 0);
    assert(kv_utf8_is_valid(line->key) && line->key.len <= limits.max_key_bytes);
    assert(lies_within(line->value, text) && line->value.len <= limits.max_value_bytes);
    assert(kv_json_check(line->value, limits.max_depth, &again, &error) == 0);
    assert(kv_slice_equals(again, line->value));
    assert(line->ttl_ms >= 0 && line->ttl_ms <= KV_TTL_MAX_MS);
}

static void write_value(struct kv_buffer *out, struct kv_slice value)
{
    for (size_t at = 0; at < value.len; at++) {
        size_t run = kv_line_value_run((struct kv_slice){value.bytes + at, value.len - at});
        kv_buffer_append(out, (struct kv_slice){value.bytes + at, run});
        at += run;
        if (at < value.len)
            kv_buffer_append_char(out, ' ');
    }
}

static bool is_same_but_for_line_ends(struct kv_slice written, struct kv_slice value)
{
    bool is_same = written.len == value.len;
    for (size_t i = 0; is_same && i < value.len; i++)
        is_same = written.bytes[i] == value.bytes[i] ||
                  (written.bytes[i] == ' ' && (value.bytes[i] == '\n' || value.bytes[i] == '\r'));
    return is_same;
}

static void check_written(const struct kv_line *line)
{
    struct kv_buffer out = {0}, scratch = {0};
    struct kv_line again;
    struct kv_error error;
    kv_line_append_front(&out, line->key);
    write_value(&out, line->value);
    kv_line_append_back(&out, line->ttl_ms, 1);
    assert(out.len <= kv_line_max_bytes(&limits));
    assert(memchr(out.bytes, '\n', out.len) == out.bytes + out.len - 1);
    assert(memchr(out.bytes, '\r', out.len) == NULL);
    struct kv_slice text = {out.bytes, out.len - 1};
    assert(kv_line_parse(text, &limits, &scratch, &again, &error) == 0);
    assert(kv_slice_equals(again.key, line->key));
    assert(is_same_but_for_line_ends(again.value, line->value));
    assert(again.ttl_ms == line->ttl_ms);
    kv_buffer_fini(&scratch);
    kv_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len);
    struct kv_buffer scratch = {0};
    struct kv_line line;
    struct kv_error error = {.text = ""};
    if (kv_line_parse(text, &limits, &scratch, &line, &error) == 0) {
        check_line(&line, text, &scratch);
        check_written(&line);
    } else {
        assert(error.text[0] != '\0' && kv_utf8_is_valid(kv_slice_of(error.text)));
    }
    kv_buffer_fini(&scratch);
    return 0;
}
