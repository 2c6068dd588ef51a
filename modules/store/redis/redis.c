/*
 * Keys and values in Redis or Valkey, for any number of KvServers: README.md.
 */
#include "../../redis_client/options.h"
#include "cluster.h"
#include "lease.h"
#include "master.h"
#include "nodes.h"
#include "opening.h"
#include "recall.h"
#include "record.h"
#include "report.h"
#include "session.h"
#include "worker.h"

#include <poll.h>
#include <stdlib.h>

enum {
    OPTION_PREFIX = N_REDIS_OPTIONS,
    OPTION_TIMEOUT,
    OPTION_LOG_ENTRIES,
    OPTION_ACK,
    OPTION_REPLICAS,
    OPTION_NODES,
    OPTION_PARTITIONS,
    OPTION_ORDER,
    OPTION_LEASE,
    OPTION_ACCEPT_LOSS,
    N_OPTIONS
};

enum {
    VECTOR = 64, /* jobs that are handed to the thread at once */
    RETRY_MS = 50,
};

/* Redis takes no longer text in its default configuration. */
#define LONGEST_TEXT (((size_t)512 << 20) - 4096)

static const char *const acks[] = {
    [ACK_PRIMARY] = "primary", [ACK_REPLICAS] = "replicas", [ACK_DISK] = "disk", NULL};

static const char *const orders[] = {"all", "key", NULL};

static const struct kv_option redis_options[N_OPTIONS] = {
    REDIS_OPTIONS,
    [OPTION_PREFIX] = {.name = "prefix",
                       .type = KV_OPTION_STRING,
                       .fallback = "kv",
                       .doc = "what all keys of this store begin with at Redis; each store that "
                              "shares a Redis has its own"},
    [OPTION_TIMEOUT] = {.name = "timeout",
                        .type = KV_OPTION_DURATION,
                        .fallback = "5s",
                        .min = 100,
                        .max = 600000,
                        .doc = "how long Redis may say nothing, and how long commands wait for a "
                               "connection"},
    [OPTION_LOG_ENTRIES] = {.name = "log_entries",
                            .type = KV_OPTION_INT,
                            .fallback = "100000",
                            .min = 100,
                            .max = INT64_C(1) << 40,
                            .doc = "changes that Redis keeps, about, for servers that were away"},
    [OPTION_ACK] = {.name = "ack",
                    .type = KV_OPTION_CHOICE,
                    .choices = acks,
                    .fallback = "primary",
                    .doc = "what a write must reach before it is answered, read or notified"},
    [OPTION_REPLICAS] = {.name = "replicas",
                         .type = KV_OPTION_INT,
                         .fallback = "1",
                         .min = 1,
                         .max = 1000,
                         .doc = "how many must have a write, with `ack: replicas`"},
    [OPTION_NODES] = {.name = "nodes",
                      .type = KV_OPTION_LIST,
                      .fields = &redis_node_option,
                      .n_fields = 1,
                      .doc =
                          "some nodes of a Redis Cluster, as host:port, instead of host and port"},
    [OPTION_PARTITIONS] = {.name = "partitions",
                           .type = KV_OPTION_INT,
                           .fallback = "8",
                           .min = 2,
                           .max = MOST_PARTS,
                           .doc = "in a Redis Cluster: how many; fixed when the store is made"},
    [OPTION_ORDER] = {.name = "order",
                      .type = KV_OPTION_CHOICE,
                      .choices = orders,
                      .fallback = "all",
                      .doc = "in a Redis Cluster: which writes of a connection keep their order"},
    [OPTION_LEASE] = {.name = "lease",
                      .type = KV_OPTION_DURATION,
                      .fallback = "3s",
                      .min = 500,
                      .max = 600000,
                      .doc = "how long after a server's death another one continues with hooks and "
                             "sinks"},
    [OPTION_ACCEPT_LOSS] = {.name = "accept_loss",
                            .type = KV_OPTION_STRING,
                            .fallback = "",
                            .doc = "the epoch of a store that Redis has lost a part of: the server "
                                   "goes on with what is left, in a new epoch"},
};

