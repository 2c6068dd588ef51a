#include "script/log.h"

#include <string.h>

#include "base/clock.h"
#include "script/script.h"
#include "wire/quote.h"

enum {
    ERRORS_A_SECOND = 10,
    LINES_A_SECOND = 100,
    LONGEST_LINE = 8192 /* bytes: a loop waits until the line is written */
};

/* Returns: whether another line may be written now. */
static bool may_tell(struct kv_script_pace *pace, uint32_t most, const char *name)
{
    int64_t now_ms = kv_clock_now_ms(&kv_clock_boot);
    if (now_ms - pace->since_ms >= 1000) {
        if (pace->n_untold != 0)
            kv_log(KV_LOG_WARN, name, "%u lines like the last one were left out", pace->n_untold);
        *pace = (struct kv_script_pace){.since_ms = now_ms};
    }
    if (pace->n_told >= most) {
        pace->n_untold++;
        return false;
    }
    pace->n_told++;
    return true;
}

void kv_script_log(struct kv_script_loop *here, enum kv_log_level level, const char *text)
{
    if (may_tell(&here->lines, LINES_A_SECOND, here->script->config->name))
        kv_log(level, here->script->config->name, "%.*s%s", LONGEST_LINE, text,
               strnlen(text, LONGEST_LINE + 1) > LONGEST_LINE ? " …" : "");
}

void kv_script_log_fault(struct kv_script_call *call, const char *fault)
{
    const char *name = call->here->script->config->name;
    kv_counter_add(&call->here->counts.faults[call->hook], 1);
    if (may_tell(&call->here->errors, ERRORS_A_SECOND, name))
        kv_log(KV_LOG_ERROR, name, "%s of \"%s\": %s", kv_hook_names[call->hook],
               kv_quote(call->key).text, fault);
}
