/*
 * The effective configuration as text.
 */
#ifndef KV_CONF_PRINT_H
#define KV_CONF_PRINT_H

#include "conf/check.h"

/* Where it goes, and what becomes of secrets that the file holds itself. */
struct kv_conf_printer {
    struct kv_buffer *out;
    bool shows_secrets; /* false: "<hidden>", which is refused when it is loaded */
    size_t n_literal;   /* how many such secrets have come by */
};

/*
 * Appends values that kv_conf_check() gave for the same block as YAML, one option a line, that
 * loads again to the same values. Durations and sizes are written as people write them where that
 * is exact (`30s`, `64MiB`); a SECRET that came out of the environment as the text with its ${VAR}.
 * TREE values are left out: the caller prints them with the schemas they belong to. A block that is
 * not given and has REQUIRED members shows as `~`.
 *
 * indent: spaces before each line.
 */
void kv_conf_print(struct kv_conf_printer *printer, const struct kv_conf_block *block,
                   const struct kv_option_value *values, unsigned indent);

/* Appends a text as a scalar of YAML that is read as this text; where `source` is not NULL, as
 * this, in which variables are filled in. */
void kv_conf_print_text(struct kv_buffer *out, struct kv_slice text, const char *source);

#endif