static void check_nodes(const struct kv_option_value *options, const struct kv_faults *faults)
{
    const struct kv_option_value *nodes = &options[OPTION_NODES];
    bool has_address = options[REDIS_HOST].is_given || options[REDIS_PORT].is_given ||
                       options[REDIS_UNIX].string.len != 0;
    redis_options_check_list(nodes, "nodes", faults);
    if (nodes->list.n != 0 && has_address)
        faults->add(faults, "nodes", "it cannot be combined with `host`, `port` or `unix`");
    if (nodes->list.n != 0 && options[REDIS_SENTINELS].list.n != 0)
        faults->add(faults, "nodes", "it cannot be combined with `sentinels`");
    if (nodes->list.n != 0 && options[REDIS_DATABASE].integer != 0)
        faults->add(faults, "database", "a Redis Cluster has only database 0");
    if (nodes->list.n == 0 && options[OPTION_PARTITIONS].is_given)
        faults->add(faults, "partitions", "it needs `nodes`");
    if (nodes->list.n == 0 && options[OPTION_ORDER].is_given)
        faults->add(faults, "order", "it needs `nodes`");
}

static void redis_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    struct kv_slice prefix = options[OPTION_PREFIX].string;
    redis_options_check(options, faults);
    if (prefix.len == 0 || prefix.len > LONGEST_PREFIX)
        faults->add(faults, "prefix", "1 to %d bytes are expected", LONGEST_PREFIX);
    else if (strpbrk(prefix.bytes, "{}") != NULL)
        faults->add(faults, "prefix", "it may not have braces, by which Redis places keys");
    check_nodes(options, faults);
    if (options[OPTION_REPLICAS].is_given && options[OPTION_ACK].integer != ACK_REPLICAS)
        faults->add(faults, "replicas", "it needs `ack: replicas`");
}

/* ---- opening and closing ---- */

static void read_settings(struct kv_store *store, const struct kv_option_value *options)
{
    store->settings = (struct settings){
        .user = options[REDIS_USER].string,
        .password = options[REDIS_PASSWORD].string,
        .prefix = options[OPTION_PREFIX].string,
        .database = options[REDIS_DATABASE].integer,
        .timeout_ms = options[OPTION_TIMEOUT].integer,
        .log_entries = options[OPTION_LOG_ENTRIES].integer,
        .lease_ms = options[OPTION_LEASE].integer,
        .ack = (enum ack)options[OPTION_ACK].integer,
        .n_replicas = options[OPTION_REPLICAS].integer,
        .accept_loss = options[OPTION_ACCEPT_LOSS].string,
        .orders_all = options[OPTION_ORDER].integer == 0,
    };
    redis_options_read(options, &store->settings.address);
    store->settings.address.resolver = &store->resolver;
    store->settings.address.gives_up = &store->is_closing;
}

static void set_name(const struct kv_store *store, struct name *name, char letter)
{
    struct kv_slice prefix = store->settings.prefix;
    name->len = (size_t)snprintf(name->bytes, sizeof(name->bytes), "%.*s{%s}%c", (int)prefix.len,
                                 prefix.bytes, store->tag, letter);
}

static void set_names(struct kv_store *store)
{
    set_name(store, &store->names.record, 'k');
    set_name(store, &store->names.newest, 'm');
    set_name(store, &store->names.log, 's');
    set_name(store, &store->names.deadlines, 'd');
    set_name(store, &store->names.index, 'x');
    set_name(store, &store->names.store, 'i');
    set_name(store, &store->names.fence, 'f');
    set_name(store, &store->names.lease, 'o');
    set_name(store, &store->names.nothing, 'n');
}

static void destroy(struct kv_store *store)
{
    cluster_close(store);
    master_stop(store);
    worker_destroy(store);
    free(store);
}

/* Does nothing if it was called before. */
static int begin(struct kv_store *store, struct kv_error *reterr)
{
    if (!store->has_begun && worker_init(store, reterr) != 0)
        return -1;
    store->has_begun = true;
    return 0;
}

static int prepare(struct kv_store *store, struct kv_error *reterr)
{
    set_names(store);
    return begin(store, reterr);
}

