/*
 * A parser for each type, in a table. The parsers only return a value or a fault; the messages are
 * composed in one place.
 */
#include "conf/scalar.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/duration.h"
#include "conf/option.h"
#include "conf/text.h"
#include "conf/units.h"
#include "conf/url.h"

/* The largest number of milliseconds that JSON numbers represent exactly. */
#define MAX_DURATION_MS ((INT64_C(1) << 53) - 1)

/* Sets the member of the value for the type.
 * Errors: -1, with *ret_what a constant text that continues a sentence after the quoted text; or
 * unchanged, if it only `is not …` the kind of value in the table. */
typedef int (*scalar_fn)(const struct kv_option *option, struct kv_slice text,
                         struct kv_option_value *value, const char **ret_what);

static int fail(const char **ret_what, const char *what)
{
    *ret_what = what;
    return -1;
}

static int parse_bool(const struct kv_option *option, struct kv_slice text,
                      struct kv_option_value *value, const char **ret_what)
{
    (void)option;
    (void)ret_what;
    value->boolean = kv_slice_equals(text, KV_SLICE("true"));
    return value->boolean || kv_slice_equals(text, KV_SLICE("false")) ? 0 : -1;
}

static int parse_int(const struct kv_option *option, struct kv_slice text,
                     struct kv_option_value *value, const char **ret_what)
{
    (void)option;
    size_t i = text.len > 0 && (text.bytes[0] == '-' || text.bytes[0] == '+') ? 1 : 0;
    if (i == text.len)
        return -1;
    int64_t number = 0;
    bool overflows = false;
    for (; i < text.len; i++) {
        if (!isdigit((unsigned char)text.bytes[i]))
            return -1;
        overflows |= __builtin_mul_overflow(number, 10, &number) ||
                     __builtin_add_overflow(number, text.bytes[i] - '0', &number);
    }
    if (overflows)
        return fail(ret_what, "has too many digits");
    /* Never INT64_MIN, which is KV_OPTION_KEYWORD. */
    value->integer = text.bytes[0] == '-' ? -number : number;
    return 0;
}

static size_t count_digits(const char *text)
{
    size_t n = 0;
    while (isdigit((unsigned char)text[n]))
        n++;
    return n;
}

/* [+-] digits [. digits] [e [+-] digits]: the syntax of strtod(), without hexadecimal, infinity and
 * not-a-number. */
