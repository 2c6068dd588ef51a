/* A few long options, and -c; parsed by getopt_long, with our own messages. */
#include "daemon/arguments.h"

#include <getopt.h>

#include "base/distance.h"

const char kv_usage[] =
    "usage: kvserver [-c FILE] [--check-config | --print-config | --export | --import FILE |\n"
    "                            --restore FILE | --hash-token | --mint-token CLAIMS | --version | "
    "--help]\n"
    "\n"
    "  -c, --config FILE   the configuration, a YAML file; without it, all defaults\n"
    "      --check-config  list all that is wrong with the configuration, and exit\n"
    "      --print-config  print the configuration with the defaults filled in, and exit\n"
    "      --export        write every key of the store to standard output, a line of JSON each\n"
    "      --import FILE   read such lines (-: from standard input) into the store, and exit;\n"
    "                      where the store is volatile, serve then\n"
    "      --restore FILE  read a backup (`GET /admin/backup`) into a new store, and exit; where "
    "the\n"
    "                      store is volatile, serve then\n"
    "      --hash-token    read a token from standard input, and print its `sha256:` for the\n"
    "                      configuration\n"
    "      --mint-token CLAIMS\n"
    "                      print a token with these claims (a JSON object), signed with the secret "
    "of\n"
    "                      `access.jwt`, for one hour unless they have `exp`\n"
    "      --version       print the version, and exit\n"
    "  -h, --help          print this, and exit\n"
    "\n"
    "Exit codes: 0 done, 1 a failure at run time, 2 a wrong command line or configuration\n";

enum {
    ACTION = 256 /* plus an enum kv_action: an option that selects an action */
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, ACTION + KV_ACTION_CHECK_CONFIG},
    {"print-config", no_argument, NULL, ACTION + KV_ACTION_PRINT_CONFIG},
    {"export", no_argument, NULL, ACTION + KV_ACTION_EXPORT},
    {"import", required_argument, NULL, ACTION + KV_ACTION_IMPORT},
    {"restore", required_argument, NULL, ACTION + KV_ACTION_RESTORE},
    {"hash-token", no_argument, NULL, ACTION + KV_ACTION_HASH_TOKEN},
    {"mint-token", required_argument, NULL, ACTION + KV_ACTION_MINT_TOKEN},
    {"version", no_argument, NULL, ACTION + KV_ACTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int choose(struct kv_arguments *arguments, enum kv_action action, struct kv_error *reterr)
{
    if (arguments->action != KV_ACTION_SERVE && arguments->action != action)
        return kv_error_set(reterr,
                            "--check-config, --print-config, --export, --import, --restore, "
                            "--hash-token, --mint-token, --version and --help exclude each other");
    arguments->action = action;
    if (action == KV_ACTION_IMPORT || action == KV_ACTION_RESTORE)
        arguments->import_path = optarg;
    if (action == KV_ACTION_MINT_TOKEN)
        arguments->claims = optarg;
    return 0;
}

static int refuse_unknown(const char *text, struct kv_error *reterr)
{
    const char *nearest = NULL;
    for (const struct option *option = options; option->name != NULL; option++)
        kv_name_offer(text + strspn(text, "-"), option->name, &nearest);
    if (nearest == NULL)
        return kv_error_set(reterr, "unknown option %s", text);
    return kv_error_set(reterr, "unknown option %s (did you mean --%s?)", text, nearest);
}

/* An argument without an option is most likely the configuration. */
static int refuse_stray(const char *text, struct kv_error *reterr)
{
    size_t len = strlen(text);
    bool is_yaml = (len > 5 && strcmp(text + len - 5, ".yaml") == 0) ||
                   (len > 4 && strcmp(text + len - 4, ".yml") == 0);
    return kv_error_set(
        reterr, is_yaml ? "unexpected argument %s (did you mean -c %s?)" : "unexpected argument %s",
        text, text);
}

static int take_config(struct kv_arguments *arguments, struct kv_error *reterr)
{
    if (*optarg == '\0')
        return kv_error_set(reterr, "-c needs the name of a file");
    arguments->config_path = optarg; /* the last one counts */
    return 0;
}

/* text: the last argument that getopt_long() has examined. */
static int take_option(struct kv_arguments *arguments, int option, const char *text,
                       struct kv_error *reterr)
{
    switch (option) {
    case 'c':
        return take_config(arguments, reterr);
    case 'h':
        return choose(arguments, KV_ACTION_HELP, reterr);
    case ':':
        return kv_error_set(reterr, "%s needs a value", text);
    case '?':
        return refuse_unknown(text, reterr);
    default:
        return choose(arguments, (enum kv_action)(option - ACTION), reterr);
    }
}

int kv_arguments_parse(int argc, char **argv, struct kv_arguments *ret, struct kv_error *reterr)
{
    struct kv_arguments arguments = {.action = KV_ACTION_SERVE};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1;)
        if (take_option(&arguments, option, argv[optind - 1], reterr) != 0)
            return -1;
    if (optind < argc)
        return refuse_stray(argv[optind], reterr);
    *ret = arguments;
    return 0;
}
