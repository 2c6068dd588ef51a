/* The file is read twice: first, to check that it is complete and to note deadlines that later
 * lines change; then, to upload it, or to write its keys. */
#include "kvctl/restore.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "kvctl/arguments.h"
#include "kvctl/batch.h"
#include "kvctl/interrupt.h"
#include "kvctl/pages.h"
#include "kvctl/say.h"
#include "kvctl/upload.h"
#include "kvctl/whole.h"
#include "wire/backup_touches.h"
#include "wire/json.h"
#include "wire/json_string.h"

enum {
    BATCH_LINES = 1000,
    MOST_LINES = 1000000,
    US_PER_MS = 1000
};

static const struct kv_line_limits no_limits = {
    .max_depth = KV_JSON_MAX_DEPTH - 4, .max_key_bytes = SIZE_MAX, .max_value_bytes = SIZE_MAX};

struct restore {
    struct kv_ctl_call *call;
    const char *path;
    FILE *file;
    char *text; /* getline()'s */
    size_t text_size;
    uint64_t number; /* number of that line: 1, 2, … */
    struct kv_buffer scratch, key, ttl;
    struct kv_backup_line line;
    struct kv_backup_touches touches;
    struct kv_ctl_batch batch;
};

/* ---- lines ---- */

/* Returns: the length, without the line feed; -1 at the end, or with errno if it cannot be read. */
static ssize_t next_text(struct restore *restore)
{
    errno = 0;
    ssize_t len = getline(&restore->text, &restore->text_size, restore->file);
    if (len <= 0)
        return -1;
    restore->number++;
    return restore->text[len - 1] == '\n' ? len - 1 : len;
}

/* Returns: 0, or -1, which has been reported. */
static int parse(struct restore *restore, ssize_t len)
{
    struct kv_error error;
    if (kv_backup_line_parse((struct kv_slice){restore->text, (size_t)len}, &no_limits,
                             &restore->scratch, &restore->line, &error) == 0)
        return 0;
    kv_ctl_say("%s:%ju: %s", restore->path, (uintmax_t)restore->number, error.text);
    return -1;
}

/* ---- the first pass ---- */

