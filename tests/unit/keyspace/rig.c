/* The rig: see rig.h. The gate's functions find their rig in a static variable, as the ABI passes
 * them only the store's own pointer. */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"

static struct rig *the_rig;

static int64_t now_ns(const struct kv_clock *clock)
{
    return ((const struct rig *)(const void *)clock)->now_ns;
}

void rig_pass_ms(struct rig *rig, int64_t ms)
{
    rig->now_ns += ms * KV_NS_PER_MS;
}

static void gated_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds,
                         size_t n)
{
    struct rig *rig = the_rig;
    for (size_t i = 0; i < n; i++) {
        if (!rig->gate_is_shut) {
            kv_module_store_ops(rig->module)->submit(store, loop, &cmds[i], 1);
            continue;
        }
        assert_true(rig->n_waiting < RIG_MAX_WAITING);
        cmds[i]->is_deferred = true;
        rig->waiting_loop[rig->n_waiting] = loop;
        rig->waiting[rig->n_waiting++] = cmds[i];
    }
}

static struct kv_store *opened_store;

static int gated_open(const struct kv_store_host *host, const struct kv_option_value *options,
                      struct kv_store **ret_store, struct kv_error *reterr)
{
    the_rig->host = host;
    int result = kv_module_store_ops(the_rig->module)->open(host, options, ret_store, reterr);
    opened_store = *ret_store;
    return result;
}

void rig_execute(struct rig *rig, size_t i)
{
    assert_true(i < rig->n_waiting);
    kv_module_store_ops(rig->module)
        ->submit(opened_store, rig->waiting_loop[i], &rig->waiting[i], 1);
}

void rig_complete(struct rig *rig, size_t i)
{
    rig->host->done(rig->host, rig->waiting_loop[i], &rig->waiting[i], 1);
}

/* Returns: how many pages without keys the walk has passed; all of them if it is past its
 * beginning. */
static unsigned empty_pages_before(const struct rig *rig, const struct kv_scan *scan)
{
    char cursor[sizeof(rig->empty_cursor)] = "";
    unsigned n;
    if (scan->cursor.len == 0)
        return scan->start.len <= scan->prefix.len ? 0 : rig->n_empty_pages;
    if (scan->cursor.len < sizeof(cursor))
        memcpy(cursor, scan->cursor.bytes, scan->cursor.len);
    return sscanf(cursor, "empty %u", &n) == 1 ? n : rig->n_empty_pages;
}

static void return_empty_page(struct rig *rig, struct kv_scan *scan, unsigned n)
{
    snprintf(rig->empty_cursor, sizeof(rig->empty_cursor), "empty %u", n + 1);
    scan->next = kv_slice_of(rig->empty_cursor);
    scan->status = KV_OK;
}

static void counted_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    struct kv_slice cursor = scan->cursor;
    unsigned n_before = empty_pages_before(the_rig, scan);
    the_rig->n_scans++;
    if (n_before < the_rig->n_empty_pages) {
        return_empty_page(the_rig, scan, n_before);
        return;
    }
    if (kv_slice_has_prefix(cursor, KV_SLICE("empty ")))
        scan->cursor = (struct kv_slice){0};
    kv_module_store_ops(the_rig->module)->scan(store, loop, scan);
}

void rig_init_on(struct rig *rig, const char *store)
{
    struct kv_error error;
    const char *folder = strcmp(store, "late") == 0 ? KV_TEST_MODULES : KV_MODULES;
    *rig =
        (struct rig){.clock = {.now_ns = now_ns}, .now_ns = RIG_START_MS * (int64_t)KV_NS_PER_MS};
    the_rig = rig;
    kv_hash_init();
    if (kv_module_load(folder, KV_MODULE_STORE, store, &rig->module, &error) != 0)
        fail_msg("%s", error.text);
    rig->ops = *kv_module_store_ops(rig->module);
    rig->ops.submit = gated_submit;
    rig->ops.open = gated_open;
    rig->ops.scan = counted_scan;
}

void rig_init(struct rig *rig)
{
    rig_init_on(rig, "simple");
}

