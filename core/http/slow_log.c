/* `GET /admin/slowlog`: the latest slow commands, the newest first. */
#include "keyspace/slow_log.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/resource.h"
#include "wire/json_string.h"

static void put_text(struct kv_buffer *out, const char *name, const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    kv_buffer_printf(out, ",\"%s\":", name);
    kv_json_append_string(out, kv_slice_of(text));
}

static void put_command(struct kv_buffer *out, const struct kv_slow_command *slow)
{
    kv_buffer_printf(out, "{\"number\":%" PRIu64 ",\"time\":%" PRId64 ",\"duration\":%.3f,\"key\":",
                     slow->number, slow->at_unix_ms, (double)slow->took_ns / KV_NS_PER_MS);
    kv_json_append_string(out, kv_slice_of(slow->key));
    kv_buffer_printf(out, ",\"key_length\":%zu", slow->key_len);
    put_text(out, "operation", slow->operation);
    put_text(out, "outcome", slow->outcome);
    put_text(out, "client", slow->client);
    put_text(out, "address", slow->address);
    kv_buffer_append_char(out, '}');
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_slow_command *commands = kv_calloc(KV_SLOW_LOG_ENTRIES, sizeof(*commands));
    struct kv_buffer text = {0};
    (void)request;
    size_t n = kv_slow_log_read(exchange->here->slow_log, commands);
    kv_buffer_append(&text, KV_SLICE("{\"commands\":["));
    for (size_t i = 0; i < n; i++) {
        if (i != 0)
            kv_buffer_append_char(&text, ',');
        put_command(&text, &commands[i]);
    }
    kv_buffer_append(&text, KV_SLICE("]}"));
    free(commands);
    kv_exchange_answer_with(exchange, (struct kv_answer){.status = 200, .is_of_now = true}, &text);
}

const struct kv_resource kv_resource_slow_log = {.path = {"/admin/slowlog", 14},
                                                 .methods = KV_METHODS_READING,
                                                 .keeps = true,
                                                 .admin = KV_ADMIN_SLOWLOG,
                                                 .serve = serve};
