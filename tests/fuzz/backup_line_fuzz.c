/* Lines of backups: parsed values are within the limits, and a refusal has a message. */
#include "base/utf8.h"
#include "fuzz.h"
#include "wire/backup_line.h"

static const struct kv_line_limits limits = {
    .max_depth = 64, .max_key_bytes = 100, .max_value_bytes = 1000};

static void check_line(const struct kv_backup_line *line)
{
    if (line->kind == KV_BACKUP_END) {
        assert(line->end.sum.len == KV_BACKUP_SUM && line->end.epoch.bytes != NULL);
        return;
    }
    assert(kv_utf8_is_valid(line->key) && line->key.len <= limits.max_key_bytes);
    assert(line->value.len <= limits.max_value_bytes && line->deadline_unix_ms >= 0);
    assert((line->kind == KV_BACKUP_STATE) == (line->value.bytes != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len);
    struct kv_buffer scratch = {0};
    struct kv_backup_line line;
    struct kv_error error = {.text = ""};
    if (kv_backup_line_parse(text, &limits, &scratch, &line, &error) == 0)
        check_line(&line);
    else
        assert(error.text[0] != '\0' && kv_utf8_is_valid(kv_slice_of(error.text)));
    kv_buffer_fini(&scratch);
    return 0;
}
