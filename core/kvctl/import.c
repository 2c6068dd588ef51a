/* Lines go to POST /batch, some at a time. Those of a batch take effect one by one: where one of
 * them is refused, the others of its batch have been carried out, and no further batch is sent. */
#include "kvctl/import.h"

#include <errno.h>
#include <stdlib.h>

#include "kvctl/arguments.h"
#include "kvctl/ask.h"
#include "kvctl/interrupt.h"
#include "kvctl/meter.h"
#include "kvctl/say.h"
#include "wire/json.h"
#include "wire/json_string.h"
#include "wire/line.h"

enum {
    BATCH_LINES = 1000,
    MOST_LINES = 1000000,
    BATCH_BYTES = 4 << 20
};

struct import {
    struct kv_ctl_call *call;
    FILE *file;
    const char *name;
    char *line; /* getline()'s */
    size_t line_size;
    uint64_t number;   /* of that line: 1, 2, … */
    uint64_t *numbers; /* of the lines in the batch */
    uint64_t n_in_batch, most_in_batch;
    uint64_t n_done; /* lines of earlier batches */
    struct kv_buffer batch;
    struct kv_ctl_answer answer;
    struct kv_ctl_meter meter;
};

/* ---- a batch ---- */

/* Returns: the exit code, told. */
static int judge_answer(const struct import *import, uint64_t number, struct kv_slice answer)
{
    struct kv_slice type, payload;
    struct kv_buffer text = {0};
    if (kv_json_type_of(answer) != KV_JSON_OBJECT)
        return KV_CTL_DONE;
    type = kv_ctl_member(answer, KV_SLICE("type"));
    payload = kv_ctl_member(answer, KV_SLICE("payload"));
    if (kv_json_type_of(type) != KV_JSON_STRING || !kv_json_string_equals(type, KV_SLICE("error")))
        return KV_CTL_DONE;
    if (kv_json_type_of(payload) == KV_JSON_STRING)
        kv_json_unescape(payload, &text);
    kv_ctl_meter_erase(&import->meter);
    kv_ctl_say("%s:%ju: %.*s", import->name, (uintmax_t)number, (int)text.len, text.bytes);
    kv_buffer_fini(&text);
    return KV_CTL_REFUSED;
}

/* Returns: the worst of the exit codes, told. */
static int judge(const struct import *import)
{
    struct kv_slice answers = kv_buffer_slice(&import->answer.body), answer;
    struct kv_json_error error;
    size_t at = 0;
    int code = KV_CTL_DONE;
    for (uint64_t i = 0; i < import->n_in_batch &&
                         kv_json_read_array(answers, KV_JSON_MAX_DEPTH, &at, &answer, &error) == 1;
         i++) {
        int judged = judge_answer(import, import->numbers[i], answer);
        code = judged > code ? judged : code;
    }
    return code;
}

static void tell_how_far(const struct import *import, int code)
{
    if (code == KV_CTL_REFUSED)
        return;
    kv_ctl_meter_erase(&import->meter);
    kv_ctl_say(
        "%s: %ju keys were imported before that, and some of the %ju up to line %ju may have "
        "been",
        import->name, (uintmax_t)import->n_done, (uintmax_t)import->n_in_batch,
        (uintmax_t)import->number);
}

/* Returns: the exit code, told. */
static int send_batch(struct import *import)
{
    if (import->n_in_batch == 0)
        return KV_CTL_DONE;
    kv_buffer_append_char(&import->batch, ']');
    int code = kv_ctl_ask_batch(import->call, kv_buffer_slice(&import->batch), import->name,
                                &import->answer);
    if (code == KV_CTL_DONE)
        code = judge(import);
    else
        tell_how_far(import, code);
    kv_ctl_meter_add(&import->meter, import->n_in_batch, import->batch.len);
    import->n_done += import->n_in_batch;
    import->n_in_batch = 0;
    import->batch.len = 0;
    return code;
}

/* ---- a line ---- */

enum {
    KEY,
    VALUE,
    TTL,
    DELETED,
    BACKUP,
    N_MEMBERS
};