/* May be called again after it has failed. */
static int open_session(struct kv_store *store, struct kv_error *reterr)
{
    store->may_create = true;
    return prepare(store, reterr) == 0 ? session_open(store, reterr) : -1;
}

static int start(struct kv_store *store, struct kv_error *reterr)
{
    snprintf(store->tag, sizeof(store->tag), "0");
    store->n_parts = 1;
    return open_session(store, reterr) == 0 ? worker_start(store, reterr) : -1;
}

/* A failover may be under way. */
static int open_at_master(struct kv_store *store, struct kv_error *reterr)
{
    int64_t until_ms = link_clock_ms() + store->settings.timeout_ms;
    int result;
    while ((result = open_session(store, reterr)) != 0 && !store->is_missing &&
           link_clock_ms() < until_ms) {
        opening_note(store, reterr);
        poll(NULL, 0, RETRY_MS);
    }
    return result;
}

static int start_with_sentinels(struct kv_store *store, const struct kv_option_value *options,
                                struct kv_error *reterr)
{
    if (options[REDIS_TLS].list.items[REDIS_TLS_NAME].string.len == 0)
        store->settings.address.tls.name.bytes = store->node_host;
    snprintf(store->tag, sizeof(store->tag), "0");
    store->n_parts = 1;
    if (begin(store, reterr) != 0 || master_follow(store, options, worker_wake, reterr) != 0 ||
        open_at_master(store, reterr) != 0)
        return -1;
    return worker_start(store, reterr);
}

static int start_cluster(struct kv_store *store, const struct kv_option_value *options,
                         struct kv_error *reterr)
{
    const struct kv_option_value *list = &options[OPTION_NODES];
    if (worker_init(store, reterr) != 0)
        return -1;
    struct nodes *nodes = nodes_create();
    if (nodes == NULL)
        return kv_error_set(reterr, "no memory");
    for (size_t i = 0; i < list->list.n; i++) {
        struct kv_slice host;
        int port;
        if (redis_address_parse(list->list.items[i].string, &host, &port))
            nodes_add(nodes, host, port);
    }
    store->settings.address.tls.name =
        options[REDIS_TLS].list.items[REDIS_TLS_NAME].string; /* of all nodes; or empty */
    return cluster_open(store, nodes, (uint32_t)options[OPTION_PARTITIONS].integer, prepare,
                        reterr);
}

