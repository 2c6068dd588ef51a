/*
 * What the tests of core/conf share: one configuration at a time, its messages, its values.
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

static inline struct kv_conf *parse_slice(struct kv_slice text)
{
    struct kv_conf *conf = NULL;
    struct kv_error error = {{0}};
    if (kv_conf_parse("conf.yaml", text, &conf, &error) != 0)
        fail_msg("%s", error.text);
    return conf;
}

static inline struct kv_conf *parse(const char *text)
{
    return parse_slice(kv_slice_of(text));
}

static inline void assert_slice_fails(struct kv_slice text, const char *message)
{
    struct kv_conf *conf = NULL;
    struct kv_error error = {{0}};
    assert_int_equal(kv_conf_parse("conf.yaml", text, &conf, &error), -1);
    assert_string_equal(error.text, message);
    assert_null(conf);
}

static inline void assert_parse_fails(const char *text, const char *message)
{
    assert_slice_fails(kv_slice_of(text), message);
}

/* The root checked against the schema. */
static inline const struct kv_option_value *check(struct kv_conf *conf,
                                                  const struct kv_option *options, size_t n)
{
    const struct kv_option_value *values = NULL;
    struct kv_error error = {{0}};
    if (kv_conf_check(conf, kv_conf_root(conf), "", options, n, sizeof(*options), &values,
                      &error) != 0)
        fail_msg("%s", error.text);
    return values;
}

static inline void assert_check_fails(const char *text, const struct kv_option *options, size_t n,
                                      const char *message)
{
    struct kv_conf *conf = parse(text);
    const struct kv_option_value *values = NULL;
    struct kv_error error = {{0}};
    assert_int_equal(
        kv_conf_check(conf, kv_conf_root(conf), "", options, n, sizeof(*options), &values, &error),
        -1);
    assert_string_equal(error.text, message);
    assert_null(values);
    kv_conf_destroy(conf);
}

/* Owns: the caller, by free(). */
static inline char *print(const struct kv_option *options, size_t n,
                          const struct kv_option_value *values, unsigned indent)
{
    struct kv_buffer out = {0};
    kv_conf_print(options, n, sizeof(*options), values, indent, &out);
    kv_buffer_append_char(&out, '\0');
    return out.bytes;
}

#endif