static const struct kv_json_field fields[N_MEMBERS] = {
    [KEY] = {.name = {"key", 3}},       [VALUE] = {.name = {"value", 5}},
    [TTL] = {.name = {"ttl", 3}},       [DELETED] = {.name = {"deleted", 7}},
    [BACKUP] = {.name = {"backup", 6}},
};

static void append_member(struct kv_buffer *batch, const char *name, struct kv_slice json)
{
    kv_buffer_append(batch, kv_slice_of(name));
    kv_buffer_append(batch, json);
}

static void append_message(struct import *import, const struct kv_slice *members)
{
    struct kv_buffer *batch = &import->batch;
    bool is_delete = members[VALUE].bytes == NULL;
    kv_buffer_append_char(batch, import->n_in_batch == 0 ? '[' : ',');
    append_member(batch,
                  is_delete ? "{\"type\":\"delete\",\"payload\":{\"key\":"
                            : "{\"type\":\"set\",\"payload\":{\"key\":",
                  members[KEY]);
    if (!is_delete)
        append_member(batch, ",\"value\":", members[VALUE]);
    if (!is_delete && members[TTL].bytes != NULL)
        append_member(batch, ",\"ttl\":", members[TTL]);
    kv_buffer_append(batch, KV_SLICE("}}"));
    import->numbers[import->n_in_batch++] = import->number;
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
    if (members[BACKUP].bytes != NULL && members[KEY].bytes == NULL)
        return 0; /* the last line of a backup */
    if (kv_json_type_of(members[KEY]) != KV_JSON_STRING)
        return kv_error_set(reterr, "\"key\" is not a string");
    if (members[VALUE].bytes == NULL && kv_json_type_of(members[DELETED]) != KV_JSON_TRUE)
        return kv_error_set(reterr, "\"value\" is missing");
    append_message(import, members);
    return 0;
}

/* Returns: 1 where a line was taken, 0 at the end, -1 where it is bad, told. */
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
    kv_ctl_meter_erase(&import->meter);
    kv_ctl_say("%s:%ju: %s", import->name, (uintmax_t)import->number, error.text);
    return -1;
}

/* Returns: the exit code, told. What stands before a bad line is still imported. */
static int load(struct import *import)
{
    int code = KV_CTL_DONE, result = 1;
    while (result == 1 && code == KV_CTL_DONE && !kv_ctl_is_interrupted()) {
        result = next_line(import);
        if (result != 1 || import->n_in_batch == import->most_in_batch ||
            import->batch.len >= BATCH_BYTES)
            code = kv_ctl_is_interrupted() ? KV_CTL_DONE : send_batch(import);
    }
    return code == KV_CTL_DONE && result < 0 ? KV_CTL_USAGE : code;
}

static int run(struct import *import)
{
    import->numbers = calloc(import->most_in_batch, sizeof(*import->numbers));
    if (import->numbers == NULL)
        return kv_ctl_fail(KV_CTL_USAGE, "there is no memory for such batches");
    kv_ctl_interrupt_catch();
    kv_ctl_meter_start(&import->meter, import->call, "imported");
    int code = load(import);
    if (kv_ctl_is_interrupted() && import->n_in_batch != 0)
        tell_how_far(import, KV_CTL_USAGE);
    else if (code == KV_CTL_DONE)
        kv_ctl_meter_finish(&import->meter);
    free(import->numbers);
    free(import->line);
    kv_buffer_fini(&import->batch);
    kv_ctl_answer_fini(&import->answer);
    return code;
}

int kv_ctl_import_run(struct kv_ctl_call *call)
{
    const char *path = call->arguments.n_operands == 0 ? "-" : call->arguments.operands[0];
    bool is_stdin = strcmp(path, "-") == 0;
    struct kv_error error;
    struct import import = {
        .call = call, .name = is_stdin ? "standard input" : path, .most_in_batch = BATCH_LINES};
    if (kv_ctl_read_number(&call->arguments, KV_CTL_BATCH, 1, MOST_LINES, &import.most_in_batch,
                           &error) != 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    import.file = is_stdin ? stdin : fopen(path, "re");
    if (import.file == NULL)
        return kv_ctl_fail(KV_CTL_USAGE, "%s: %s", path, strerror(errno));
    int code = run(&import);
    if (!is_stdin)
        fclose(import.file);
    return code;
}
