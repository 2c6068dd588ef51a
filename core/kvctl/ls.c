#include "kvctl/ls.h"

#include "kvctl/arguments.h"
#include "kvctl/given.h"
#include "kvctl/output.h"
#include "kvctl/pages.h"
#include "kvctl/say.h"
#include "kvctl/state.h"

struct ls {
    const struct kv_ctl_call *call;
    struct kv_ctl_list list;
};

/* Prints `revision  ttl  key  value`, as requested, with tabs between. */
static void put_text(const struct kv_ctl_call *call, const struct kv_ctl_entry *entry)
{
    if (kv_ctl_has(call, KV_CTL_LONG)) {
        if (entry->is_prefix)
            kv_ctl_put(KV_SLICE("-\t-\t"));
        else if (entry->ttl_ms < 0)
            kv_ctl_putf("%ju\t-\t", (uintmax_t)entry->revision);
        else
            kv_ctl_putf("%ju\t%jd\t", (uintmax_t)entry->revision, (intmax_t)entry->ttl_ms);
    }
    kv_ctl_put_key_text(entry->name);
    if (entry->value.bytes != NULL) {
        kv_ctl_put(KV_SLICE("\t"));
        kv_ctl_put_json_line(entry->value);
    }
    kv_ctl_put(KV_SLICE("\n"));
}

static void put_json(struct ls *ls, const struct kv_ctl_entry *entry)
{
    kv_ctl_list_next(ls->call, &ls->list);
    if (entry->is_prefix) {
        kv_ctl_put(KV_SLICE("{\"prefix\":"));
        kv_ctl_put_json_string(entry->name);
        kv_ctl_put(KV_SLICE("}"));
        return;
    }
    kv_ctl_put_state(ls->call, &(struct kv_ctl_state){.key = entry->name,
                                                      .value = entry->value,
                                                      .revision = entry->revision,
                                                      .ttl_ms = entry->ttl_ms});
}

static bool put(void *context, const struct kv_ctl_entry *entry)
{
    struct ls *ls = context;
    switch (ls->call->format) {
    case KV_CTL_TEXT:
        put_text(ls->call, entry);
        break;
    case KV_CTL_RAW: /* for xargs -0 */
        kv_ctl_put(entry->name);
        kv_ctl_put((struct kv_slice){"", 1});
        break;
    default:
        put_json(ls, entry);
        break;
    }
    return true;
}

static int count(struct kv_ctl_call *call, struct kv_slice prefix)
{
    uint64_t n;
    int code = kv_ctl_pages_count(call, prefix, &n);
    bool is_json = call->format == KV_CTL_JSON || call->format == KV_CTL_JSONL;
    if (code == KV_CTL_DONE)
        kv_ctl_putf(is_json ? "{\"count\":%ju}\n" : "%ju\n", (uintmax_t)n);
    return code;
}

static int list(struct kv_ctl_call *call, const struct kv_ctl_listing *listing)
{
    struct ls ls = {.call = call};
    bool is_json = call->format == KV_CTL_JSON || call->format == KV_CTL_JSONL;
    if (is_json)
        kv_ctl_list_begin(call);
    int code = kv_ctl_pages_walk(call, listing, put, &ls);
    if (is_json)
        kv_ctl_list_end(call, &ls.list);
    return code;
}

int kv_ctl_ls_run(struct kv_ctl_call *call)
{
    const struct kv_ctl_arguments *arguments = &call->arguments;
    const char *delimiter = arguments->options[KV_CTL_DELIMITER];
    struct kv_buffer prefix = {0};
    struct kv_error error;
    int code = KV_CTL_USAGE;
    struct kv_ctl_listing listing = {.with_values = kv_ctl_has(call, KV_CTL_VALUES)};
    if ((arguments->n_operands != 0 &&
         kv_ctl_given_key(call, arguments->operands[0], &prefix, &error) != 0) ||
        kv_ctl_read_number(arguments, KV_CTL_LIMIT, 1, UINT64_MAX - 1, &listing.limit, &error) !=
            0) {
        kv_ctl_say("%s", error.text);
    } else if (delimiter != NULL && *delimiter == '\0') {
        kv_ctl_say("--delimiter must not be empty");
    } else {
        listing.prefix = kv_buffer_slice(&prefix);
        listing.delimiter = kv_slice_of(delimiter == NULL ? "" : delimiter);
        code = kv_ctl_has(call, KV_CTL_COUNT) ? count(call, listing.prefix) : list(call, &listing);
    }
    kv_buffer_fini(&prefix);
    return code;
}
