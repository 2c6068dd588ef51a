/*
 * A value is a line whose first byte is its type. For some types, bytes follow, as many as the line
 * announces, and a line end. Aggregates announce how many values follow; as these are consecutive,
 * it is enough to count how many are left. Streamed strings and aggregates, which Redis does not
 * send, are refused.
 */
#include "resp.h"

#include <assert.h>
#include <string.h>

enum {
    LONGEST_LINE = 64 << 10,
    LEAST_VALUE = 3, /* bytes of a value: `_` and a line end */
    LINE_END = 2,
    FORMAT = 4, /* of a verbatim string: three letters and a colon */
};

struct line {
    char type;
    struct kv_slice text; /* after the type */
    size_t size;          /* with the line end */
};

/* Returns: 1; 0 if more is needed; -1. */
static int read_line(struct kv_slice bytes, struct line *ret)
{
    size_t most = bytes.len < LONGEST_LINE ? bytes.len : LONGEST_LINE;
    size_t len = 0; /* most lines are so short that memchr() would take longer */
    while (len < most && bytes.bytes[len] != '\r' && bytes.bytes[len] != '\n')
        len++;
    if (len < most && (len == 0 || bytes.bytes[len] == '\n'))
        return -1;
    if (len + LINE_END > most)
        return most == LONGEST_LINE ? -1 : 0;
    if (bytes.bytes[len + 1] != '\n')
        return -1;
    *ret = (struct line){bytes.bytes[0], {bytes.bytes + 1, len - 1}, len + LINE_END};
    return 1;
}

/* Decimal, with or without a sign. Returns: whether it is valid and fits. */
static bool read_number(struct kv_slice text, int64_t *ret)
{
    size_t at = text.len != 0 && (text.bytes[0] == '-' || text.bytes[0] == '+');
    bool is_negative = at != 0 && text.bytes[0] == '-';
    int64_t number = 0;
    if (at == text.len)
        return false;
    for (; at < text.len; at++) {
        int digit = text.bytes[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, is_negative ? -digit : digit, &number))
            return false;
    }
    *ret = number;
    return true;
}

/* The announcement of a line. */
struct extent {
    size_t n_bytes;    /* of a string, with the line end */
    uint64_t n_values; /* of an aggregate */
    bool is_null;      /* a null of RESP2 */
};

static bool has_bytes(char type)
{
    return type == '$' || type == '=' || type == '!';
}

static bool is_aggregate(char type)
{
    return type == '*' || type == '~' || type == '>' || type == '%' || type == '|';
}

static bool is_plain_right(const struct line *line)
{
    int64_t number;
    switch (line->type) {
    case '+':
    case '-':
        return true;
    case ':':
        return read_number(line->text, &number);
    case '#':
        return line->text.len == 1 && (line->text.bytes[0] == 't' || line->text.bytes[0] == 'f');
    case '_':
        return line->text.len == 0;
    case ',':
    case '(':
        return line->text.len != 0;
    default:
        return false;
    }
}

static uint64_t values_of(char type, uint64_t number)
{
    bool is_pairs = type == '%' || type == '|';
    return (is_pairs ? 2 * number : number) + (type == '|' ? 1 : 0);
}

/* Returns: whether the line starts a value. most: the largest valid length. */
static bool read_extent(const struct line *line, size_t most, struct extent *ret)
{
    int64_t number;
    *ret = (struct extent){0};
    if (!has_bytes(line->type) && !is_aggregate(line->type))
        return is_plain_right(line);
    if (!read_number(line->text, &number))
        return false;
    ret->is_null = number == -1 && (line->type == '$' || line->type == '*');
    if (ret->is_null)
        return true;
    if (number < 0 || (uint64_t)number > most || (line->type == '=' && number < FORMAT))
        return false;
    if (has_bytes(line->type))
        ret->n_bytes = (size_t)number + LINE_END;
    else
        ret->n_values = values_of(line->type, (uint64_t)number);
    return true;
}