static int open_store(const struct kv_store_host *host, const struct kv_option_value *options,
                      bool is_read_only, struct kv_store **ret_store, struct kv_error *reterr)
{
    struct kv_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return kv_error_set(reterr, "no memory");
    store->host = host;
    store->is_read_only = is_read_only;
    opening_begin(store);
    read_settings(store, options);
    if (getrandom(&store->origin, sizeof(store->origin), 0) != sizeof(store->origin)) {
        free(store);
        return kv_error_set(reterr, "the system has no random bytes");
    }
    store->origin |= 1; /* 0 is nobody */
    int result = options[OPTION_NODES].list.n != 0 ? start_cluster(store, options, reterr)
                 : options[REDIS_SENTINELS].list.n != 0
                     ? start_with_sentinels(store, options, reterr)
                     : start(store, reterr);
    if (result != 0) {
        destroy(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int redis_open(const struct kv_store_host *host, const struct kv_option_value *options,
                      struct kv_store **ret_store, struct kv_error *reterr)
{
    return open_store(host, options, false, ret_store, reterr);
}

static int redis_open_to_read(const struct kv_store_host *host,
                              const struct kv_option_value *options, struct kv_store **ret_store,
                              struct kv_error *reterr)
{
    return open_store(host, options, true, ret_store, reterr);
}

static void redis_close(struct kv_store *store)
{
    if (store->cluster == NULL) {
        worker_end(store);
        worker_join(store);
    }
    destroy(store);
}

static void redis_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    if (store->cluster != NULL) {
        cluster_info(store, ret_info);
        return;
    }
    ret_info->parts = 1;
    memcpy(ret_info->epoch, store->epoch, sizeof(store->epoch));
}

/* ---- jobs ---- */

static bool is_too_big(const struct kv_cmd *cmd)
{
    return cmd->key.len > LONGEST_TEXT || cmd->value.len > LONGEST_TEXT;
}

static void hand_over(struct kv_store *store, const struct job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        jobs[i].cmd->is_deferred = true;
    for (size_t i = 0; store->cluster != NULL && i < n; i++)
        cluster_submit(store, &jobs[i]);
    if (store->cluster != NULL)
        return;
    if (worker_submit(store, jobs, n))
        return;
    for (size_t i = 0; i < n; i++) {
        jobs[i].cmd->is_deferred = false;
        jobs[i].cmd->status = KV_FULL;
    }
}

static void redis_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds,
                         size_t n)
{
    struct job jobs[VECTOR];
    size_t n_jobs = 0;
    int64_t now_ms = link_clock_ms();
    for (size_t i = 0; i < n; i++) {
        if (is_too_big(cmds[i]))
            cmds[i]->status = KV_TOO_BIG;
        else
            jobs[n_jobs++] =
                (struct job){.kind = JOB_COMMAND, .loop = loop, .cmd = cmds[i], .since_ms = now_ms};
        if (n_jobs == VECTOR || i + 1 == n) {
            hand_over(store, jobs, n_jobs);
            n_jobs = 0;
        }
    }
}

static bool is_cursor(const struct kv_store *store, struct kv_slice cursor)
{
    bool is_part = store->cluster != NULL && cursor.len == 2 &&
                   cursor.bytes[0] == RECORD_PART_MARK &&
                   (unsigned char)cursor.bytes[1] < cluster_n_parts(store);
    return cursor.bytes[0] == RECORD_MARK || is_part;
}

static void redis_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    struct job job = {.kind = JOB_SCAN, .loop = loop, .scan = scan, .since_ms = link_clock_ms()};
    if (scan->cursor.len != 0 && !is_cursor(store, scan->cursor)) {
        scan->status = KV_CONDITION;
        return;
    }
    scan->is_deferred = true;
    if (store->cluster != NULL ? cluster_scan(store, &job) : worker_submit(store, &job, 1))
        return;
    scan->is_deferred = false;
    scan->status = KV_FULL;
}

static int64_t redis_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    if (store->cluster != NULL)
        store = cluster_part(store, part);
    struct job job = {.kind = JOB_EXPIRE, .max = max, .since_ms = link_clock_ms()};
    return worker_submit(store, &job, 1) ? KV_EXPIRING : now_ms + 1;
}

/* ---- the rest ---- */

static void redis_ref(struct kv_store *store, void *ref)
{
    (void)store;
    record_ref(ref);
}

static void redis_unref(struct kv_store *store, void *ref)
{
    (void)store;
    record_unref(ref);
}

static uint64_t redis_revision(struct kv_store *store)
{
    return store->cluster != NULL ? cluster_revision(store) : store->newest;
}

/* ---- parts ---- */

static struct kv_store *part_of(struct kv_store *store, uint32_t part)
{
    return store->cluster != NULL ? cluster_part(store, part) : store;
}

static uint32_t n_parts_of(const struct kv_store *store)
{
    return store->cluster != NULL ? cluster_n_parts(store) : 1;
}

static void redis_recall(struct kv_store *store, uint64_t upto)
{
    struct kv_store *parts[MOST_PARTS];
    uint32_t n = n_parts_of(store);
    for (uint32_t i = 0; i < n; i++)
        parts[i] = part_of(store, i);
    recall_run(store->host, parts, n, upto, worker_submit);
}

/* ---- observers ---- */

static void redis_settled(struct kv_store *store, uint32_t part, uint64_t claim, uint64_t revision)
{
    lease_settle(part_of(store, part), claim, revision);
}

static enum kv_claim_state redis_claim_state(struct kv_store *store, uint32_t part, uint64_t claim)
{
    return lease_state(part_of(store, part), claim);
}

static bool redis_has_to_show(struct kv_store *store, uint64_t revision)
{
    for (uint32_t i = 0; i < n_parts_of(store); i++)
        if (lease_has_to_show(part_of(store, i), revision))
            return true;
    return false;
}

