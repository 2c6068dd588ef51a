/* kvctl: reads the command line, finds the server, and runs the verb. */
#include <curl/curl.h>

#include "kvctl/arguments.h"
#include "kvctl/help.h"
#include "kvctl/http.h"
#include "kvctl/interrupt.h"
#include "kvctl/output.h"
#include "kvctl/say.h"
#include "kvctl/target.h"
#include "kvctl/verbs.h"

enum {
    USUAL_TIMEOUT_MS = 30000
};

static int run_at_server(struct kv_ctl_call *call)
{
    struct kv_ctl_target target;
    struct kv_error error;
    int code = KV_CTL_USAGE;
    if (kv_ctl_target_find(call, &target, &error) != 0) {
        kv_ctl_say("%s", error.text);
    } else if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
               (call->http = kv_ctl_http_open(&target)) == NULL) {
        kv_ctl_say("libcurl does not work here");
    } else {
        code = call->verb->run(call);
        kv_ctl_http_close(call->http);
        curl_global_cleanup();
    }
    kv_ctl_target_fini(&target);
    return code;
}

static int run(struct kv_ctl_call *call)
{
    if (kv_ctl_has(call, KV_CTL_HELP)) {
        kv_ctl_help_verb(call->verb, stdout);
        return KV_CTL_DONE;
    }
    return call->verb->is_local ? call->verb->run(call) : run_at_server(call);
}

/* Reads the arguments of the verb. Returns: 0, or -1 and *reterr. */
static int read_call(struct kv_ctl_call *call, char **arguments, struct kv_error *reterr)
{
    struct kv_ctl_arguments *to = &call->arguments;
    call->timeout_ms = USUAL_TIMEOUT_MS;
    if (kv_ctl_arguments_parse(call->verb, (const char *const *)arguments, to, reterr) != 0)
        return -1;
    if (kv_ctl_has(call, KV_CTL_HELP))
        return 0;
    if (kv_ctl_arguments_check(call->verb, to, reterr) != 0 ||
        kv_ctl_read_format(to, &call->format, reterr) != 0)
        return -1;
    return kv_ctl_read_time(to, KV_CTL_TIMEOUT, &call->timeout_ms, reterr);
}

static int run_verb(const char *name, char **arguments)
{
    struct kv_ctl_call call = {.verbs = kv_ctl_verbs};
    struct kv_error error;
    int code = KV_CTL_USAGE;
    call.verb = kv_ctl_find_verb(kv_ctl_verbs, name);
    if (call.verb == NULL)
        return KV_CTL_USAGE;
    if (read_call(&call, arguments, &error) == 0)
        code = run(&call);
    else
        kv_ctl_say("%s; see kvctl %s --help", error.text, name);
    kv_ctl_arguments_fini(&call.arguments);
    return code;
}

/* Whether the argument is an option whose value is the next argument. */
static bool takes_next(const char *text)
{
    for (int i = 0; i < KV_CTL_N_COMMON; i++) {
        const struct kv_ctl_option *option = &kv_ctl_options[i];
        if (option->argument == NULL)
            continue;
        if (strncmp(text, "--", 2) == 0 && strcmp(text + 2, option->name) == 0)
            return true;
        if (text[0] == '-' && text[1] == option->letter && text[1] != '\0' && text[2] == '\0')
            return true;
    }
    return false;
}

/* Moves the verb to the front, as common options may come before it. */
static void move_verb(char **arguments)
{
    size_t n = 0;
    while (arguments[n] != NULL && arguments[n][0] == '-')
        n += takes_next(arguments[n]) && arguments[n + 1] != NULL ? 2 : 1;
    if (arguments[n] == NULL)
        return;
    char *verb = arguments[n];
    memmove(arguments + 1, arguments, n * sizeof(*arguments));
    arguments[0] = verb;
}

int main(int argc, char **argv)
{
    int code = KV_CTL_DONE;
    kv_ctl_output_begin();
    if (argc < 2) {
        kv_ctl_help(kv_ctl_verbs, stderr);
        code = KV_CTL_USAGE;
    } else if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        kv_ctl_help(kv_ctl_verbs, stdout);
    } else if (strcmp(argv[1], "--version") == 0) {
        kv_ctl_put(KV_SLICE("kvctl " KV_VERSION "\n"));
    } else {
        move_verb(argv + 1);
        code = run_verb(argv[1], argv + 2);
    }
    kv_ctl_output_flush();
    kv_ctl_interrupt_obey();
    return code;
}
