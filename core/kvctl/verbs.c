#include "kvctl/verbs.h"

#include "kvctl/backup.h"
#include "kvctl/bench.h"
#include "kvctl/clients.h"
#include "kvctl/cluster.h"
#include "kvctl/completion.h"
#include "kvctl/context.h"
#include "kvctl/export.h"
#include "kvctl/get.h"
#include "kvctl/help.h"
#include "kvctl/import.h"
#include "kvctl/ls.h"
#include "kvctl/ping.h"
#include "kvctl/restore.h"
#include "kvctl/slowlog.h"
#include "kvctl/stats.h"
#include "kvctl/token.h"
#include "kvctl/ttl.h"
#include "kvctl/watch.h"
#include "kvctl/write.h"

#define HAS(option) KV_CTL_OPTION(KV_CTL_##option)

static const char values[] = "VALUE is the value itself, - for standard input, or @FILE.\n";
static const char names[] =
    "A context is a server under a name. The first one added is the one in use.\n"
    "\n"
    "  kvctl context add NAME URL [--token-file FILE] [--cacert FILE] [--cert FILE --cert-key "
    "FILE]\n"
    "  kvctl context use NAME\n"
    "  kvctl context ls\n"
    "  kvctl context rm NAME\n";
static const char watching[] =
    "Changes of the keys, or of all keys with a --prefix, as they happen. When the connection\n"
    "breaks, watch connects again and goes on after the last change it printed. `reset` says that\n"
    "changes may have been missed: forget what you know; the present state follows.\n";
static const char tokens[] =
    "new prints a token and its SHA-256 for `access.tokens` of the server's configuration; hash\n"
    "prints that of the token in --token-file, or on standard input.\n";

