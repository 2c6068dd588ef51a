/* A ring under a lock, which only slow commands take. */
#include "keyspace/slow_log.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/shown.h"
#include "base/utf8.h"
#include "keyspace/counts.h"

enum {
    LINES_A_SECOND = 5,
    MS_PER_S = 1000
};

struct kv_slow_log {
    _Atomic int64_t least_ns;
    pthread_mutex_t lock; /* of all below */
    uint64_t n;
    int64_t second; /* of the lines that are counted: */
    uint32_t n_lines;
    struct kv_slow_command ring[KV_SLOW_LOG_ENTRIES];
};

struct kv_slow_log *kv_slow_log_create(int64_t least_ms)
{
    struct kv_slow_log *log = kv_calloc(1, sizeof(*log));
    kv_slow_log_set(log, least_ms);
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

void kv_slow_log_destroy(struct kv_slow_log *log)
{
    if (log == NULL)
        return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void kv_slow_log_set(struct kv_slow_log *log, int64_t least_ms)
{
    atomic_store(&log->least_ns, least_ms * KV_NS_PER_MS);
}

/* ---- a command ---- */

static void copy(struct kv_slice text, char ret[KV_SLOW_LOG_TEXT])
{
    size_t len = text.len < KV_SLOW_LOG_TEXT ? text.len : KV_SLOW_LOG_TEXT - 1;
    len = len == 0 ? 0 : kv_utf8_valid_len((struct kv_slice){text.bytes, len});
    if (len != 0)
        memcpy(ret, text.bytes, len);
    ret[len] = '\0';
}

static struct kv_slice name_of(const struct kv_command *command)
{
    if (command->script != NULL)
        return kv_slice_of(command->script);
    if (command->order == NULL || command->order->is_closed)
        return (struct kv_slice){0};
    return KV_CONTAINER(command->order, struct kv_client, order)->principal->name;
}

static void describe(const struct kv_command *command, int64_t took_ns, struct kv_slow_command *ret)
{
    struct kv_address_text address = {.text = ""};
    bool is_open = command->order != NULL && !command->order->is_closed;
    *ret = (struct kv_slow_command){.at_unix_ms = kv_wall_us() / 1000,
                                    .took_ns = took_ns,
                                    .operation = kv_counts_operation(command->kind),
                                    .outcome = kv_counts_outcome(command->status),
                                    .key_len = command->key.len};
    copy(command->key, ret->key);
    copy(name_of(command), ret->client);
    if (is_open && kv_command_address(command, &address))
        copy(kv_slice_of(address.text), ret->address);
}

/* Under the lock. Returns: whether a line may be logged. */
static bool take_line(struct kv_slow_log *log, int64_t now_ms)
{
    int64_t second = now_ms / MS_PER_S;
    if (log->second != second)
        log->n_lines = 0;
    log->second = second;
    return log->n_lines++ < LINES_A_SECOND;
}

static bool keep(struct kv_slow_log *log, struct kv_slow_command *slow)
{
    pthread_mutex_lock(&log->lock);
    slow->number = ++log->n;
    log->ring[slow->number % KV_SLOW_LOG_ENTRIES] = *slow;
    bool may_log = take_line(log, slow->at_unix_ms);
    pthread_mutex_unlock(&log->lock);
    return may_log;
}

/* text: empty if there is nothing to append. */
static void append_part(struct kv_buffer *line, const char *before, const char *text)
{
    if (text[0] == '\0')
        return;
    kv_buffer_append(line, kv_slice_of(before));
    kv_shown_append(line, kv_slice_of(text), KV_SLOW_LOG_TEXT);
}

static void tell(const struct kv_slow_command *slow)
{
    struct kv_buffer line = {0};
    bool is_cut = strlen(slow->key) < slow->key_len;
    kv_buffer_printf(&line, "%s \"", slow->operation);
    kv_shown_append(&line, kv_slice_of(slow->key), KV_SLOW_LOG_TEXT);
    kv_buffer_printf(&line, "%s\" took %lld ms", is_cut ? "…" : "",
                     (long long)(slow->took_ns / KV_NS_PER_MS));
    append_part(&line, ", for ", slow->client);
    append_part(&line, ", from ", slow->address);
    kv_buffer_append_char(&line, '\0');
    kv_log(KV_LOG_WARN, "slow", "%s", line.bytes);
    kv_buffer_fini(&line);
}

void kv_slow_log_note(struct kv_slow_log *log, const struct kv_command *command, int64_t took_ns)
{
    struct kv_slow_command slow;
    if (took_ns < atomic_load_explicit(&log->least_ns, memory_order_relaxed) ||
        kv_counts_operation(command->kind) == NULL || command->is_load)
        return;
    describe(command, took_ns, &slow);
    if (keep(log, &slow))
        tell(&slow);
}

size_t kv_slow_log_read(struct kv_slow_log *log, struct kv_slow_command ret[KV_SLOW_LOG_ENTRIES])
{
    pthread_mutex_lock(&log->lock);
    size_t n = log->n < KV_SLOW_LOG_ENTRIES ? (size_t)log->n : KV_SLOW_LOG_ENTRIES;
    for (size_t i = 0; i < n; i++)
        ret[i] = log->ring[(log->n - i) % KV_SLOW_LOG_ENTRIES];
    pthread_mutex_unlock(&log->lock);
    return n;
}
