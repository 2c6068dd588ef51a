/* Keys are exported page by page, each as of its own moment: changes made meanwhile may be included
 * or not. A backup is as of one revision. */
#include "kvctl/export.h"

#include "kvctl/given.h"
#include "kvctl/meter.h"
#include "kvctl/output.h"
#include "kvctl/pages.h"
#include "kvctl/say.h"
#include "wire/line.h"

struct exporting {
    struct kv_ctl_meter meter;
    struct kv_buffer text;
};

/* 0 means no expiry, so a key in its last millisecond has 1. */
static int64_t ttl_of(const struct kv_ctl_entry *entry)
{
    if (entry->ttl_ms < 0)
        return 0;
    return entry->ttl_ms == 0 ? 1 : entry->ttl_ms;
}

static bool put(void *context, const struct kv_ctl_entry *entry)
{
    struct exporting *exporting = context;
    struct kv_buffer *text = &exporting->text;
    text->len = 0;
    kv_line_append_front(text, entry->name);
    kv_ctl_put(kv_buffer_slice(text));
    kv_ctl_put_json_line(entry->value);
    size_t n_front = text->len;
    text->len = 0;
    kv_line_append_back(text, ttl_of(entry), entry->revision);
    kv_ctl_put(kv_buffer_slice(text));
    kv_ctl_meter_add(&exporting->meter, 1, n_front + entry->value.len + text->len);
    return true;
}

int kv_ctl_export_run(struct kv_ctl_call *call)
{
    struct exporting exporting = {0};
    struct kv_buffer prefix = {0};
    struct kv_error error;
    struct kv_ctl_listing listing = {.with_values = true};
    int code = KV_CTL_USAGE;
    if (call->arguments.n_operands != 0 &&
        kv_ctl_given_key(call, call->arguments.operands[0], &prefix, &error) != 0) {
        kv_ctl_say("%s", error.text);
    } else {
        listing.prefix = kv_buffer_slice(&prefix);
        kv_ctl_meter_start(&exporting.meter, call, "exported");
        code = kv_ctl_pages_walk(call, &listing, put, &exporting);
        kv_ctl_output_flush();
        if (code == KV_CTL_DONE)
            kv_ctl_meter_finish(&exporting.meter);
    }
    kv_buffer_fini(&exporting.text);
    kv_buffer_fini(&prefix);
    return code;
}
