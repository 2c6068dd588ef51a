/* Threads that begin a second at once may log a few lines more. */
#include "access/denials.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/json_string.h"
#include "wire/quote.h"

enum {
    LONGEST_NAME = 64
};

/* Returns: whether there may be a line. *ret_n_omitted: how many there were none for before. */
static bool may_log(struct kv_denials *denials, uint32_t *ret_n_omitted)
{
    int64_t now_s = kv_wall_us() / 1000000;
    if (atomic_exchange_explicit(&denials->second, now_s, memory_order_relaxed) != now_s)
        atomic_store_explicit(&denials->n, 0, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&denials->n, 1, memory_order_relaxed) >= KV_DENIALS_A_SECOND) {
        atomic_fetch_add_explicit(&denials->n_omitted, 1, memory_order_relaxed);
        return false;
    }
    *ret_n_omitted = atomic_exchange_explicit(&denials->n_omitted, 0, memory_order_relaxed);
    return true;
}

static void tell_omitted(uint32_t n)
{
    if (n != 0)
        kv_log(KV_LOG_WARN, "access", "%u more denials were not logged", n);
}

/* Keys may have any character: what a JSON string would escape is escaped. */
static void append_key(struct kv_buffer *out, struct kv_slice key)
{
    struct kv_buffer text = {0};
    kv_json_append_string(&text, key);
    kv_buffer_append_char(&text, '\0');
    kv_buffer_append(out, kv_slice_of(kv_quote(kv_slice_of(text.bytes)).text));
    kv_buffer_fini(&text);
}

void kv_denials_log(struct kv_denials *denials, const struct kv_principal *principal,
                    const char *action, struct kv_slice key, const char *why)
{
    struct kv_buffer line = {0};
    uint32_t n_omitted;
    if (!may_log(denials, &n_omitted))
        return;
    tell_omitted(n_omitted);
    int len = principal->name.len > LONGEST_NAME ? LONGEST_NAME : (int)principal->name.len;
    kv_buffer_printf(&line, "%.*s may not %s ", len == 0 ? 9 : len,
                     len == 0 ? "anonymous" : principal->name.bytes, action);
    append_key(&line, key);
    kv_buffer_printf(&line, ": %s", why);
    kv_buffer_append_char(&line, '\0');
    kv_log(KV_LOG_WARN, "access", "%s", line.bytes);
    kv_buffer_fini(&line);
}

void kv_denials_log_token(struct kv_denials *denials, const char *part, const char *why)
{
    uint32_t n_omitted;
    if (!may_log(denials, &n_omitted))
        return;
    tell_omitted(n_omitted);
    kv_log(KV_LOG_WARN, "access", "%s: a token was refused: %s", part, why);
}
