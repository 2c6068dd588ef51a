#include "script/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "script/hooks.h"
#include "script/load.h"
#include "script/origin.h"

enum {
    LONGEST_SCRIPT = 1 << 20
};

/* ---- files ---- */

/* Refuses pipes, which could block forever. Returns: NULL and *reterr. */
static FILE *open_regular(const char *path, struct kv_error *reterr)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        kv_error_set(reterr, "cannot open %s: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode))
        kv_error_set(reterr, "%s is not a regular file", path);
    else
        return fdopen(fd, "rb");
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* Owns: the caller, ret->bytes. */
static int read_file(const char *path, struct kv_buffer *ret, struct kv_error *reterr)
{
    FILE *file = open_regular(path, reterr);
    if (file == NULL)
        return -1;
    size_t n;
    errno = 0;
    do {
        n = fread(kv_buffer_reserve(ret, BUFSIZ), 1, BUFSIZ, file);
        ret->len += n;
    } while (n != 0 && ret->len <= LONGEST_SCRIPT);
    bool has_failed = ferror(file) != 0;
    int failure = errno;
    fclose(file);
    if (has_failed)
        return kv_error_set(reterr, "cannot read %s: %s", path, strerror(failure));
    if (ret->len > LONGEST_SCRIPT)
        return kv_error_set(reterr, "%s is longer than 1 MiB", path);
    return 0;
}

static int compile_text(const struct kv_script *script, struct kv_slice text, uint32_t n_loops,
                        struct kv_script_faults *faults, struct kv_script_state **ret_states)
{
    const struct kv_script_loading loading = {.is_ending = &script->scripts->is_ending,
                                              .faults = faults};
    struct kv_error error;
    for (uint32_t i = 0; i < n_loops; i++) {
        ret_states[i] = kv_script_load(script->config, text, &loading, &error);
        if (ret_states[i] != NULL)
            continue;
        if (error.text[0] != '\0')
            faults->add(faults, script->config, NULL, error.text);
        while (i-- > 0)
            kv_state_unref(ret_states[i]);
        return -1;
    }
    return 0;
}

/* Compiles a state for each loop, or none if one fails. */
static int compile(const struct kv_script *script, uint32_t n_loops,
                   struct kv_script_faults *faults, struct kv_script_state **ret_states)
{
    struct kv_buffer text = {0};
    struct kv_error error;
    int result = read_file(script->config->file, &text, &error);
    if (result == 0)
        result = compile_text(script, kv_buffer_slice(&text), n_loops, faults, ret_states);
    else
        faults->add(faults, script->config, NULL, error.text);
    kv_buffer_fini(&text);
    return result;
}

/* ---- creating and destroying ---- */

static void take_next(struct kv_post *post)
{
    struct kv_script_loop *here = KV_CONTAINER(post, struct kv_script_loop, take_next);
    struct kv_script_state *next = atomic_exchange(&here->next, NULL);
    if (next == NULL)
        return;
    next->sizes = here->state->sizes;
    kv_state_unref(here->state);
    here->state = next;
    if (here == &here->script->loops[0] && here->script->scripts->has_begun)
        kv_hooks_start(here);
}

/* Runs for each script on its first loop. */
static void begin(struct kv_post *post)
{
    struct kv_scripts *scripts = KV_CONTAINER(post, struct kv_scripts, begin);
    scripts->has_begun = true;
    for (size_t i = 0; i < scripts->n; i++)
        kv_hooks_start(&scripts->all[i].loops[0]);
}

static void init_loop(struct kv_script_loop *here, struct kv_script *script,
                      struct kv_script_state *state)
{
    here->script = script;
    here->state = state;
    here->take_next.run = take_next;
    here->run_ready.run = kv_hooks_run_ready;
    kv_queue_init(&here->ready);
    kv_list_init(&here->all);
    kv_list_init(&here->spare);
}

static int load_script(struct kv_scripts *scripts, const struct kv_script_config *config,
                       struct kv_script_faults *faults)
{
    struct kv_script *script = &scripts->all[scripts->n];
    struct kv_script_state *states[KV_KEYSPACE_MAX_LOOPS];
    script->scripts = scripts;
    script->config = config;
    script->interceptor.before_write = kv_hooks_before_write;
    script->interceptor.covers = kv_hooks_cover;
    if (compile(script, scripts->n_loops, faults, states) != 0)
        return -1;
    script->loops = kv_calloc(scripts->n_loops, sizeof(*script->loops));
    for (uint32_t i = 0; i < scripts->n_loops; i++)
        init_loop(&script->loops[i], script, states[i]);
    scripts->n++;
    return 0;
}

struct kv_scripts *kv_scripts_load(const struct kv_script_config *configs, size_t n,
                                   uint32_t n_loops, struct kv_script_faults *faults)
{
    struct kv_scripts *scripts = kv_calloc(1, sizeof(*scripts));
    scripts->all = kv_calloc(n, sizeof(*scripts->all));
    scripts->n_loops = n_loops;
    scripts->observer.on_change = kv_hooks_on_change;
    scripts->origins = kv_origins_create();
    for (size_t i = 0; i < n; i++)
        load_script(scripts, &configs[i], faults);
    if (scripts->n == n)
        return scripts;
    kv_scripts_destroy(scripts);
    return NULL;
}

void kv_scripts_destroy(struct kv_scripts *scripts)
{
    if (scripts == NULL)
        return;
    for (size_t i = 0; i < scripts->n; i++) {
        for (uint32_t k = 0; k < scripts->n_loops; k++) {
            struct kv_script_loop *here = &scripts->all[i].loops[k];
            kv_hooks_forget_all(here);
            kv_state_unref(here->state);
            kv_state_unref(atomic_load(&here->next));
        }
        free(scripts->all[i].loops);
    }
    kv_origins_destroy(scripts->origins);
    free(scripts->all);
    free(scripts);
}

struct kv_interceptor *kv_scripts_interceptor(struct kv_scripts *scripts, size_t i)
{
    return &scripts->all[i].interceptor;
}

struct kv_observer *kv_scripts_observer(struct kv_scripts *scripts)
{
    return &scripts->observer;
}

void kv_scripts_start(struct kv_scripts *scripts, struct kv_keyspace *keyspace)
{
    scripts->keyspace = keyspace;
    if (kv_keyspace_shows(keyspace))
        kv_origins_rest(scripts->origins);
    for (size_t i = 0; i < scripts->n; i++)
        for (uint32_t k = 0; k < scripts->n_loops; k++)
            scripts->all[i].loops[k].keyspace_loop = kv_keyspace_on(keyspace, k);
}

void kv_scripts_begin(struct kv_scripts *scripts)
{
    if (scripts->n == 0)
        return;
    scripts->begin.run = begin;
    kv_loop_post(kv_keyspace_event_loop(scripts->all[0].loops[0].keyspace_loop), &scripts->begin);
}

void kv_scripts_drain(struct kv_scripts *scripts)
{
    atomic_store(&scripts->is_draining, true);
}

void kv_scripts_end(struct kv_scripts *scripts)
{
    atomic_store(&scripts->is_ending, true);
}

uint64_t kv_scripts_under_way(const struct kv_scripts *scripts)
{
    return atomic_load(&scripts->is_ending) ? 0 : kv_script_calls_under_way(scripts);
}

void kv_scripts_take_sizes(struct kv_scripts *scripts, uint32_t loop,
                           const struct kv_script_sizes *sizes)
{
    for (size_t i = 0; i < scripts->n; i++)
        scripts->all[i].loops[loop].state->sizes = *sizes;
}

/* ---- reloading ---- */

/* Replaces a new version that the loop has not taken up yet. */
static void hand_over(struct kv_script_loop *here, struct kv_script_state *state)
{
    struct kv_script_state *before = atomic_exchange(&here->next, state);
    kv_state_unref(before);
    if (before == NULL)
        kv_loop_post(kv_keyspace_event_loop(here->keyspace_loop), &here->take_next);
}

static void log_fault(struct kv_script_faults *faults, const struct kv_script_config *config,
                      const char *option, const char *text)
{
    (void)faults;
    if (option == NULL)
        kv_log(KV_LOG_ERROR, config->name, "%s; keeping the previous version", text);
    else
        kv_log(KV_LOG_ERROR, config->name, "options%s%s: %s; keeping the previous version",
               *option == '\0' ? "" : ".", option, text);
}

void kv_scripts_reload(struct kv_scripts *scripts, struct kv_log_lines *lines)
{
    struct kv_script_state *states[KV_KEYSPACE_MAX_LOOPS];
    struct kv_script_faults faults = {.add = log_fault};
    for (size_t i = 0; i < scripts->n; i++) {
        const struct kv_script *script = &scripts->all[i];
        if (compile(script, scripts->n_loops, &faults, states) != 0)
            continue;
        for (uint32_t k = 0; k < scripts->n_loops; k++)
            hand_over(&script->loops[k], states[k]);
        kv_log_lines_add(lines, KV_LOG_INFO, script->config->name, "reloaded");
    }
}