void rig_open(struct rig *rig, uint32_t n_loops)
{
    struct kv_error error;
    /* The defaults: those of simple are all zero, memory is ordered. */
    static const struct kv_option_value options[8] = {[1] = {.boolean = true}};
    rig->n_loops = n_loops;
    for (uint32_t i = 0; i < n_loops; i++)
        rig->loops[i] = kv_loop_create(i, &rig->clock);
    const struct kv_keyspace_parts parts = {
        .clock = &rig->clock,
        .loops = rig->loops,
        .n_loops = n_loops,
        .store_ops = &rig->ops,
        .store_capabilities = (rig->is_sync ? KV_STORE_SYNC : 0) | rig->capabilities |
                              (rig->module->identity->capabilities & KV_STORE_ORDERED),
        .store_tells_seconds = rig->tells_seconds,
        .store_name = "store",
        .log_bytes = rig->log_bytes,
        .log_ms = rig->log_ms,
        .store_options = options,
        .ttl_chain = rig->ttl_chain,
        .n_ttl_chain = rig->n_ttl_chain,
        .interceptors = rig->interceptors,
        .n_interceptors = rig->n_interceptors,
        .observers = rig->observers,
        .n_observers = rig->n_observers,
        .loader = rig->loader,
        .access = rig->access,
        .workers = rig->workers,
    };
    rig->keyspace = kv_keyspace_create(&parts);
    if (kv_keyspace_open(rig->keyspace, &error) != 0)
        fail_msg("%s", error.text);
}

void rig_fini(struct rig *rig)
{
    kv_workers_destroy(rig->workers);
    kv_keyspace_destroy(rig->keyspace);
    for (uint32_t i = 0; i < rig->n_loops; i++)
        kv_loop_destroy(rig->loops[i]);
    kv_module_unload(rig->module);
}

void rig_turn(struct rig *rig)
{
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < rig->n_loops; i++)
            kv_loop_turn(rig->loops[i]);
}

void rig_settle(struct rig *rig)
{
    for (int i = 0; i < RIG_PATIENCE; i++) {
        rig_turn(rig);
        if (kv_keyspace_is_quiet(rig->keyspace))
            return;
        usleep(100);
    }
    fail_msg("it does not become quiet");
}

void rig_note(struct rig *rig, const char *format, ...)
{
    size_t len = strlen(rig->log);
    va_list args;
    if (len != 0)
        len += (size_t)snprintf(rig->log + len, sizeof(rig->log) - len, "; ");
    va_start(args, format);
    vsnprintf(rig->log + len, sizeof(rig->log) - len, format, args);
    va_end(args);
}

void rig_expect(struct rig *rig, const char *log)
{
    assert_string_equal(rig->log, log);
    rig->log[0] = '\0';
}

static void on_state(struct kv_subscriber *subscriber, const struct kv_delivery *delivery)
{
    const struct kv_news *news = delivery->news;
    struct kv_slice value = news->state.value;
    if (news->state.revision == 0)
        value = news->reason == KV_REASON_EXPIRE ? KV_SLICE("expired") : KV_SLICE("none");
    (void)subscriber;
    rig_note(the_rig, "%s %.*s=%.*s%s%s", news->reason == 0 ? "state" : "told", (int)news->key.len,
             news->key.bytes, (int)value.len, value.bytes, delivery->wants_meta ? " meta" : "",
             delivery->is_collapsed ? " collapsed" : "");
}

static void on_synced(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      uint64_t revision)
{
    (void)subscriber;
    the_rig->synced = revision;
    rig_note(the_rig, "synced %.*s", (int)pattern->text.len, pattern->text.bytes);
}

static void on_reset(struct kv_subscriber *subscriber, const struct kv_pattern *pattern)
{
    (void)subscriber;
    rig_note(the_rig, "reset %.*s", (int)pattern->text.len, pattern->text.bytes);
}

static void on_failed(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      int status)
{
    (void)subscriber;
    rig_note(the_rig, "failed %.*s: %s", (int)pattern->text.len, pattern->text.bytes,
             kv_command_status_text(status));
}