static bool is_string_right(const struct line *line, const char *bytes, size_t n_bytes)
{
    bool is_verbatim = line->type == '=';
    return memcmp(bytes + n_bytes - LINE_END, "\r\n", LINE_END) == 0 &&
           (!is_verbatim || bytes[FORMAT - 1] == ':');
}

void resp_scanner_begin(struct resp_scanner *scanner, size_t max_bytes)
{
    *scanner = (struct resp_scanner){.max_bytes = max_bytes, .left = 1};
}

/* Scans one value, without the elements of an aggregate. Returns: as resp_scan(). */
static int scan_value(struct resp_scanner *scanner, struct kv_slice bytes)
{
    struct line line;
    struct extent extent;
    struct kv_slice rest = {bytes.bytes + scanner->at, bytes.len - scanner->at};
    int got = read_line(rest, &line);
    if (got != 1)
        return got;
    size_t room = scanner->max_bytes - scanner->at;
    if (line.size > room || !read_extent(&line, room - line.size, &extent))
        return -1;
    room -= line.size;
    uint64_t left = scanner->left - 1 + extent.n_values;
    if (extent.n_bytes > room || left > (room - extent.n_bytes) / LEAST_VALUE)
        return -1;
    if (extent.n_bytes > rest.len - line.size)
        return 0; /* the line is parsed again when there is more */
    if (extent.n_bytes != 0 && !is_string_right(&line, rest.bytes + line.size, extent.n_bytes))
        return -1;
    scanner->at += line.size + extent.n_bytes;
    scanner->left = left;
    return 1;
}

int resp_scan(struct resp_scanner *scanner, struct kv_slice bytes)
{
    int got = 1;
    while (got == 1 && scanner->left != 0)
        got = scan_value(scanner, bytes);
    return got;
}

/* ---- reading ---- */

static enum resp_type type_of(char type)
{
    return type == '=' ? RESP_STRING : type == '!' ? RESP_ERROR : (enum resp_type)type;
}

static struct resp_value read_string(const struct line *line, size_t n_bytes)
{
    struct kv_slice text = {line->text.bytes + line->text.len + LINE_END, n_bytes - LINE_END};
    if (line->type == '=')
        text = (struct kv_slice){text.bytes + FORMAT, text.len - FORMAT};
    return (struct resp_value){.type = type_of(line->type), .text = text};
}

static struct resp_value read_plain(const struct line *line)
{
    struct resp_value value = {.type = type_of(line->type), .text = line->text};
    if (line->type == '#')
        value.number = line->text.bytes[0] == 't';
    else if (line->type == ':')
        read_number(line->text, &value.number);
    return value;
}

static struct resp_value read_aggregate(const struct line *line)
{
    struct resp_value value = {.type = type_of(line->type)};
    read_number(line->text, &value.number);
    if (line->type == '%' || line->type == '|')
        value.number *= 2;
    return value;
}

bool resp_is_error(struct kv_slice message)
{
    return type_of(message.bytes[0]) == RESP_ERROR;
}

int64_t resp_read_digits(struct kv_slice text)
{
    int64_t number = 0;
    for (size_t i = 0; i < text.len && text.bytes[i] >= '0' && text.bytes[i] <= '9'; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text.bytes[i] - '0', &number))
            return INT64_MAX;
    return number;
}

bool resp_next(struct kv_slice *message, struct resp_value *ret)
{
    struct line line;
    struct extent extent;
    if (message->len == 0)
        return false;
    bool is_right = read_line(*message, &line) == 1 && read_extent(&line, message->len, &extent);
    assert(is_right && line.size + extent.n_bytes <= message->len);
    if (extent.is_null)
        *ret = (struct resp_value){.type = RESP_NULL};
    else if (has_bytes(line.type))
        *ret = read_string(&line, extent.n_bytes);
    else if (is_aggregate(line.type))
        *ret = read_aggregate(&line);
    else
        *ret = read_plain(&line);
    size_t size = line.size + extent.n_bytes;
    *message = (struct kv_slice){message->bytes + size, message->len - size};
    return true;
}
