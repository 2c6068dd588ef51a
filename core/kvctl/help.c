#include "kvctl/help.h"

#include "base/distance.h"
#include "kvctl/say.h"

static const char environment[] =
    "Environment: KVSERVER_URL (http://127.0.0.1:3000 if there is no context), KVSERVER_TOKEN,\n"
    "KVSERVER_CACERT. Contexts are kept in ~/.config/kvctl.\n"
    "\n"
    "Exit codes: 0 done, 1 no value, 2 a wrong command line or file, 3 refused by the server,\n"
    "4 the server cannot be reached, or is not ready\n";

enum {
    NAME_WIDTH = 26
};

static void put_option(const struct kv_ctl_option *option, FILE *out)
{
    char text[64];
    char letter[8] = "   ";
    if (option->letter != 0)
        snprintf(letter, sizeof(letter), "-%c,", option->letter);
    snprintf(text, sizeof(text), "%s --%s%s%s", letter, option->name,
             option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");
    fprintf(out, "  %-*s%s%s%s\n", NAME_WIDTH, text, option->summary,
            option->words != NULL ? ": " : "", option->words != NULL ? option->words : "");
}

static void put_options(uint32_t options, FILE *out)
{
    for (int i = 0; i < KV_CTL_N_OPTIONS; i++)
        if ((options & KV_CTL_OPTION(i)) != 0)
            put_option(&kv_ctl_options[i], out);
}

void kv_ctl_help(const struct kv_ctl_verb *verbs, FILE *out)
{
    char text[64];
    fputs("usage: kvctl VERB [OPTION...] [ARGUMENT...]\n\n", out);
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++) {
        snprintf(text, sizeof(text), "%s %s", verb->name, verb->operands);
        fprintf(out, "  %-*s%s\n", NAME_WIDTH, text, verb->summary);
    }
    fputs("\nOptions of every verb (kvctl VERB --help lists the others):\n\n", out);
    put_options(KV_CTL_COMMON, out);
    fprintf(out, "      --version             print the version\n\n%s", environment);
}

void kv_ctl_help_verb(const struct kv_ctl_verb *verb, FILE *out)
{
    fprintf(out, "usage: kvctl %s [OPTION...] %s\n\n%s\n", verb->name, verb->operands,
            verb->summary);
    if (verb->help != NULL)
        fprintf(out, "\n%s", verb->help);
    fputs("\n", out);
    put_options(verb->options, out);
    put_options(KV_CTL_COMMON, out);
}

const struct kv_ctl_verb *kv_ctl_find_verb(const struct kv_ctl_verb *verbs, const char *name)
{
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    const char *nearest = NULL;
    for (const struct kv_ctl_verb *verb = verbs; verb->name != NULL; verb++)
        kv_name_offer(name, verb->name, &nearest);
    if (nearest != NULL)
        kv_ctl_say("there is no verb \"%s\" (did you mean %s?)", name, nearest);
    else
        kv_ctl_say("there is no verb \"%s\"; see kvctl --help", name);
    return NULL;
}

int kv_ctl_help_run(struct kv_ctl_call *call)
{
    if (call->arguments.n_operands == 0) {
        kv_ctl_help(call->verbs, stdout);
        return KV_CTL_DONE;
    }
    const struct kv_ctl_verb *verb = kv_ctl_find_verb(call->verbs, call->arguments.operands[0]);
    if (verb == NULL)
        return KV_CTL_USAGE;
    kv_ctl_help_verb(verb, stdout);
    return KV_CTL_DONE;
}
