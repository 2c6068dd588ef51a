/* If a line is refused, no further batch is sent. */
#include "kvctl/import.h"

#include <errno.h>
#include <stdlib.h>

#include "base/last_line.h"
#include "kvctl/arguments.h"
#include "kvctl/batch.h"
#include "kvctl/interrupt.h"
#include "kvctl/say.h"
#include "wire/backup_line.h"
#include "wire/json.h"

enum {
    BATCH_LINES = 1000,
    MOST_LINES = 1000000,
    LAST_LINE_BYTES = 4096 /* ample for the last line of a backup */
};

struct import {
    FILE *file;
    const char *name;
    char *line; /* getline()'s */
    size_t line_size;
    uint64_t number;  /* of that line: 1, 2, … */
    bool is_mistaken; /* the lines have turned out to be those of a backup */
    struct kv_ctl_batch batch;
};

enum {
    KEY,
    VALUE,
    TTL,
    N_MEMBERS
};

static const struct kv_json_field fields[N_MEMBERS] = {
    [KEY] = {.name = {"key", 3}}, [VALUE] = {.name = {"value", 5}}, [TTL] = {.name = {"ttl", 3}}};

static int tell_mistake(const struct import *import, struct kv_error *reterr)
{
    return kv_error_set(reterr,
                        "this is a backup, which is restored, not imported: use kvctl restore; %ju "
                        "keys were imported before",
                        (uintmax_t)import->batch.n_done);
}

/* Returns: 0, or -1 and *reterr. */
static int take_line(struct import *import, struct kv_slice text, struct kv_error *reterr)
{
    struct kv_slice members[N_MEMBERS] = {0};
    struct kv_json_error error;
    if (kv_line_is_blank(text))
        return 0;
    if (kv_json_read_object(text, KV_JSON_MAX_DEPTH, fields, N_MEMBERS, members, &error) != 0)
        return kv_json_error_tell(&error, reterr);
    import->is_mistaken = kv_backup_line_is_sure(text);
    if (import->is_mistaken)
        return tell_mistake(import, reterr);
    if (kv_json_type_of(members[KEY]) != KV_JSON_STRING)
        return kv_error_set(reterr, "\"key\" is not a string");
    if (members[VALUE].bytes == NULL)
        return kv_error_set(reterr, "\"value\" is missing");
    kv_ctl_batch_set(&import->batch, import->number, members[KEY], members[VALUE], members[TTL]);
    return 0;
}

/* Returns: 1 if a line was added, 0 at the end, -1 if it is bad, which has been reported. */
static int next_line(struct import *import)
{
    struct kv_error error;
    errno = 0;
    ssize_t len = getline(&import->line, &import->line_size, import->file);
    if (len < 0 && (feof(import->file) || kv_ctl_is_interrupted()))
        return 0;
    import->number++;
    if (len < 0) {
        kv_ctl_say("%s: %s", import->name, strerror(errno));
        return -1;
    }
    if (import->line[len - 1] == '\n')
        len--;
    if (take_line(import, (struct kv_slice){import->line, (size_t)len}, &error) == 0)
        return 1;
    kv_ctl_meter_erase(&import->batch.meter);
    kv_ctl_say("%s:%ju: %s", import->name, (uintmax_t)import->number, error.text);
    return -1;
}

/* Returns: the exit code; failures have been reported. Lines before a bad one are still imported,
 * but not those of a backup, which may lack their deadlines. */
static int load(struct import *import)
{
    int code = KV_CTL_DONE, result = 1;
    while (result == 1 && code == KV_CTL_DONE && !kv_ctl_is_interrupted()) {
        result = next_line(import);
        if (import->is_mistaken)
            break;
        if ((result != 1 || kv_ctl_batch_is_full(&import->batch)) && !kv_ctl_is_interrupted())
            code = kv_ctl_batch_send(&import->batch);
    }
    return code == KV_CTL_DONE && result < 0 ? KV_CTL_USAGE : code;
}

static int run(struct import *import)
{
    kv_ctl_interrupt_catch();
    int code = load(import);
    if (kv_ctl_is_interrupted())
        kv_ctl_batch_tell_how_far(&import->batch);
    else if (code == KV_CTL_DONE)
        kv_ctl_meter_finish(&import->batch.meter);
    free(import->line);
    return code;
}

/* A backup may have no line before its last one that tells it from an export. */
static bool is_backup(FILE *file)
{
    char room[LAST_LINE_BYTES];
    return kv_backup_line_is_last(kv_last_line_read(fileno(file), room, sizeof(room)));
}

int kv_ctl_import_run(struct kv_ctl_call *call)
{
    const char *path = call->arguments.n_operands == 0 ? "-" : call->arguments.operands[0];
    bool is_stdin = strcmp(path, "-") == 0;
    struct kv_error error;
    struct import import = {.name = is_stdin ? "standard input" : path};
    uint64_t most = BATCH_LINES;
    if (kv_ctl_read_number(&call->arguments, KV_CTL_BATCH, 1, MOST_LINES, &most, &error) != 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    import.file = is_stdin ? stdin : fopen(path, "re");
    if (import.file == NULL)
        return kv_ctl_fail(KV_CTL_USAGE, "%s: %s", path, strerror(errno));
    int code = KV_CTL_USAGE;
    if (is_backup(import.file))
        kv_ctl_say("%s:1: this is a backup, which is restored, not imported: use kvctl restore; "
                   "nothing was imported",
                   import.name);
    else if (kv_ctl_batch_init(&import.batch, call, import.name, most, "imported") == 0)
        code = run(&import);
    kv_ctl_batch_fini(&import.batch);
    if (!is_stdin)
        fclose(import.file);
    return code;
}
