#include "conf/findings.h"

#include "base/mem.h"
#include "conf/fault.h"
#include "conf/node.h"

struct findings {
    struct kv_faults faults;
    struct kv_conf *conf;
    const struct kv_conf_block *block;
    bool is_faulty;
    size_t n_before; /* faults of the configuration */
    bool *has_any;
};

/* Whether the fault may come from a default that replaces a faulty value. */
static bool is_doubtful(const struct findings *findings, const struct kv_conf_node *given)
{
    if (given == NULL)
        return findings->is_faulty;
    return kv_conf_has_fault(findings->conf, given, findings->n_before);
}

static void add(const struct kv_faults *faults, const char *option, const char *format, ...)
{
    const struct findings *findings = KV_CONTAINER(faults, const struct findings, faults);
    const struct kv_conf_block *block = findings->block;
    const struct kv_conf_node *given = NULL, *whole = block->node;
    const char *separator = *block->path == '\0' || *option == '\0' ? "" : ".";
    struct kv_error what;
    va_list args;
    if (*option != '\0')
        given = kv_conf_node_at(block->node, option);
    if (is_doubtful(findings, given))
        return;
    va_start(args, format);
    vsnprintf(what.text, sizeof(what.text), format, args);
    va_end(args);
    *findings->has_any = true;
    if (given == NULL)
        given = whole == NULL ? block->at : whole;
    kv_conf_fault(findings->conf, given, "%s%s%s: %s", block->path, separator, option, what.text);
}

int kv_conf_take_findings(struct kv_conf *conf, const struct kv_conf_block *block, bool is_faulty,
                          kv_check_fn check, const struct kv_option_value *values)
{
    bool has_any = false;
    const struct findings findings = {
        .faults = {.size = sizeof(findings.faults), .add = add},
        .conf = conf,
        .block = block,
        .is_faulty = is_faulty,
        .n_before = kv_conf_n_faults(conf),
        .has_any = &has_any,
    };
    if (check != NULL)
        check(values, &findings.faults);
    return has_any ? -1 : 0;
}
