/*
 * Bytes, errors and log levels: the vocabulary that every module and the server share.
 */
#ifndef KVSERVER_TYPES_H
#define KVSERVER_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__GNUC__)
#define KV_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define KV_PRINTF(format_at, args_at)
#endif

/* Borrowed bytes: never freed through the slice, not NUL-terminated unless the provider says so.
 * `bytes` may be NULL only if `len` is 0. */
struct kv_slice {
    const char *bytes;
    size_t len;
};

/* The slice of a string literal. */
#define KV_SLICE(literal) ((struct kv_slice){.bytes = "" literal, .len = sizeof("" literal) - 1})

static inline struct kv_slice kv_slice_of(const char *text)
{
    return (struct kv_slice){.bytes = text, .len = strlen(text)};
}

static inline bool kv_slice_equals(struct kv_slice a, struct kv_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

static inline bool kv_slice_has_prefix(struct kv_slice text, struct kv_slice prefix)
{
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.bytes, prefix.bytes, prefix.len) == 0);
}

/* Compares by bytes; a proper prefix sorts first. Returns <0, 0, >0 like memcmp. */
static inline int kv_slice_compare(struct kv_slice a, struct kv_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

/* An error message for the operator. Made at load and configuration time only: the hot path carries
 * status codes. */
struct kv_error {
    char text[1024];
};

/* Writes the text (cut to fit) and returns -1, so that `return kv_error_set(…)` fails a call.
 * `error` may be NULL. */
static inline int kv_error_set(struct kv_error *error, const char *format, ...) KV_PRINTF(2, 3);
static inline int kv_error_set(struct kv_error *error, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(error->text, sizeof(error->text), format, args);
        va_end(args);
    }
    return -1;
}

enum kv_log_level {
    KV_LOG_DEBUG = 0,
    KV_LOG_INFO = 1,
    KV_LOG_WARN = 2,
    KV_LOG_ERROR = 3,
};

#endif
