#include "daemon/reload.h"
#include "daemon/print.h"

#include <sys/stat.h>

#include "conf/print.h"
#include "daemon/difference.h"
#include "daemon/preflight.h"
#include "wire/quote.h"

enum {
    MOST_TOLD = 20 /* changes */
};

struct changes {
    struct kv_log_lines *lines;
    const char *file;
    size_t n;
};

static const char *const applied_names[] = {"access", "origins",  "hosts",
                                            "limits", "timeouts", "log"};

enum {
    N_APPLIED = sizeof(applied_names) / sizeof(applied_names[0])
};

/* A configuration that was piped into the server at its start is no longer available. */
static bool is_regular_file(const char *path)
{
    struct stat status;
    return stat(path, &status) != 0 || S_ISREG(status.st_mode);
}

static void tell_faults(const struct kv_config *config)
{
    struct kv_buffer faults = {0};
    kv_config_append_faults(config, "", &faults);
    kv_buffer_append_char(&faults, '\0');
    for (char *line = faults.bytes, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        kv_log(KV_LOG_ERROR, "server", "%s", line);
    }
    kv_log(KV_LOG_ERROR, "server",
           "keeping the old configuration; the server would not start with this file");
    kv_buffer_fini(&faults);
}

/* Returns: an index of applied_names; N_APPLIED: the change requires a restart. */
static size_t place_of(const char *path)
{
    if (strcmp(path, "access.revoked") == 0 || strcmp(path, "limits.memory") == 0)
        return N_APPLIED;
    for (size_t i = 0; i < N_APPLIED; i++) {
        size_t len = strlen(applied_names[i]);
        if (strncmp(path, applied_names[i], len) == 0 &&
            (path[len] == '\0' || strchr(".[", path[len]) != NULL))
            return i;
    }
    return N_APPLIED;
}

static void tell_change(void *context, const char *path, const char *before, const char *after)
{
    struct changes *changes = context;
    struct kv_quote was = kv_quote(kv_slice_of(before == NULL ? "" : before));
    struct kv_quote is = kv_quote(kv_slice_of(after == NULL ? "" : after));
    struct kv_log_lines *lines = changes->lines;
    const char *file = changes->file;
    if (place_of(path) != N_APPLIED)
        return;
    if (++changes->n > MOST_TOLD)
        return;
    if (before == NULL)
        kv_log_lines_add(lines, KV_LOG_WARN, "server", "%s: %s (%s) was added; restart to apply",
                         file, path, is.text);
    else if (after == NULL)
        kv_log_lines_add(lines, KV_LOG_WARN, "server", "%s: %s (%s) was removed; restart to apply",
                         file, path, was.text);
    else if (strcmp(before, after) == 0)
        kv_log_lines_add(lines, KV_LOG_WARN, "server", "%s: %s has changed; restart to apply", file,
                         path);
    else
        kv_log_lines_add(lines, KV_LOG_WARN, "server",
                         "%s: %s changed from %s to %s; restart to apply", file, path, was.text,
                         is.text);
}

/* Owns: the caller, by kv_buffer_fini(). */
static struct kv_buffer print(const struct kv_config *config, bool shows_secrets)
{
    struct kv_buffer text = {0};
    struct kv_conf_printer printer = {.out = &text, .shows_secrets = shows_secrets};
    kv_config_print(config, true, &printer);
    return text;
}

static void tell_changes(const struct kv_config *running, const struct kv_config *found,
                         struct kv_log_lines *lines)
{
    struct changes changes = {.lines = lines, .file = running->path};
    struct kv_buffer texts[] = {print(running, true), print(running, false), print(found, true),
                                print(found, false)};
    const struct kv_printed_config before = {kv_buffer_slice(&texts[0]),
                                             kv_buffer_slice(&texts[1])};
    const struct kv_printed_config after = {kv_buffer_slice(&texts[2]), kv_buffer_slice(&texts[3])};
    kv_difference_find(&before, &after, tell_change, &changes);
    if (changes.n == 0)
        kv_log_lines_add(lines, KV_LOG_INFO, "server",
                         "%s: nothing has changed that needs a restart", running->path);
    else if (changes.n > MOST_TOLD)
        kv_log_lines_add(lines, KV_LOG_WARN, "server",
                         "%s: %zu more values have changed; restart to apply", running->path,
                         changes.n - MOST_TOLD);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        kv_buffer_fini(&texts[i]);
}

static void note_applied(void *context, const char *path, const char *before, const char *after)
{
    bool *has_changed = context;
    size_t place = place_of(path);
    (void)before;
    (void)after;
    if (place != N_APPLIED)
        has_changed[place] = true;
}

/* `access` is reported by the part that applies it: it may refuse a change. */
static void tell_names(const char *file, const bool *has_changed, struct kv_log_lines *lines)
{
    struct kv_buffer names = {0};
    for (size_t i = 0; i < N_APPLIED; i++)
        if (has_changed[i] && strcmp(applied_names[i], "access") != 0)
            kv_buffer_printf(&names, "%s`%s`", names.len == 0 ? "" : ", ", applied_names[i]);
    if (names.len != 0)
        kv_log_lines_add(lines, KV_LOG_INFO, "server", "%s: %.*s applied", file, (int)names.len,
                         names.bytes);
    kv_buffer_fini(&names);
}

static void tell_applied(const struct kv_config *running, struct kv_buffer *applied,
                         const struct kv_config *found, struct kv_log_lines *lines)
{
    bool has_changed[N_APPLIED] = {false};
    struct kv_buffer now = print(found, true);
    if (applied->len == 0)
        *applied = print(running, true);
    const struct kv_slice texts[] = {kv_buffer_slice(applied), kv_buffer_slice(&now)};
    kv_difference_find(&(struct kv_printed_config){texts[0], texts[0]},
                       &(struct kv_printed_config){texts[1], texts[1]}, note_applied, has_changed);
    tell_names(running->path, has_changed, lines);
    kv_buffer_fini(applied);
    *applied = now;
}

void kv_reload(const struct kv_config *running, struct kv_buffer *applied, kv_apply_fn apply,
               void *context, struct kv_log_lines *lines)
{
    struct kv_config found;
    if (running->path == NULL)
        return;
    if (!is_regular_file(running->path)) {
        kv_log(KV_LOG_INFO, "server", "%s is not a regular file, so it is not read again",
               running->path);
        return;
    }
    bool is_valid = kv_config_load(running->path, &found) == 0;
    if (found.values != NULL && kv_preflight_reloaded(&found, running) != 0)
        is_valid = false;
    if (is_valid) {
        apply(context, &found, lines);
        tell_applied(running, applied, &found, lines);
        tell_changes(running, &found, lines);
    } else {
        tell_faults(&found);
    }
    kv_config_fini(&found);
}
