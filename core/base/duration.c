/*
 * Parts are added as they are read. The whole milliseconds saturate; the decimals are a sequence of
 * digits, to which each part is added from its last digit to its point, as on paper. So no part
 * costs more than its own length, and nothing is rounded before the end.
 */
#include "base/duration.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

enum {
    LONGEST_UNIT = 12 /* milliseconds */
};

/* `end` is the end of the text; `digits` has room for as many decimals as the text has bytes. */
struct parse {
    const char *at;
    const char *end;
    uint64_t whole; /* UINT64_MAX: that or more */
    char *digits;   /* 0 to 9 each */
    size_t n_digits;
};

struct number {
    uint64_t whole; /* UINT64_MAX: that or more */
    struct kv_slice decimals;
};

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (DAY * 1461 / 4)

static const struct unit {
    char name[LONGEST_UNIT + 1];
    uint64_t ms;
} units[] = {
    {"ms", 1},
    {"msec", 1},
    {"msecs", 1},
    {"millisecond", 1},
    {"milliseconds", 1},
    {"s", SECOND},
    {"sec", SECOND},
    {"secs", SECOND},
    {"second", SECOND},
    {"seconds", SECOND},
    {"m", MINUTE},
    {"min", MINUTE},
    {"mins", MINUTE},
    {"minute", MINUTE},
    {"minutes", MINUTE},
    {"h", HOUR},
    {"hr", HOUR},
    {"hrs", HOUR},
    {"hour", HOUR},
    {"hours", HOUR},
    {"d", DAY},
    {"day", DAY},
    {"days", DAY},
    {"w", 7 * DAY},
    {"week", 7 * DAY},
    {"weeks", 7 * DAY},
    {"mo", YEAR / 12},
    {"month", YEAR / 12},
    {"months", YEAR / 12},
    {"y", YEAR},
    {"yr", YEAR},
    {"yrs", YEAR},
    {"year", YEAR},
    {"years", YEAR},
};

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static struct kv_slice read_run(struct parse *parse, bool (*belongs)(char))
{
    const char *from = parse->at;
    while (parse->at < parse->end && belongs(*parse->at))
        parse->at++;
    return (struct kv_slice){from, (size_t)(parse->at - from)};
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Returns: NULL, or the fault. */
static const char *read_number(struct parse *parse, struct number *ret)
{
    struct kv_slice whole = read_run(parse, is_digit);
    bool has_point = parse->at < parse->end && *parse->at == '.';
    parse->at += has_point;
    struct kv_slice decimals = has_point ? read_run(parse, is_digit) : KV_SLICE("");
    if (has_point && decimals.len == 0)
        return "is not a duration: a digit must follow the point";
    if (whole.len == 0 && !has_point)
        return "is not a duration: a number is expected";
    *ret = (struct number){.decimals = decimals};
    for (size_t i = 0; i < whole.len; i++)
        ret->whole = add(multiply(ret->whole, 10), (uint64_t)(whole.bytes[i] - '0'));
    return NULL;
}

static uint64_t find_unit(struct kv_slice name)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strlen(units[i].name) == name.len &&
            strncasecmp(units[i].name, name.bytes, name.len) == 0)
            return units[i].ms;
    return 0;
}

static void add_decimals(struct parse *parse, struct kv_slice decimals, uint64_t unit)
{
    while (parse->n_digits < decimals.len)
        parse->digits[parse->n_digits++] = 0;
    uint64_t carry = 0;
    for (size_t i = decimals.len; i-- > 0;) {
        uint64_t column = carry + (uint64_t)parse->digits[i];
        column += (uint64_t)(decimals.bytes[i] - '0') * unit;
        parse->digits[i] = (char)(column % 10);
        carry = column / 10;
    }
    parse->whole = add(parse->whole, carry);
}

static const char *read_part(struct parse *parse, bool is_first)
{
    struct number number;
    const char *what = read_number(parse, &number);
    if (what != NULL)
        return what;
    read_run(parse, is_space);
    struct kv_slice name = read_run(parse, is_letter);
    bool is_alone = is_first && name.len == 0 && parse->at == parse->end;
    uint64_t unit = is_alone ? 1 : find_unit(name);
    if (unit == 0)
        return name.len == 0 ? "is not a duration: a unit is expected"
                             : "is not a duration: the unit is unknown";
    read_run(parse, is_space);
    parse->whole = add(parse->whole, multiply(number.whole, unit));
    add_decimals(parse, number.decimals, unit);
    return NULL;
}

static void round_up(struct parse *parse)
{
    for (size_t i = 0; i < parse->n_digits; i++) {
        if (parse->digits[i] != 0) {
            parse->whole = add(parse->whole, 1);
            return;
        }
    }
}

static const char *read_parts(struct parse *parse, int64_t max_ms)
{
    const char *what = read_part(parse, true);
    while (what == NULL && parse->at < parse->end)
        what = read_part(parse, false);
    if (what != NULL)
        return what;
    round_up(parse);
    return parse->whole > (uint64_t)max_ms ? "is too long" : NULL;
}

int kv_duration_parse(struct kv_slice text, int64_t max_ms, int64_t *ret_ms, const char **ret_what)
{
    assert(max_ms >= 0);
    if (text.len == 0)
        text.bytes = "";
    char few_digits[128];
    char *many_digits = text.len > sizeof(few_digits) ? kv_try_alloc(text.len) : NULL;
    struct parse parse = {
        .at = text.bytes,
        .end = text.bytes + text.len,
        .digits = many_digits != NULL ? many_digits : few_digits,
    };
    const char *what = text.len > sizeof(few_digits) && many_digits == NULL
                           ? "does not fit into memory"
                           : read_parts(&parse, max_ms);
    free(many_digits);
    if (what != NULL) {
        *ret_what = what;
        return -1;
    }
    *ret_ms = (int64_t)parse.whole;
    return 0;
}

int kv_duration_check_unit(struct kv_slice text, struct kv_error *reterr)
{
    bool is_zero = true;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.bytes[i]) && text.bytes[i] != '.')
            return 0;
        is_zero = is_zero && (text.bytes[i] == '0' || text.bytes[i] == '.');
    }
    if (is_zero)
        return 0;
    int len = text.len < 20 ? (int)text.len : 20;
    return kv_error_set(reterr, "%.*s has no unit; write %.*sms, %.*ss or %.*sm", len, text.bytes,
                        len, text.bytes, len, text.bytes, len, text.bytes);
}
