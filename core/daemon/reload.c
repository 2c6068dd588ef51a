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
    const char *file;
    size_t n;
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

/* Whether a change is applied without a restart. */
static bool is_applied(const char *path)
{
    static const char *const names[] = {"access", "origins", "hosts", "limits", "log", "timeouts"};
    if (strcmp(path, "access.revoked") == 0 || strcmp(path, "limits.memory") == 0)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i]);
        if (strncmp(path, names[i], len) == 0 &&
            (path[len] == '\0' || strchr(".[", path[len]) != NULL))
            return true;
    }
    return false;
}

static void tell_change(void *context, const char *path, const char *before, const char *after)
{
    struct changes *changes = context;
    struct kv_quote was = kv_quote(kv_slice_of(before == NULL ? "" : before));
    struct kv_quote is = kv_quote(kv_slice_of(after == NULL ? "" : after));
    const char *file = changes->file;
    if (is_applied(path))
        return;
    if (++changes->n > MOST_TOLD)
        return;
    if (before == NULL)
        kv_log(KV_LOG_WARN, "server", "%s: %s (%s) was added; restart to apply", file, path,
               is.text);
    else if (after == NULL)
        kv_log(KV_LOG_WARN, "server", "%s: %s (%s) was removed; restart to apply", file, path,
               was.text);
    else if (strcmp(before, after) == 0)
        kv_log(KV_LOG_WARN, "server", "%s: %s has changed; restart to apply", file, path);
    else
        kv_log(KV_LOG_WARN, "server", "%s: %s changed from %s to %s; restart to apply", file, path,
               was.text, is.text);
}

/* Owns: the caller, by kv_buffer_fini(). */
static struct kv_buffer print(const struct kv_config *config, bool shows_secrets)
{
    struct kv_buffer text = {0};
    struct kv_conf_printer printer = {.out = &text, .shows_secrets = shows_secrets};
    kv_config_print(config, &printer);
    return text;
}

static void tell_changes(const struct kv_config *running, const struct kv_config *found)
{
    struct changes changes = {.file = running->path};
    struct kv_buffer texts[] = {print(running, true), print(running, false), print(found, true),
                                print(found, false)};
    const struct kv_printed_config before = {kv_buffer_slice(&texts[0]),
                                             kv_buffer_slice(&texts[1])};
    const struct kv_printed_config after = {kv_buffer_slice(&texts[2]), kv_buffer_slice(&texts[3])};
    kv_difference_find(&before, &after, tell_change, &changes);
    if (changes.n == 0)
        kv_log(KV_LOG_INFO, "server", "%s: nothing has changed that needs a restart",
               running->path);
    else if (changes.n > MOST_TOLD)
        kv_log(KV_LOG_WARN, "server", "%s: %zu more values have changed; restart to apply",
               running->path, changes.n - MOST_TOLD);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        kv_buffer_fini(&texts[i]);
}

void kv_reload(const struct kv_config *running, kv_apply_fn apply, void *context)
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
        apply(context, &found);
        tell_changes(running, &found);
    } else {
        tell_faults(&found);
    }
    kv_config_fini(&found);
}
