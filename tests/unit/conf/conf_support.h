/*
 * Shared by the tests of core/conf: one configuration at a time, its messages and its values.
 */
#ifndef KV_TESTS_CONF_SUPPORT_H
#define KV_TESTS_CONF_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/print.h"
#include "conf/schema.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The faults, a line each. Owns: the caller, by free(). */
static inline char *faults_of(const struct kv_conf *conf)
{
    struct kv_buffer text = {0};
    kv_conf_append_faults(conf, "", &text);
    if (text.len > 0)
        text.len--; /* removes the last newline */
    kv_buffer_append_char(&text, '\0');
    return text.bytes;
}

static inline void assert_faults(const struct kv_conf *conf, const char *expected)
{
    char *faults = faults_of(conf);
    assert_string_equal(faults, expected);
    free(faults);
}

static inline struct kv_conf *parse_slice(struct kv_slice text)
{
    struct kv_conf *conf = NULL;
    assert_int_equal(kv_conf_parse("conf.yaml", text, &conf), 0);
    assert_faults(conf, "");
    return conf;
}

static inline struct kv_conf *parse(const char *text)
{
    return parse_slice(kv_slice_of(text));
}

static inline void assert_slice_fails(struct kv_slice text, const char *faults)
{
    struct kv_conf *conf = NULL;
    kv_conf_parse("conf.yaml", text, &conf);
    assert_faults(conf, faults);
    kv_conf_destroy(conf);
}

static inline void assert_parse_fails(const char *text, const char *faults)
{
    assert_slice_fails(kv_slice_of(text), faults);
}

static inline struct kv_conf_block block_of(const struct kv_conf_node *node,
                                            const struct kv_option *options, size_t n)
{
    return (struct kv_conf_block){.node = node,
                                  .path = "",
                                  .options = options,
                                  .n_options = n,
                                  .option_size = sizeof(*options)};
}

/* The root checked against the schema. */
static inline const struct kv_option_value *check(struct kv_conf *conf,
                                                  const struct kv_option *options, size_t n)
{
    const struct kv_option_value *values = NULL;
    const struct kv_conf_block block = block_of(kv_conf_root(conf), options, n);
    int result = kv_conf_check(conf, &block, &values);
    assert_faults(conf, "");
    assert_int_equal(result, 0);
    return values;
}

/* The faults of a valid YAML text. Owns: the caller, by free(). */
static inline char *check_faults(const char *text, const struct kv_option *options, size_t n)
{
    struct kv_conf *conf = parse(text);
    const struct kv_option_value *values = NULL;
    const struct kv_conf_block block = block_of(kv_conf_root(conf), options, n);
    assert_int_equal(kv_conf_check(conf, &block, &values), -1);
    char *faults = faults_of(conf);
    kv_conf_destroy(conf);
    return faults;
}

static inline void assert_check_fails(const char *text, const struct kv_option *options, size_t n,
                                      const char *expected)
{
    char *faults = check_faults(text, options, n);
    assert_string_equal(faults, expected);
    free(faults);
}

/* Owns: the caller, by free(). node: the node that the values come from, or NULL. */
static inline char *print_from(const struct kv_conf_node *node, const struct kv_option *options,
                               size_t n, const struct kv_option_value *values, unsigned indent)
{
    struct kv_buffer out = {0};
    struct kv_conf_printer printer = {.out = &out};
    const struct kv_conf_block block = block_of(node, options, n);
    kv_conf_print(&printer, &block, values, indent);
    kv_buffer_append_char(&out, '\0');
    return out.bytes;
}

static inline char *print(const struct kv_option *options, size_t n,
                          const struct kv_option_value *values, unsigned indent)
{
    return print_from(NULL, options, n, values, indent);
}

#endif
