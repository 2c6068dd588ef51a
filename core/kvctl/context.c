#include "kvctl/context.h"

#include <limits.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "kvctl/contexts.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "kvctl/target.h"

typedef int (*action_fn)(struct kv_ctl_call *call, struct kv_ctl_contexts *contexts,
                         struct kv_error *reterr);

static const char *operand(const struct kv_ctl_call *call, size_t i)
{
    return call->arguments.operands[i];
}

/* Stores absolute file names, as kvctl may run in any folder. Returns: 0, or -1 and *reterr. */
static int set_file(struct kv_ctl_contexts *contexts, const struct kv_ctl_call *call,
                    enum kv_ctl_option_id option, const char *member, struct kv_error *reterr)
{
    const char *given = call->arguments.options[option];
    char name[32], path[PATH_MAX];
    snprintf(name, sizeof(name), "--%s", kv_ctl_options[option].name);
    if (given != NULL && kv_ctl_check_file(name, given, reterr) != 0)
        return -1;
    if (given != NULL && realpath(given, path) == NULL)
        return kv_error_set(reterr, "%s %s: %m", name, given);
    kv_ctl_contexts_set(contexts, operand(call, 1), member, given == NULL ? NULL : path);
    return 0;
}

/* Returns: 0, or -1 and *reterr. */
static int set_token(struct kv_ctl_contexts *contexts, const struct kv_ctl_call *call,
                     struct kv_error *reterr)
{
    const char *path = call->arguments.options[KV_CTL_TOKEN_FILE];
    char *token = path == NULL ? NULL : kv_ctl_token_read(path, reterr);
    if (path != NULL && token == NULL)
        return -1;
    kv_ctl_contexts_set(contexts, operand(call, 1), "token", token);
    if (token != NULL)
        explicit_bzero(token, strlen(token));
    free(token);
    return 0;
}

static int add(struct kv_ctl_call *call, struct kv_ctl_contexts *contexts, struct kv_error *reterr)
{
    const char *name = operand(call, 1), *url = operand(call, 2);
    struct kv_ctl_target target = {0};
    int result;
    if (*name == '\0' || !kv_utf8_is_valid(kv_slice_of(name)))
        return kv_error_set(reterr, "the name of a context must be UTF-8, and not empty");
    result = kv_ctl_check_key(call->arguments.options[KV_CTL_CERT],
                              call->arguments.options[KV_CTL_CERT_KEY], reterr);
    if (result == 0)
        result = kv_ctl_target_set_url(&target, url, reterr);
    if (result == 0) {
        kv_ctl_contexts_set(contexts, name, "url", url);
        result = set_file(contexts, call, KV_CTL_CACERT, "cacert", reterr);
    }
    if (result == 0)
        result = set_file(contexts, call, KV_CTL_CERT, "cert", reterr);
    if (result == 0)
        result = set_file(contexts, call, KV_CTL_CERT_KEY, "cert_key", reterr);
    if (result == 0)
        result = set_token(contexts, call, reterr);
    if (result == 0 && kv_ctl_contexts_current(contexts) == NULL)
        kv_ctl_contexts_use(contexts, name);
    if (result == 0 && kv_ctl_has(call, KV_CTL_TOKEN_FILE))
        kv_ctl_target_warn_of_clear_text(&target);
    kv_ctl_target_fini(&target);
    return result == 0 ? kv_ctl_contexts_save(contexts, reterr) : -1;
}

static int find(const struct kv_ctl_call *call, const struct kv_ctl_contexts *contexts,
                struct kv_error *reterr)
{
    if (kv_ctl_contexts_have(contexts, operand(call, 1)))
        return 0;
    return kv_error_set(reterr, "there is no context \"%s\"", operand(call, 1));
}

static int use(struct kv_ctl_call *call, struct kv_ctl_contexts *contexts, struct kv_error *reterr)
{
    if (find(call, contexts, reterr) != 0)
        return -1;
    kv_ctl_contexts_use(contexts, operand(call, 1));
    return kv_ctl_contexts_save(contexts, reterr);
}

static int drop(struct kv_ctl_call *call, struct kv_ctl_contexts *contexts, struct kv_error *reterr)
{
    if (find(call, contexts, reterr) != 0)
        return -1;
    kv_ctl_contexts_remove(contexts, operand(call, 1));
    return kv_ctl_contexts_save(contexts, reterr);
}

static void put_json(const struct kv_ctl_contexts *contexts, const char *name, bool is_current)
{
    kv_ctl_put(KV_SLICE("{\"name\":"));
    kv_ctl_put_json_string(kv_slice_of(name));
    kv_ctl_put(KV_SLICE(",\"url\":"));
    kv_ctl_put_json_string(kv_slice_of(kv_ctl_contexts_get(contexts, name, "url")));
    kv_ctl_putf(",\"current\":%s,\"token\":%s}\n", is_current ? "true" : "false",
                kv_ctl_contexts_get(contexts, name, "token") != NULL ? "true" : "false");
}

/* Prints a context, without its token. */
static void put(const struct kv_ctl_call *call, const struct kv_ctl_contexts *contexts,
                const char *name)
{
    const char *current = kv_ctl_contexts_current(contexts);
    bool is_current = current != NULL && strcmp(current, name) == 0;
    if (call->format == KV_CTL_RAW)
        kv_ctl_putf("%s\n", name);
    else if (call->format == KV_CTL_TEXT)
        kv_ctl_putf("%c %s\t%s%s\n", is_current ? '*' : ' ', name,
                    kv_ctl_contexts_get(contexts, name, "url"),
                    kv_ctl_contexts_get(contexts, name, "token") != NULL ? "\t(token)" : "");
    else
        put_json(contexts, name, is_current);
}

static int list(struct kv_ctl_call *call, struct kv_ctl_contexts *contexts, struct kv_error *reterr)
{
    const char **names = kv_ctl_contexts_names(contexts);
    (void)reterr;
    for (const char **name = names; *name != NULL; name++)
        put(call, contexts, *name);
    free(names);
    return 0;
}

int kv_ctl_context_run(struct kv_ctl_call *call)
{
    static const struct {
        const char *name;
        size_t n_operands;
        action_fn run;
        const char *usage;
    } actions[] = {{"add", 3, add, "context add NAME URL"},
                   {"use", 2, use, "context use NAME"},
                   {"ls", 1, list, "context ls"},
                   {"rm", 2, drop, "context rm NAME"}};
    struct kv_ctl_contexts contexts;
    struct kv_error error;
    size_t i = 0;
    while (strcmp(actions[i].name, operand(call, 0)) != 0)
        i++;
    if (call->arguments.n_operands != actions[i].n_operands)
        return kv_ctl_fail(KV_CTL_USAGE, "usage: kvctl %s", actions[i].usage);
    int result = kv_ctl_contexts_open(&contexts, &error);
    if (result == 0)
        result = actions[i].run(call, &contexts, &error);
    kv_ctl_contexts_close(&contexts);
    return result == 0 ? KV_CTL_DONE : kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
}
