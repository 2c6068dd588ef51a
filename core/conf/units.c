/*
 * Exact arithmetic throughout: a fraction is kept as its digits and multiplied by the unit in 128
 * bits before it is divided, so that `1.1kB` is 1100 and `0.3KiB` is refused.
 */
#include "conf/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#define NOT_A_SIZE "is not a size (like 64MiB)"

enum {
    /* 10^18 · 1 TiB stays below 2^127. */
    MOST_FRACTION_DIGITS = 18
};

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest unit first, down to plain bytes; B is accepted, but not written. */
static const struct unit sizes[] = {
    {"TiB", INT64_C(1) << 40},
    {"TB", INT64_C(1000000000000)},
    {"GiB", INT64_C(1) << 30},
    {"GB", INT64_C(1000000000)},
    {"MiB", INT64_C(1) << 20},
    {"MB", INT64_C(1000000)},
    {"KiB", INT64_C(1) << 10},
    {"kB", INT64_C(1000)},
    {"", 1},
    {"B", 1},
};

static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

/* A decimal number: `whole` and `fraction` / `scale`. */
struct decimal {
    int64_t whole, fraction, scale;
};

static const struct unit *find_size_unit(struct kv_slice name)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (strlen(sizes[i].name) == name.len &&
            (name.len == 0 || strncasecmp(sizes[i].name, name.bytes, name.len) == 0))
            return &sizes[i];
    return NULL;
}

/* Takes the digits off the start of the text. */
static struct kv_slice take_digits(struct kv_slice *text)
{
    struct kv_slice digits = {.bytes = text->bytes, .len = 0};
    while (digits.len < text->len && isdigit((unsigned char)text->bytes[digits.len]))
        digits.len++;
    text->bytes += digits.len;
    text->len -= digits.len;
    return digits;
}

static int digits_to_number(struct kv_slice digits, int64_t *ret_number)
{
    int64_t number = 0;
    for (size_t i = 0; i < digits.len; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digits.bytes[i] - '0', &number))
            return -1;
    *ret_number = number;
    return 0;
}

static int fail(const char **ret_what, const char *what)
{
    *ret_what = what;
    return -1;
}

static int take_decimal(struct kv_slice *text, struct decimal *ret_number, const char **ret_what)
{
    struct kv_slice whole = take_digits(text), fraction = {0};
    if (text->len > 0 && text->bytes[0] == '.') {
        text->bytes++;
        text->len--;
        fraction = take_digits(text);
        if (fraction.len == 0)
            return fail(ret_what, NOT_A_SIZE ": digits have to follow the point");
    } else if (whole.len == 0) {
        return fail(ret_what, NOT_A_SIZE ": it begins with no number");
    }
    while (fraction.len > 0 && fraction.bytes[fraction.len - 1] == '0')
        fraction.len--;
    if (fraction.len > MOST_FRACTION_DIGITS)
        return fail(ret_what, "has too many digits");
    struct decimal number = {.scale = 1};
    for (size_t i = 0; i < fraction.len; i++)
        number.scale *= 10;
    if (digits_to_number(whole, &number.whole) != 0)
        return fail(ret_what, "is too large");
    digits_to_number(fraction, &number.fraction);
    *ret_number = number;
    return 0;
}

int kv_size_parse(struct kv_slice text, int64_t *ret_bytes, const char **ret_what)
{
    struct decimal number;
    if (take_decimal(&text, &number, ret_what) != 0)
        return -1;
    while (text.len > 0 && text.bytes[0] == ' ') {
        text.bytes++;
        text.len--;
    }
    const struct unit *unit = find_size_unit(text);
    if (unit == NULL)
        return fail(ret_what, NOT_A_SIZE ": the units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB");
    __int128 fraction = (__int128)number.fraction * unit->factor;
    if (fraction % number.scale != 0)
        return fail(ret_what, "is no whole number of bytes");
    int64_t bytes;
    if (__builtin_mul_overflow(number.whole, unit->factor, &bytes) ||
        __builtin_add_overflow(bytes, (int64_t)(fraction / number.scale), &bytes))
        return fail(ret_what, "is too large");
    *ret_bytes = bytes;
    return 0;
}

/* Zero is whole in every unit, and written without one. */
static void append_with_unit(const struct unit *units, int64_t number, struct kv_buffer *out)
{
    while (units->factor > 1 && number % units->factor != 0)
        units++;
    kv_buffer_printf(out, "%" PRId64 "%s", number / units->factor, number == 0 ? "" : units->name);
}

void kv_number_append(enum kv_option_type type, int64_t number, struct kv_buffer *out)
{
    if (type == KV_OPTION_SIZE)
        append_with_unit(sizes, number, out);
    else if (type == KV_OPTION_DURATION)
        append_with_unit(durations, number, out);
    else
        kv_buffer_printf(out, "%" PRId64, number);
}
