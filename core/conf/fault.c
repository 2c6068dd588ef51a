/* Faults are noted as they are found, and sorted when they are reported. */
#include "conf/fault.h"

#include <stdlib.h>

#include "conf/memory.h"
#include "conf/tree.h"

static const struct kv_conf_mark nowhere = {0, 0};

static int compare_places(const struct kv_conf_mark *a, const struct kv_conf_mark *b)
{
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

static int compare(const void *a_void, const void *b_void)
{
    const struct kv_conf_fault *a = a_void, *b = b_void;
    int order = compare_places(&a->mark, &b->mark);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static size_t n_kept(const struct kv_conf *conf)
{
    return conf->n_faults < KV_CONF_MAX_FAULTS ? conf->n_faults : KV_CONF_MAX_FAULTS;
}

static bool is_noted(const struct kv_conf *conf, struct kv_conf_mark mark, const char *text)
{
    for (size_t i = 0; i < n_kept(conf); i++)
        if (compare_places(&conf->faults[i].mark, &mark) == 0 &&
            strcmp(conf->faults[i].text, text) == 0)
            return true;
    return false;
}

static int note(struct kv_conf *conf, struct kv_conf_mark mark, const char *format, va_list args)
    KV_PRINTF(3, 0);

static int note(struct kv_conf *conf, struct kv_conf_mark mark, const char *format, va_list args)
{
    struct kv_error what;
    vsnprintf(what.text, sizeof(what.text), format, args);
    if (is_noted(conf, mark, what.text))
        return -1;
    if (conf->n_faults < KV_CONF_MAX_FAULTS)
        conf->faults[conf->n_faults] = (struct kv_conf_fault){
            .mark = mark,
            .number = conf->n_faults,
            .text = kv_conf_copy(conf, kv_slice_of(what.text)).bytes,
        };
    conf->n_faults++;
    return -1;
}

int kv_conf_fault_mark(struct kv_conf *conf, struct kv_conf_mark mark, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(conf, mark, format, args);
    va_end(args);
    return -1;
}

int kv_conf_fault(struct kv_conf *conf, const struct kv_conf_node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(conf, node == NULL ? nowhere : node->mark, format, args);
    va_end(args);
    return -1;
}

int kv_conf_fault_key(struct kv_conf *conf, const struct kv_conf_node *node, const char *format,
                      ...)
{
    va_list args;
    va_start(args, format);
    note(conf, node->name_mark, format, args);
    va_end(args);
    return -1;
}

size_t kv_conf_n_faults(const struct kv_conf *conf)
{
    return conf->n_faults;
}

bool kv_conf_has_fault(const struct kv_conf *conf, const struct kv_conf_node *node, size_t n)
{
    for (size_t i = 0; i < n && i < n_kept(conf); i++)
        if (compare_places(&conf->faults[i].mark, &node->mark) == 0)
            return true;
    return false;
}

static void append_place(const struct kv_conf *conf, struct kv_conf_mark mark,
                         struct kv_buffer *out)
{
    kv_buffer_append(out, kv_slice_of(conf->name));
    if (mark.line != 0)
        kv_buffer_printf(out, ":%zu:%zu", mark.line, mark.column);
}

void kv_conf_append_place(const struct kv_conf *conf, const struct kv_conf_node *node,
                          struct kv_buffer *out)
{
    append_place(conf, node == NULL ? nowhere : node->mark, out);
}

static void append_fault(const struct kv_conf *conf, const struct kv_conf_fault *fault,
                         const char *prefix, struct kv_buffer *out)
{
    kv_buffer_append(out, kv_slice_of(prefix));
    append_place(conf, fault->mark, out);
    kv_buffer_printf(out, ": %s\n", fault->text);
}

void kv_conf_append_faults(const struct kv_conf *conf, const char *prefix, struct kv_buffer *out)
{
    struct kv_conf_fault sorted[KV_CONF_MAX_FAULTS];
    size_t n = n_kept(conf);
    memcpy(sorted, conf->faults, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare);
    for (size_t i = 0; i < n; i++)
        append_fault(conf, &sorted[i], prefix, out);
    if (conf->n_faults > n)
        kv_buffer_printf(out, "%s%s: and %zu more\n", prefix, conf->name, conf->n_faults - n);
}
