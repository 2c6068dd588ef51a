#include "daemon/restore.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/hash.h"
#include "daemon/export.h"
#include "daemon/line_reader.h"
#include "daemon/meter.h"
#include "daemon/unfinished.h"
#include "wire/backup_sum.h"

/* ---- reading ---- */

/* The state of reading the file. */
struct reading {
    struct kv_backup_touches *touches;
    const struct kv_line_limits *limits;
    struct kv_line_reader reader;
    struct kv_buffer scratch;
    struct kv_backup_sum *sum;
    struct kv_meter meter;
    const atomic_bool *is_stopped; /* NULL: never */
    bool has_end;
};

static int check_end(const struct reading *reading, const struct kv_backup_end *end,
                     struct kv_error *reterr)
{
    char sum[KV_BACKUP_SUM + 1];
    uint64_t n_lines = reading->reader.number - 1;
    if (end->n_lines != n_lines)
        return kv_error_set(reterr, "the backup has %llu lines, and should have %llu",
                            (unsigned long long)n_lines, (unsigned long long)end->n_lines);
    kv_backup_sum_print(reading->sum, sum);
    if (memcmp(end->sum.bytes, sum, KV_BACKUP_SUM) != 0)
        return kv_error_set(reterr, "the backup is damaged: its sum is %s, and should be %.*s", sum,
                            KV_BACKUP_SUM, end->sum.bytes);
    return 0;
}

static int take_line(struct reading *reading, struct kv_slice text, struct kv_error *reterr)
{
    struct kv_backup_line line;
    if (reading->has_end)
        return kv_error_set(reterr, "there is something after the last line of the backup");
    if (kv_backup_line_parse(text, reading->limits, &reading->scratch, &line, reterr) != 0)
        return -1;
    if (line.kind == KV_BACKUP_END) {
        reading->has_end = true;
        return check_end(reading, &line.end, reterr);
    }
    if (line.kind == KV_BACKUP_TOUCH)
        kv_backup_touches_note(reading->touches, &line);
    kv_backup_sum_add(reading->sum, text);
    kv_backup_sum_add(reading->sum, KV_SLICE("\n"));
    return 0;
}

/* Returns: KV_LINE_END, or another status and *reterr. */
static enum kv_line_status read_lines(struct reading *reading, struct kv_error *reterr)
{
    struct kv_slice text;
    enum kv_line_status status;
    while ((status = kv_line_reader_next(&reading->reader, &text, reterr)) == KV_LINE_READ) {
        if (take_line(reading, text, reterr) != 0)
            return KV_LINE_REFUSED;
        if (reading->is_stopped != NULL && atomic_load(reading->is_stopped)) {
            kv_error_set(reterr, "the server ends");
            return KV_LINE_STOPPED;
        }
        kv_meter_set(&reading->meter, reading->reader.number);
    }
    return status;
}

static int fault_of(enum kv_line_status status)
{
    switch (status) {
    case KV_LINE_STOPPED:
        return KV_RESTORE_STOPPED;
    case KV_LINE_FAILED:
        return KV_RESTORE_FAILED;
    default:
        return KV_RESTORE_BAD;
    }
}

static int read_all(struct reading *reading, const char *name, struct kv_error *reterr)
{
    struct kv_error error = {.text = ""};
    kv_meter_start(&reading->meter, "checked", true);
    enum kv_line_status status = read_lines(reading, &error);
    kv_meter_erase(&reading->meter);
    if (status != KV_LINE_END) {
        kv_error_set(reterr, "%s:%llu: %.900s", name, (unsigned long long)reading->reader.number,
                     error.text);
        return fault_of(status);
    }
    if (reading->has_end)
        return 0;
    kv_error_set(reterr, "%s is %s. Nothing was changed", name,
                 reading->reader.number == 1 ? "empty: there is nothing to restore"
                                             : "incomplete: its last line is missing");
    return KV_RESTORE_BAD;
}

static int read_file(int fd, int stop_fd, const char *name, const struct kv_line_limits *limits,
                     struct kv_backup_touches *touches, const atomic_bool *is_stopped,
                     struct kv_error *reterr)
{
    struct reading reading = {
        .touches = touches,
        .is_stopped = is_stopped,
        .limits = limits,
        .reader = {.fd = fd, .stop_fd = stop_fd, .max_bytes = kv_line_max_bytes(limits)},
        .sum = kv_backup_sum_create()};
    int result = read_all(&reading, name, reterr);
    kv_backup_sum_destroy(reading.sum);
    kv_buffer_fini(&reading.scratch);
    kv_line_reader_fini(&reading.reader);
    return result;
}

static int rewind_to(int fd, off_t at, const char *name, struct kv_error *reterr)
{
    if (lseek(fd, at, SEEK_SET) == at)
        return 0;
    kv_error_set(reterr, "%s: %s", name, strerror(errno));
    return KV_RESTORE_FAILED;
}

int kv_restore_check(int fd, const char *name, const struct kv_line_limits *limits,
                     struct kv_backup_touches *touches, const atomic_bool *is_stopped,
                     struct kv_error *reterr)
{
    off_t begin = lseek(fd, 0, SEEK_CUR);
    int stop_fd = eventfd(0, EFD_CLOEXEC);
    int result = KV_RESTORE_FAILED;
    kv_hash_init();
    if (begin < 0)
        kv_error_set(reterr, "%s: a backup is read twice, which takes a file", name);
    else if (stop_fd < 0)
        kv_error_set(reterr, "cannot make an event descriptor: %s", strerror(errno));
    else
        result = read_file(fd, stop_fd, name, limits, touches, is_stopped, reterr);
    if (result == 0)
        result = rewind_to(fd, begin, name, reterr);
    if (stop_fd >= 0)
        close(stop_fd);
    return result;
}

/* ---- the store ---- */

/* ` at FOLDER`, for each folder of the store. */
static void append_folders(const struct kv_config *config, struct kv_buffer *text)
{
    for (size_t i = 0; i < config->store.module->identity->n_options; i++) {
        struct kv_slice folder = kv_store_folder(config, i);
        if (folder.len != 0)
            kv_buffer_printf(text, "%s%.*s", text->len == 0 ? " at " : ", ", (int)folder.len,
                             folder.bytes);
    }
    kv_buffer_append_char(text, '\0');
}

static int refuse_old_store(const struct kv_config *config, struct kv_error *reterr)
{
    struct kv_buffer folders = {0};
    append_folders(config, &folders);
    kv_error_set(
        reterr,
        "store/%s has a store already%.900s: a backup is restored into a new one. Move the "
        "old one away, or give another path",
        config->store.module->identity->name, folders.bytes);
    kv_buffer_fini(&folders);
    return -1;
}

int kv_restore_demand_new_store(const struct kv_config *config, struct kv_error *reterr)
{
    const struct kv_loaded_module *store = config->store.module;
    bool is_there;
    if ((store->identity->capabilities & KV_STORE_DURABLE) == 0)
        return 0;
    if (kv_export_looks_for_store(config, &is_there, reterr) != 0)
        return -1;
    return is_there ? refuse_old_store(config, reterr) : 0;
}
