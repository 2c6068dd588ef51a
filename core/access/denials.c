/* Threads that begin the same second at once may log a few more lines. */
#include "access/denials.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/shown.h"

/* In bytes of a line. */
enum {
    LONGEST_NAME = 64,
    LONGEST_ISSUER = 96,
    LONGEST_KEY = 48
};

/* Returns: whether a line may be logged. *ret_n_omitted: the number of lines omitted before. */
static bool is_within_rate(struct kv_denials *denials, uint32_t *ret_n_omitted)
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

/* Counts the denial. */
static bool may_log(struct kv_denials *denials, enum kv_denial cause, uint32_t *ret_n_omitted)
{
    atomic_fetch_add_explicit(&denials->by_cause[cause], 1, memory_order_relaxed);
    return is_within_rate(denials, ret_n_omitted);
}

static void tell_omitted(uint32_t n)
{
    if (n != 0)
        kv_log(KV_LOG_WARN, "access", "%u more denials were not logged", n);
}

/* Names are unique only within an issuer. */
static void append_principal(struct kv_buffer *out, const struct kv_principal *principal)
{
    kv_shown_append(out, principal->name, LONGEST_NAME);
    if (principal->name.len == 0)
        kv_buffer_append(out, KV_SLICE("a token without `sub`"));
    if (principal->issuer.len != 0) {
        kv_buffer_append(out, KV_SLICE(" of "));
        kv_shown_append(out, principal->issuer, LONGEST_ISSUER);
    }
}

static void append_client(struct kv_buffer *out, const struct kv_denied *client)
{
    if (client->principal != NULL && kv_principal_is_identified(client->principal)) {
        append_principal(out, client->principal);
        return;
    }
    if (client->principal != NULL)
        kv_buffer_append(out, KV_SLICE("anonymous from "));
    kv_buffer_append(out,
                     kv_slice_of(client->address != NULL ? client->address : "a local socket"));
}

void kv_denials_log(struct kv_denials *denials, enum kv_denial cause,
                    const struct kv_denied *client, const char *action, struct kv_slice key,
                    const char *why)
{
    struct kv_buffer line = {0};
    uint32_t n_omitted;
    if (!may_log(denials, cause, &n_omitted))
        return;
    tell_omitted(n_omitted);
    append_client(&line, client);
    kv_buffer_printf(&line, " may not %s \"", action);
    kv_shown_append(&line, key, LONGEST_KEY);
    kv_buffer_printf(&line, "\": %s", why);
    kv_buffer_append_char(&line, '\0');
    kv_log(KV_LOG_WARN, "access", "%s", line.bytes);
    kv_buffer_fini(&line);
}

void kv_denials_log_token(struct kv_denials *denials, const char *part, const char *address,
                          const char *why)
{
    uint32_t n_omitted;
    if (!may_log(denials, KV_DENIED_BAD_TOKEN, &n_omitted))
        return;
    tell_omitted(n_omitted);
    kv_log(KV_LOG_WARN, "access", "%s: a token was refused%s%s: %s", part,
           address != NULL ? ", from " : "", address != NULL ? address : "", why);
}

void kv_denials_log_excess(struct kv_denials *denials, const struct kv_denied *client,
                           const char *why)
{
    struct kv_buffer line = {0};
    uint32_t n_omitted;
    if (!may_log(denials, KV_DENIED_TOO_OFTEN, &n_omitted))
        return;
    tell_omitted(n_omitted);
    append_client(&line, client);
    kv_buffer_append_char(&line, '\0');
    kv_log(KV_LOG_WARN, "access", "%s: %s", line.bytes, why);
    kv_buffer_fini(&line);
}

void kv_denials_log_mistake(struct kv_denials *denials, const char *address, const char *why)
{
    uint32_t n_omitted;
    if (!is_within_rate(denials, &n_omitted))
        return;
    tell_omitted(n_omitted);
    kv_log(KV_LOG_WARN, "http", "a connection was refused, from %s: %s",
           address != NULL ? address : "a local socket", why);
}

void kv_denials_collect(const struct kv_denials *denials, struct kv_metrics_text *text)
{
    static const struct kv_metric metric = {"kvserver_access_failures", KV_METRIC_COUNTER, NULL,
                                            "Requests and commands that were denied, by cause"};
    static const char *const causes[KV_N_DENIALS] = {
        [KV_DENIED_BAD_TOKEN] = "bad_token", [KV_DENIED_NO_TOKEN] = "no_token",
        [KV_DENIED_NO_RIGHT] = "no_right",   [KV_DENIED_ENDED] = "token_ended",
        [KV_DENIED_TOO_OFTEN] = "too_often",
    };
    kv_metrics_begin(text, &metric);
    for (int i = 0; i < KV_N_DENIALS; i++)
        kv_metrics_sample(text, (struct kv_labels){{{"cause", causes[i]}}},
                          atomic_load_explicit(&denials->by_cause[i], memory_order_relaxed));
}