struct kv_client *rig_client(struct rig *rig, uint32_t loop)
{
    static const struct kv_subscriber_ops ops = {
        .on_state = on_state, .on_synced = on_synced, .on_reset = on_reset, .on_failed = on_failed};
    struct kv_client *client = kv_client_create(kv_keyspace_on(rig->keyspace, loop), rig, &ops, 3);
    kv_client_identify(client, &kv_principal_everything);
    return client;
}

struct kv_client *rig_narrow_client(struct rig *rig, uint32_t loop, const size_t *unsent)
{
    struct kv_client *client = rig_client(rig, loop);
    kv_client_limit(client, unsent, 1);
    return client;
}

static const char *outcome_of(const struct kv_command *command)
{
    static const char *const names[] = {[KV_OK] = "ok",
                                        [KV_UNCHANGED] = "unchanged",
                                        [KV_MISSING] = "missing",
                                        [KV_CONDITION] = "condition",
                                        [KV_FULL] = "full"};
    if (command->status < KV_IO)
        return names[command->status];
    return command->refusal != NULL ? command->refusal : kv_command_status_text(command->status);
}

static void on_finished(struct kv_command *command)
{
    int name_len = (int)command->note.len;
    if (command->kind == KV_COMMAND_GET && command->status == KV_OK)
        rig_note(the_rig, "%.*s %.*s", name_len, command->note.bytes, (int)command->item.value.len,
                 command->item.value.bytes);
    else if (command->kind == KV_COMMAND_UPDATE && command->status == KV_OK)
        rig_note(the_rig, "%.*s %.*s", name_len, command->note.bytes, (int)command->value.len,
                 command->value.bytes);
    else
        rig_note(the_rig, "%.*s %s", name_len, command->note.bytes, outcome_of(command));
}

struct kv_command *rig_command(struct rig *rig, struct kv_client *client, const char *name,
                               enum kv_command_kind kind, const char *key)
{
    struct kv_keyspace_loop *home =
        client == NULL ? kv_keyspace_on(rig->keyspace, 0) : client->home;
    struct kv_command *command = kv_command_create(home, kind);
    command->key = kv_slice_of(key);
    command->note = kv_slice_of(name);
    command->finished = on_finished;
    return command;
}

void rig_send(struct kv_client *client, struct kv_command *command)
{
    if (client == NULL)
        kv_keyspace_send(command);
    else
        kv_client_send(client, command);
}

void rig_get(struct rig *rig, struct kv_client *client, const char *name, const char *key)
{
    rig_send(client, rig_command(rig, client, name, KV_COMMAND_GET, key));
}

void rig_set(struct rig *rig, struct kv_client *client, const char *name, const char *key,
             const char *value, int64_t ttl_ms)
{
    struct kv_command *command = rig_command(rig, client, name, KV_COMMAND_SET, key);
    command->value = kv_slice_of(value);
    command->ttl_is_given = ttl_ms != 0;
    command->ttl_ms = ttl_ms;
    rig_send(client, command);
}

void rig_delete(struct rig *rig, struct kv_client *client, const char *name, const char *key)
{
    rig_send(client, rig_command(rig, client, name, KV_COMMAND_DELETE, key));
}

void rig_subscribe(struct rig *rig, struct kv_client *client, const char *name, const char *key)
{
    rig_send(client, rig_command(rig, client, name, KV_COMMAND_SUBSCRIBE, key));
}

void rig_unsubscribe(struct rig *rig, struct kv_client *client, const char *name, const char *key)
{
    rig_send(client, rig_command(rig, client, name, KV_COMMAND_UNSUBSCRIBE, key));
}

void rig_subscribe_prefix(struct rig *rig, struct kv_client *client, const char *name,
                          const char *prefix)
{
    struct kv_command *command = rig_command(rig, client, name, KV_COMMAND_SUBSCRIBE, prefix);
    command->subscribe.is_prefix = true;
    rig_send(client, command);
}

void rig_unsubscribe_prefix(struct rig *rig, struct kv_client *client, const char *name,
                            const char *prefix)
{
    struct kv_command *command = rig_command(rig, client, name, KV_COMMAND_UNSUBSCRIBE, prefix);
    command->subscribe.is_prefix = true;
    rig_send(client, command);
}