static int check_lines(struct restore *restore, struct kv_ctl_whole *whole)
{
    struct kv_error error;
    ssize_t len;
    while ((len = next_text(restore)) >= 0 && !kv_ctl_is_interrupted()) {
        bool has_end = restore->text[len] == '\n';
        kv_ctl_whole_take(whole, (struct kv_slice){restore->text, (size_t)len + has_end});
        if (whole->has_last)
            continue;
        if (parse(restore, len) != 0)
            return KV_CTL_USAGE;
        if (restore->line.kind == KV_BACKUP_TOUCH)
            kv_backup_touches_note(&restore->touches, &restore->line);
    }
    if (ferror(restore->file))
        return kv_ctl_fail(KV_CTL_USAGE, "%s: %s", restore->path, strerror(errno));
    if (kv_ctl_whole_end(whole, &error) != 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s: %s; nothing was restored", restore->path, error.text);
    return KV_CTL_DONE;
}

static int check(struct restore *restore)
{
    struct kv_ctl_whole whole;
    kv_ctl_whole_init(&whole);
    int code = check_lines(restore, &whole);
    kv_ctl_whole_fini(&whole);
    return code;
}

/* Existing keys would be lost with the store, or remain next to those of the backup. */
static int check_server(struct restore *restore)
{
    bool is_live = kv_ctl_has(restore->call, KV_CTL_LIVE);
    uint64_t n = 0;
    if (kv_ctl_has(restore->call, KV_CTL_FORCE))
        return KV_CTL_DONE;
    int code = kv_ctl_pages_count(restore->call, KV_SLICE(""), &n);
    if (code == KV_CTL_DONE && n != 0)
        return kv_ctl_fail(KV_CTL_REFUSED, "the server has %ju keys (--force %s)", (uintmax_t)n,
                           is_live ? "writes over them, and leaves those that the backup does not "
                                     "have"
                                   : "replaces them");
    return code;
}

/* ---- the second pass ---- */

/* A key that has expired is deleted, as an earlier line may have written it. */
static void add(struct restore *restore)
{
    const struct kv_backup_line *line = &restore->line;
    int64_t deadline_ms =
        line->kind == KV_BACKUP_STATE ? kv_backup_touches_deadline(&restore->touches, line) : 0;
    int64_t left_ms = deadline_ms - kv_wall_us() / US_PER_MS;
    restore->key.len = restore->ttl.len = 0;
    kv_json_append_string(&restore->key, line->key);
    if (line->kind == KV_BACKUP_GONE || (deadline_ms != 0 && left_ms <= 0)) {
        kv_ctl_batch_delete(&restore->batch, restore->number, kv_buffer_slice(&restore->key));
        return;
    }
    struct kv_slice ttl = {0};
    if (deadline_ms != 0) {
        kv_buffer_append_u64(&restore->ttl, (uint64_t)left_ms);
        ttl = kv_buffer_slice(&restore->ttl);
    }
    kv_ctl_batch_set(&restore->batch, restore->number, kv_buffer_slice(&restore->key), line->value,
                     ttl);
}

static int write_all(struct restore *restore)
{
    int code = KV_CTL_DONE;
    ssize_t len;
    rewind(restore->file);
    restore->number = 0;
    while (code == KV_CTL_DONE && !kv_ctl_is_interrupted() && (len = next_text(restore)) >= 0) {
        if (parse(restore, len) != 0)
            return KV_CTL_USAGE; /* the file was changed meanwhile */
        if (restore->line.kind == KV_BACKUP_END)
            break;
        if (restore->line.kind != KV_BACKUP_TOUCH)
            add(restore);
        if (kv_ctl_batch_is_full(&restore->batch))
            code = kv_ctl_batch_send(&restore->batch);
    }
    if (kv_ctl_is_interrupted())
        kv_ctl_batch_tell_how_far(&restore->batch);
    else if (code == KV_CTL_DONE)
        code = kv_ctl_batch_send(&restore->batch);
    return code;
}

static int write_live(struct restore *restore, uint64_t most)
{
    if (kv_ctl_batch_init(&restore->batch, restore->call, restore->path, most, "restored") != 0)
        return KV_CTL_USAGE;
    int code = write_all(restore);
    if (code == KV_CTL_DONE && !kv_ctl_is_interrupted())
        kv_ctl_meter_finish(&restore->batch.meter);
    return code;
}

static int upload(const struct restore *restore)
{
    rewind(restore->file);
    return kv_ctl_upload(restore->call, restore->file, restore->path);
}

/* Returns: 0, or -1 and *reterr. */
static int read_options(const struct kv_ctl_call *call, uint64_t *ret_most, struct kv_error *reterr)
{
    if (kv_ctl_has(call, KV_CTL_BATCH) && !kv_ctl_has(call, KV_CTL_LIVE))
        return kv_error_set(reterr, "--batch goes with --live");
    return kv_ctl_read_number(&call->arguments, KV_CTL_BATCH, 1, MOST_LINES, ret_most, reterr);
}

static int run(struct restore *restore)
{
    uint64_t most = BATCH_LINES;
    struct kv_error error;
    if (read_options(restore->call, &most, &error) != 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    int code = check(restore);
    if (code == KV_CTL_DONE && !kv_ctl_is_interrupted())
        code = check_server(restore);
    if (code != KV_CTL_DONE || kv_ctl_is_interrupted())
        return code;
    return kv_ctl_has(restore->call, KV_CTL_LIVE) ? write_live(restore, most) : upload(restore);
}

static void fini(struct restore *restore)
{
    kv_backup_touches_fini(&restore->touches);
    kv_ctl_batch_fini(&restore->batch);
    kv_buffer_fini(&restore->scratch);
    kv_buffer_fini(&restore->key);
    kv_buffer_fini(&restore->ttl);
    free(restore->text);
}

int kv_ctl_restore_run(struct kv_ctl_call *call)
{
    struct restore restore = {.call = call, .path = call->arguments.operands[0]};
    restore.file = fopen(restore.path, "re");
    if (restore.file == NULL)
        return kv_ctl_fail(KV_CTL_USAGE, "%s: %s", restore.path, strerror(errno));
    if (fseek(restore.file, 0, SEEK_END) != 0) {
        fclose(restore.file);
        return kv_ctl_fail(KV_CTL_USAGE, "%s: it must be a file, as it is read twice",
                           restore.path);
    }
    rewind(restore.file);
    kv_ctl_interrupt_catch();
    kv_hash_init();
    int code = run(&restore);
    fini(&restore);
    fclose(restore.file);
    return code;
}