/* ---- metrics ---- */

/* Sums, of all partitions. */
struct figures {
    bool are_connected;
    uint64_t n_reconnects, n_resets, n_leases, n_takeovers, n_gaps;
};

static struct figures add_up(struct kv_store *store)
{
    struct figures sum = {.are_connected = true};
    for (uint32_t i = 0; i < n_parts_of(store); i++) {
        const struct kv_store *part = part_of(store, i);
        sum.are_connected = sum.are_connected && part->is_connected;
        sum.n_reconnects += part->n_reconnects;
        sum.n_resets += part->n_resets;
        sum.n_leases += lease_is_held(part);
        sum.n_takeovers += part->lease.n_takeovers;
        sum.n_gaps += part->lease.n_gaps;
    }
    return sum;
}

static void redis_metrics(struct kv_store *store, struct kv_metrics_out *out)
{
    static const struct kv_metric connected = {"kvserver_store_connected", KV_METRIC_GAUGE, NULL,
                                               "Whether Redis is connected"};
    static const struct kv_metric reconnects = {"kvserver_store_reconnects", KV_METRIC_COUNTER,
                                                NULL, "Connections to Redis made anew"};
    static const struct kv_metric resets = {
        "kvserver_store_resets", KV_METRIC_COUNTER, NULL,
        "Times that changes were no longer in the log of Redis when they were to be read"};
    static const struct kv_metric leases = {
        "kvserver_store_leases", KV_METRIC_GAUGE, NULL,
        "Partitions whose changes this server shows to its hooks and sinks"};
    static const struct kv_metric takeovers = {
        "kvserver_store_takeovers", KV_METRIC_COUNTER, NULL,
        "Times that this server began to show a partition's changes to its hooks and sinks"};
    static const struct kv_metric gaps = {
        "kvserver_store_gaps", KV_METRIC_COUNTER, NULL,
        "Times that changes were no longer in the log of Redis when hooks and sinks were to see "
        "them"};
    struct figures sum = add_up(store);
    out->number(out, &connected, sum.are_connected ? 1 : 0);
    out->number(out, &reconnects, sum.n_reconnects);
    out->number(out, &resets, sum.n_resets);
    out->number(out, &leases, sum.n_leases);
    out->number(out, &takeovers, sum.n_takeovers);
    out->number(out, &gaps, sum.n_gaps);
    cluster_metrics(store, out);
}

static void tell_part(struct kv_store *part, uint64_t n_held, struct kv_parts_out *out)
{
    struct reported reported;
    char holder[LEASE_HOLDER];
    report_read(part, n_held, &reported);
    lease_report(part, &reported.state, holder);
    out->part(out, &reported.state);
}

static void redis_parts(struct kv_store *store, struct kv_parts_out *out)
{
    if (store->cluster == NULL)
        tell_part(store, 0, out);
    for (uint32_t i = 0; store->cluster != NULL && i < cluster_n_parts(store); i++)
        tell_part(cluster_part(store, i), cluster_n_held(store, i), out);
}

static const struct kv_store_ops redis_ops = {
    .size = sizeof(redis_ops),
    .open = redis_open,
    .info = redis_info,
    .submit = redis_submit,
    .scan = redis_scan,
    .expire = redis_expire,
    .ref = redis_ref,
    .unref = redis_unref,
    .close = redis_close,
    .open_to_read = redis_open_to_read,
    .revision = redis_revision,
    .check = redis_check,
    .metrics = redis_metrics,
    .parts = redis_parts,
    .settled = redis_settled,
    .claim_state = redis_claim_state,
    .has_to_show = redis_has_to_show,
    .recall = redis_recall,
};

static const struct kv_module redis_module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "redis",
    .version = "1.0",
    .capabilities = KV_STORE_DURABLE | KV_STORE_ORDERED | KV_STORE_SEEKS | KV_STORE_IN_ORDER |
                    KV_STORE_SHOWS | KV_STORE_TOUCHES | KV_STORE_CATCHES_UP,
    .options = redis_options,
    .n_options = N_OPTIONS,
    .ops = &redis_ops,
};

KV_MODULE_EXPORT(&redis_module)
