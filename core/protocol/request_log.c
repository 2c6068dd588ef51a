#include "protocol/request_log.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/shown.h"
#include "base/utf8.h"
#include "keyspace/counts.h"
#include "protocol/outcome.h"
#include "wire/json_string.h"

/* Bytes of a line. */
enum {
    LONGEST_KEY = 48,
    LONGEST_NAME = 64
};

struct kv_request_lot kv_request_lot_of(const struct kv_request_log *log, uint32_t loop)
{
    static const struct kv_request_log nothing;
    return (struct kv_request_lot){.log = log == NULL ? &nothing : log, .state = loop + 1};
}

/* xorshift64*: Marsaglia, Vigna. */
bool kv_request_lot_is_drawn(struct kv_request_lot *lot, uint32_t every)
{
    uint64_t x = lot->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    lot->state = x;
    return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % every == 0;
}

static size_t bytes_of(const struct kv_command *command)
{
    return command->kind == KV_COMMAND_SET ? command->value.len : command->item.value.len;
}

static int status_of(const struct kv_command *command)
{
    bool has_failed = command->status != KV_OK && command->status != KV_UNCHANGED &&
                      command->status != KV_MISSING;
    return has_failed ? kv_outcome_status_of(command) : 200;
}

struct kv_logged_request kv_logged_request_of(const char *transport,
                                              const struct kv_command *command)
{
    return (struct kv_logged_request){.transport = transport,
                                      .operation = kv_counts_operation(command->kind),
                                      .key = command->key,
                                      .status = status_of(command),
                                      .outcome = kv_counts_outcome(command->status),
                                      .bytes = bytes_of(command),
                                      .began_ns = command->sent_ns};
}

/* The same line as text and as members of a JSON object. */
struct line {
    struct kv_buffer text;
    struct kv_buffer members;
};

/* Returns: the beginning of the text that fits into a line. */
static struct kv_slice cut(struct kv_slice text, size_t most)
{
    size_t len = text.len < most ? text.len : most;
    text.len = len == 0 ? 0 : kv_utf8_valid_len((struct kv_slice){text.bytes, len});
    return text;
}

static void put_string(struct line *line, const char *name, struct kv_slice value, size_t most)
{
    struct kv_slice begin = cut(value, most);
    bool is_cut = begin.len < value.len;
    struct kv_buffer shown = {0};
    kv_buffer_append(&shown, begin);
    if (is_cut)
        kv_buffer_append(&shown, KV_SLICE("…"));
    kv_buffer_printf(&line->members, ",\"%s\":", name);
    kv_json_append_string(&line->members, kv_buffer_slice(&shown));
    kv_buffer_printf(&line->text, "%s%s=\"", line->text.len == 0 ? "" : " ", name);
    kv_shown_append(&line->text, kv_buffer_slice(&shown), SIZE_MAX);
    kv_buffer_append_char(&line->text, '"');
    kv_buffer_fini(&shown);
}

/* word: one of the server's own. */
static void put_word(struct line *line, const char *name, const char *word)
{
    if (word == NULL)
        return;
    kv_buffer_printf(&line->members, ",\"%s\":\"%s\"", name, word);
    kv_buffer_printf(&line->text, "%s%s=%s", line->text.len == 0 ? "" : " ", name, word);
}

static void put_number(struct line *line, const char *name, const char *format, double number)
{
    kv_buffer_printf(&line->members, ",\"%s\":", name);
    kv_buffer_printf(&line->text, " %s=", name);
    char digits[64];
    snprintf(digits, sizeof(digits), format, number);
    kv_buffer_append(&line->members, kv_slice_of(digits));
    kv_buffer_append(&line->text, kv_slice_of(digits));
}

static void put_client(struct line *line, const struct kv_client *client)
{
    struct kv_address_text address;
    if (client->principal->name.len != 0)
        put_string(line, "client", client->principal->name, LONGEST_NAME);
    if (kv_client_address(client, &address))
        put_word(line, "address", address.text);
}

void kv_request_log_write(const struct kv_logged_request *request, const struct kv_client *client)
{
    struct line line = {0};
    put_word(&line, "transport", request->transport);
    put_word(&line, "method", request->method);
    put_word(&line, "operation", request->operation);
    if (request->key.bytes != NULL)
        put_string(&line, "key", request->key, LONGEST_KEY);
    if (request->path.bytes != NULL)
        put_string(&line, "path", request->path, LONGEST_KEY);
    put_number(&line, "status", "%.0f", request->status);
    put_word(&line, "outcome", request->outcome);
    put_number(&line, "bytes", "%.0f", (double)request->bytes);
    if (request->began_ns != 0) {
        int64_t took_ns = kv_clock_boot.now_ns(&kv_clock_boot) - request->began_ns;
        put_number(&line, "duration", "%.3f", (double)took_ns / KV_NS_PER_MS);
    }
    put_client(&line, client);
    kv_log_members("request", kv_buffer_slice(&line.text), kv_buffer_slice(&line.members));
    kv_buffer_fini(&line.text);
    kv_buffer_fini(&line.members);
}
