/*
 * Entity tags: each line of the input is one line of the header. Splitting an accepted list into
 * lines makes no difference.
 */
#include "base/buffer.h"
#include "fuzz.h"
#include "wire/etag.h"

/* Returns: whether all lines were accepted. */
static bool parse_lines(struct kv_slice text, struct kv_etags *etags)
{
    const char *at = text.bytes;
    const char *end = text.bytes + text.len;
    for (;;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        bool is_last = line_end == NULL;
        size_t len = (size_t)((is_last ? end : line_end) - at);
        if (kv_etags_parse((struct kv_slice){at, len}, etags) != 0)
            return false;
        if (is_last)
            return true;
        at = line_end + 1;
    }
}

static void check_tags(const struct kv_etags *etags)
{
    assert(etags->is_given);
    assert(!etags->is_any || etags->n + etags->n_weak == 0);
    for (size_t i = 0; i < etags->n; i++)
        assert(kv_etags_match_strongly(etags, etags->revisions[i]));
    for (size_t i = 0; i < etags->n_weak; i++)
        assert(kv_etags_match_weakly(etags, etags->weak_revisions[i]));
}

static void check_one_line(struct kv_slice text, const struct kv_etags *etags)
{
    struct kv_buffer line = {0};
    struct kv_etags again = {0};
    kv_buffer_append(&line, text);
    for (size_t i = 0; i < line.len; i++)
        if (line.bytes[i] == '\n')
            line.bytes[i] = ',';
    assert(kv_etags_parse(kv_buffer_slice(&line), &again) == 0);
    assert(again.is_any == etags->is_any && again.n == etags->n && again.n_weak == etags->n_weak);
    kv_etags_fini(&again);
    kv_buffer_fini(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = len == 0 ? KV_SLICE("") : fuzz_slice(bytes, len);
    struct kv_etags etags = {0};
    if (parse_lines(text, &etags)) {
        check_tags(&etags);
        check_one_line(text, &etags);
    }
    kv_etags_fini(&etags);
    return 0;
}