static bool is_decimal(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t whole = count_digits(text);
    text += whole;
    size_t fraction = *text == '.' ? count_digits(text + 1) : 0;
    if (whole + fraction == 0 || (*text == '.' && fraction == 0))
        return false;
    text += fraction == 0 ? 0 : 1 + fraction;
    if (*text == 'e' || *text == 'E') {
        text += text[1] == '-' || text[1] == '+' ? 2 : 1;
        size_t exponent = count_digits(text);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

/* The program stays in the locale "C", so strtod() expects a point. */
static int parse_real(const struct kv_option *option, struct kv_slice text,
                      struct kv_option_value *value, const char **ret_what)
{
    (void)option;
    char digits[400];
    if (text.len >= sizeof(digits))
        return fail(ret_what, "has too many digits");
    snprintf(digits, sizeof(digits), "%.*s", (int)text.len, text.bytes);
    if (!is_decimal(digits))
        return -1;
    value->real = strtod(digits, NULL);
    if (!isfinite(value->real))
        return fail(ret_what, "is too large");
    return 0;
}

static int parse_duration(const struct kv_option *option, struct kv_slice text,
                          struct kv_option_value *value, const char **ret_what)
{
    (void)option;
    if (text.len > 0 && text.bytes[0] == '-')
        return fail(ret_what, "is negative");
    if (kv_duration_parse(text, MAX_DURATION_MS, &value->integer, ret_what) == 0)
        return 0;
    if (strstr(*ret_what, "the unit is unknown") != NULL)
        *ret_what = "is not a duration: the units are ms, s, m, h, d, w, mo, y";
    return -1;
}

static int parse_size(const struct kv_option *option, struct kv_slice text,
                      struct kv_option_value *value, const char **ret_what)
{
    (void)option;
    if (text.len > 0 && text.bytes[0] == '-')
        return fail(ret_what, "is negative");
    return kv_size_parse(text, &value->integer, ret_what);
}

static int parse_string(const struct kv_option *option, struct kv_slice text,
                        struct kv_option_value *value, const char **ret_what)
{
    (void)option;
    (void)ret_what;
    value->string = text;
    return 0;
}

/* Whether the option must not be empty. */
static bool is_needed(const struct kv_option *option)
{
    return (option->flags & KV_OPTION_REQUIRED) != 0 ||
           (option->fallback != NULL && *option->fallback != '\0');
}

/* Only shells expand `~`; the server would create a folder of that name. */
static int parse_path(const struct kv_option *option, struct kv_slice text,
                      struct kv_option_value *value, const char **ret_what)
{
    if (text.len == 0 && is_needed(option))
        return -1;
    if (kv_slice_equals(text, KV_SLICE("~")) || kv_slice_has_prefix(text, KV_SLICE("~/")))
        return fail(ret_what, "begins with ~, which means nothing here: write ${HOME}");
    value->string = text;
    return 0;
}

static int parse_choice(const struct kv_option *option, struct kv_slice text,
                        struct kv_option_value *value, const char **ret_what)
{
    (void)ret_what;
    for (int64_t i = 0; option->choices[i] != NULL; i++) {
        if (kv_slice_equals(text, kv_slice_of(option->choices[i]))) {
            value->integer = i;
            return 0;
        }
    }
    return -1;
}

static const struct {
    scalar_fn parse;
    const char *kind;
} types[] = {
    [KV_OPTION_BOOL] = {parse_bool, "true or false"},
    [KV_OPTION_INT] = {parse_int, "a whole number"},
    [KV_OPTION_REAL] = {parse_real, "a decimal number"},
    [KV_OPTION_DURATION] = {parse_duration, "a duration (like 30s)"},
    [KV_OPTION_SIZE] = {parse_size, "a size (like 64MiB)"},
    [KV_OPTION_STRING] = {parse_string, "text"},
    [KV_OPTION_CHOICE] = {parse_choice, "one of"},
    [KV_OPTION_PATH] = {parse_path, "a path"},
};

static void append_keyword(const struct kv_option *option, struct kv_buffer *out)
{
    if (option->keyword != NULL)
        kv_buffer_printf(out, " (or \"%s\")", option->keyword);
}

void kv_scalar_append_kind(const struct kv_option *option, struct kv_buffer *out)
{
    kv_buffer_append(out, kv_slice_of(types[option->type].kind));
    if (option->type == KV_OPTION_CHOICE)
        for (size_t i = 0; option->choices[i] != NULL; i++)
            kv_buffer_printf(out, "%s %s", i == 0 ? "" : ",", option->choices[i]);
    append_keyword(option, out);
}

/* The text for a message; secrets are not quoted. */
static struct kv_shown show(const struct kv_option *option, struct kv_slice text)
{
    if (option->flags & KV_OPTION_SECRET)
        return (struct kv_shown){.text = "the value"};
    return kv_text_show(text);
}

static bool is_hidden(const struct kv_option *option, struct kv_slice text)
{
    if (option->flags & KV_OPTION_URL)
        text = kv_url_login(text);
    return (option->flags & (KV_OPTION_SECRET | KV_OPTION_URL)) &&
           kv_slice_equals(text, KV_SLICE(KV_SCALAR_HIDDEN));
}

int kv_scalar_check_written(const struct kv_option *option, struct kv_slice text,
                            struct kv_error *reterr)
{
    int64_t ms;
    const char *what;
    if (is_hidden(option, text))
        return kv_error_set(reterr, "was hidden when this was printed: write the secret here, or "
                                    "the ${VAR} that has it");
    if (option->type != KV_OPTION_DURATION ||
        kv_duration_parse(text, MAX_DURATION_MS, &ms, &what) != 0 ||
        kv_duration_check_unit(text, reterr) == 0)
        return 0;
    if (option->flags & KV_OPTION_SECRET)
        return kv_error_set(reterr, "the value has no unit (ms, s or m)");
    return -1;
}

static int refuse(const struct kv_option *option, struct kv_slice text, const char *what,
                  struct kv_error *reterr)
{
    struct kv_buffer reason = {0};
    if (what != NULL) {
        kv_buffer_append(&reason, kv_slice_of(what));
        append_keyword(option, &reason);
    } else {
        kv_buffer_append(&reason, KV_SLICE("is not "));
        kv_scalar_append_kind(option, &reason);
    }
    kv_error_set(reterr, "%s %.*s", show(option, text).text, (int)reason.len, reason.bytes);
    kv_buffer_fini(&reason);
    return -1;
}

int kv_scalar_check_range(const struct kv_option *option, int64_t number, const char *shown,
                          struct kv_error *reterr)
{
    int64_t min = option->min, max = kv_option_max(option);
    if (number >= min && number <= max)
        return 0;
    struct kv_buffer range = {0};
    kv_number_append(option->type, min, &range);
    if (max != INT64_MAX) {
        kv_buffer_append(&range, KV_SLICE(" to "));
        kv_number_append(option->type, max, &range);
    } else {
        kv_buffer_append(&range, KV_SLICE(" or more"));
    }
    kv_error_set(reterr, "%s is out of range (%.*s)", shown, (int)range.len, range.bytes);
    kv_buffer_fini(&range);
    return -1;
}

int kv_scalar_parse(const struct kv_option *option, struct kv_slice text,
                    struct kv_option_value *ret_value, struct kv_error *reterr)
{
    if (option->keyword != NULL && kv_slice_equals(text, kv_slice_of(option->keyword))) {
        ret_value->integer = KV_OPTION_KEYWORD;
        return 0;
    }
    const char *what = NULL;
    if (types[option->type].parse(option, text, ret_value, &what) != 0)
        return refuse(option, text, what, reterr);
    if (!kv_option_is_number(option))
        return 0;
    return kv_scalar_check_range(option, ret_value->integer, show(option, text).text, reterr);
}