const struct kv_ctl_verb kv_ctl_verbs[] = {
    {.name = "get",
     .operands = "KEY...",
     .summary = "print values",
     .help = "As JSON; -o raw prints texts without quotes, and adds no line feed.\n",
     .least = 1,
     .most = KV_CTL_ANY_NUMBER,
     .options = HAS(JSON_KEYS),
     .run = kv_ctl_get_run},
    {.name = "set",
     .operands = "KEY VALUE",
     .summary = "write a value",
     .help = values,
     .least = 2,
     .most = 2,
     .options = HAS(JSON_KEYS) | HAS(TTL) | HAS(STRING) | HAS(IF_REVISION) | HAS(IF_ABSENT),
     .run = kv_ctl_set_run},
    {.name = "del",
     .operands = "KEY...",
     .summary = "delete keys",
     .help = "A key that is not there is no error.\n",
     .least = 1,
     .most = KV_CTL_ANY_NUMBER,
     .options = HAS(JSON_KEYS) | HAS(IF_REVISION),
     .run = kv_ctl_del_run},
    {.name = "ls",
     .operands = "[PREFIX]",
     .summary = "list keys",
     .help = "-o raw ends each key with a NUL byte, for xargs -0.\n",
     .most = 1,
     .options = HAS(JSON_KEYS) | HAS(DELIMITER) | HAS(VALUES) | HAS(LONG) | HAS(COUNT) | HAS(LIMIT),
     .run = kv_ctl_ls_run},
    {.name = "watch",
     .operands = "[KEY...]",
     .summary = "print changes as they happen",
     .help = watching,
     .most = KV_CTL_ANY_NUMBER,
     .options = HAS(JSON_KEYS) | HAS(PREFIX) | HAS(INITIAL) | HAS(SINCE) | HAS(EPOCH) | HAS(LIMIT),
     .run = kv_ctl_watch_run},
    {.name = "ttl",
     .operands = "KEY",
     .summary = "print the milliseconds until a key expires",
     .least = 1,
     .most = 1,
     .options = HAS(JSON_KEYS),
     .run = kv_ctl_ttl_run},
    {.name = "touch",
     .operands = "KEY TTL",
     .summary = "give a key another time to live (0: none)",
     .least = 2,
     .most = 2,
     .options = HAS(JSON_KEYS) | HAS(IF_REVISION),
     .run = kv_ctl_touch_run},
    {.name = "incr",
     .operands = "KEY [N]",
     .summary = "add N (1) to an integer, and print the sum",
     .help = "A key that is not there counts as 0, and gets the --ttl.\n",
     .least = 1,
     .most = 2,
     .options = HAS(JSON_KEYS) | HAS(TTL) | HAS(IF_REVISION) | HAS(IF_ABSENT),
     .run = kv_ctl_incr_run},
    {.name = "merge",
     .operands = "KEY PATCH",
     .summary = "apply a merge patch (RFC 7396), and print the result",
     .help = "PATCH is the patch itself, - for standard input, or @FILE.\n",
     .least = 2,
     .most = 2,
     .options = HAS(JSON_KEYS) | HAS(IF_REVISION) | HAS(IF_ABSENT),
     .run = kv_ctl_merge_run},
    {.name = "import",
     .operands = "[FILE]",
     .summary = "write the keys of a file of JSON lines",
     .help = "Such as kvctl export and kvserver --export write. Without FILE: standard input.\n",
     .most = 1,
     .options = HAS(BATCH),
     .takes_files = true,
     .run = kv_ctl_import_run},
    {.name = "export",
     .operands = "[PREFIX]",
     .summary = "print keys as JSON lines",
     .help = "Keys that change meanwhile may be printed as they were or as they are.\n",
     .most = 1,
     .options = HAS(JSON_KEYS),
     .run = kv_ctl_export_run},
    {.name = "backup",
     .operands = "FILE",
     .summary = "fetch the whole store as of one revision",
     .help = "FILE is - for standard output. It comes to be only if the backup is whole.\n",
     .least = 1,
     .most = 1,
     .options = HAS(FORCE),
     .takes_files = true,
     .run = kv_ctl_backup_run},
    {.name = "restore",
     .operands = "FILE",
     .summary = "replace the store by a backup",
     .help =
         "The server gets the backup, and makes a new store of it when it starts next, whole or\n"
         "not at all; so a new epoch begins. With --live the keys of the backup are written one "
         "by\n"
         "one while the server serves, and the epoch stays. A backup that is not whole is refused\n"
         "before anything is changed.\n",
     .least = 1,
     .most = 1,
     .options = HAS(FORCE) | HAS(LIVE) | HAS(BATCH),
     .takes_files = true,
     .run = kv_ctl_restore_run},
    {.name = "stats",
     .operands = "",
     .summary = "print figures of the server",
     .help = "Those of GET /metrics that are not 0, without the prefix kvserver_ of their names; "
             "-o raw\n"
             "prints all as Prometheus reads them.\n",
     .run = kv_ctl_stats_run},
    {.name = "clients",
     .operands = "",
     .summary = "list the open connections of the server",
     .help = "This takes the right `clients`; -o raw prints the answers of the server.\n",
     .run = kv_ctl_clients_run},
    {.name = "slowlog",
     .operands = "",
     .summary = "list the latest slow commands, the newest first",
     .help = "This takes the right `slowlog`; -o raw prints the answer of the server. Of a key, "
             "the first\n"
             "64 bytes are listed; BYTES is its whole length.\n",
     .run = kv_ctl_slowlog_run},
    {.name = "cluster",
     .operands = "",
     .summary = "list the partitions of a store that several servers share",
     .help =
         "As this server sees them: where each one is, and how many milliseconds ago (LAG) the "
         "server\n"
         "last had all its changes. This takes the right `cluster`; -o raw prints the answer of "
         "the server.\n",
     .run = kv_ctl_cluster_run},
    {.name = "bench",
     .operands = "get|set|watch",
     .summary = "measure how quick the server is",
     .help =
         "get and set count requests, one after the other on each connection; watch counts the\n"
         "changes that arrive at its connections, from the moment they are sent to be written.\n"
         "Keys begin with kvctl-bench/, and are deleted afterwards.\n",
     .least = 1,
     .most = 1,
     .options = HAS(CONNECTIONS) | HAS(DURATION) | HAS(KEYS) | HAS(SIZE),
     .words = "get set watch",
     .run = kv_ctl_bench_run},
    {.name = "ping",
     .operands = "",
     .summary = "ask whether the server serves",
     .options = HAS(LIMIT),
     .run = kv_ctl_ping_run},
    {.name = "token",
     .operands = "[new|hash]",
     .summary = "make a token, or hash one, for the configuration of a server",
     .help = tokens,
     .most = 1,
     .words = "new hash",
     .is_local = true,
     .run = kv_ctl_token_run},
    {.name = "context",
     .operands = "add|use|ls|rm ...",
     .summary = "keep servers and tokens under a name",
     .help = names,
     .least = 1,
     .most = 3,
     .words = "add use ls rm",
     .is_local = true,
     .run = kv_ctl_context_run},
    {.name = "completion",
     .operands = "bash|zsh|fish",
     .summary = "print completions for a shell",
     .least = 1,
     .most = 1,
     .words = "bash zsh fish",
     .is_local = true,
     .run = kv_ctl_completion_run},
    {.name = "help",
     .operands = "[VERB]",
     .summary = "print help",
     .most = 1,
     .is_local = true,
     .run = kv_ctl_help_run},
    {.name = NULL},
};
