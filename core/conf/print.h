/*
 * Prints the effective configuration as text.
 */
#ifndef KV_CONF_PRINT_H
#define KV_CONF_PRINT_H

#include "conf/check.h"

/* The output, and the treatment of secrets that the file contains literally. */
struct kv_conf_printer {
    struct kv_buffer *out;
    bool shows_secrets; /* false: prints "<hidden>", which is refused when the file is loaded */
    size_t n_literal;   /* the number of such secrets printed */
};

/*
 * Appends the values that kv_conf_check() gave for the block as YAML, one option a line, which
 * loads to the same values. Durations and sizes are written with units if that is exact (`30s`,
 * `64MiB`); a SECRET from the environment is written as the text with its ${VAR}. TREE values are
 * left out: the caller prints them with their own schemas. A block that is not given and has
 * REQUIRED members is printed as `~`.
 *
 * indent: spaces before each line.
 */
void kv_conf_print(struct kv_conf_printer *printer, const struct kv_conf_block *block,
                   const struct kv_option_value *values, unsigned indent);

/* Appends a text as a scalar of YAML that loads as this text; or, if `source` is not NULL, appends
 * that, with its references to variables. */
void kv_conf_print_text(struct kv_buffer *out, struct kv_slice text, const char *source);

#endif
