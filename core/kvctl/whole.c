#include "kvctl/whole.h"

#include "kvctl/ask.h"
#include "wire/backup_line.h"
#include "wire/json.h"
#include "wire/json_string.h"

enum {
    MARK_LEN = 9
};

/* The beginnings of the last line, and of the line that a server sends instead if it fails. All
 * other lines begin with the key. */
static const struct kv_slice marks[] = {{"{\"backup\"", MARK_LEN}, {"{\"error\":", MARK_LEN}};

void kv_ctl_whole_init(struct kv_ctl_whole *whole)
{
    *whole = (struct kv_ctl_whole){.sum = kv_backup_sum_create()};
}

void kv_ctl_whole_fini(struct kv_ctl_whole *whole)
{
    kv_backup_sum_destroy(whole->sum);
    kv_buffer_fini(&whole->held);
}

static bool is_mark(struct kv_slice text)
{
    return kv_slice_equals(text, marks[0]) || kv_slice_equals(text, marks[1]);
}

/* Adds a byte to the beginning of a line. */
static void hold(struct kv_ctl_whole *whole, char byte)
{
    kv_buffer_append_char(&whole->held, byte);
    if (whole->held.len < MARK_LEN && byte != '\n')
        return;
    whole->has_last = is_mark(kv_buffer_slice(&whole->held));
    if (whole->has_last)
        return;
    kv_backup_sum_add(whole->sum, kv_buffer_slice(&whole->held));
    whole->held.len = 0;
    whole->is_in_line = byte != '\n';
    whole->n_lines += byte == '\n';
}

uint64_t kv_ctl_whole_take(struct kv_ctl_whole *whole, struct kv_slice bytes)
{
    uint64_t n_before = whole->n_lines;
    while (bytes.len != 0) {
        size_t n = 1;
        if (whole->has_last) {
            kv_buffer_append(&whole->held, bytes);
            break;
        }
        if (!whole->is_in_line) {
            hold(whole, bytes.bytes[0]);
        } else {
            const char *end = memchr(bytes.bytes, '\n', bytes.len);
            n = end == NULL ? bytes.len : (size_t)(end - bytes.bytes) + 1;
            kv_backup_sum_add(whole->sum, (struct kv_slice){bytes.bytes, n});
            whole->is_in_line = end == NULL;
            whole->n_lines += end != NULL;
        }
        bytes = (struct kv_slice){bytes.bytes + n, bytes.len - n};
    }
    return whole->n_lines - n_before;
}

/* Reports the server's reason for giving up. */
static int tell_error(struct kv_slice line, struct kv_error *reterr)
{
    struct kv_slice error = kv_ctl_member(line, KV_SLICE("error"));
    struct kv_buffer text = {0};
    if (kv_json_type_of(error) == KV_JSON_STRING)
        kv_json_unescape(error, &text);
    kv_error_set(reterr, "the server could not complete the backup: %.*s", (int)text.len,
                 text.bytes);
    kv_buffer_fini(&text);
    return -1;
}

static int compare(struct kv_ctl_whole *whole, const struct kv_backup_end *end,
                   struct kv_error *reterr)
{
    char sum[KV_BACKUP_SUM + 1];
    if (end->n_lines != whole->n_lines)
        return kv_error_set(reterr, "the backup has %ju lines, and should have %ju",
                            (uintmax_t)whole->n_lines, (uintmax_t)end->n_lines);
    kv_backup_sum_print(whole->sum, sum);
    if (memcmp(sum, end->sum.bytes, KV_BACKUP_SUM) != 0)
        return kv_error_set(reterr, "the backup is damaged: its sum is %s, and should be %.*s", sum,
                            KV_BACKUP_SUM, end->sum.bytes);
    return 0;
}

int kv_ctl_whole_end(struct kv_ctl_whole *whole, struct kv_error *reterr)
{
    static const struct kv_line_limits no_limits = {
        .max_depth = KV_JSON_MAX_DEPTH - 4, .max_key_bytes = SIZE_MAX, .max_value_bytes = SIZE_MAX};
    struct kv_slice last = kv_buffer_slice(&whole->held);
    struct kv_backup_line line;
    struct kv_buffer scratch = {0};
    struct kv_error error;
    if (!whole->has_last || last.bytes[last.len - 1] != '\n')
        return kv_error_set(reterr, "the backup is not whole: its last line is missing");
    last.len--;
    if (last.bytes[2] == 'e')
        return tell_error(last, reterr);
    int result = kv_backup_line_parse(last, &no_limits, &scratch, &line, &error);
    if (result != 0 || line.kind != KV_BACKUP_END)
        result = kv_error_set(reterr, "the last line of the backup is damaged");
    else
        result = compare(whole, &line.end, reterr);
    kv_buffer_fini(&scratch);
    return result;
}
