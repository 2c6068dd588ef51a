/*
 * One pass from left to right. Objects with members that the caller looks for are read by
 * recursion, as deep as the caller's fields go; all other containers are skipped by a loop that
 * keeps one bit for each open one, so that hostile nesting costs neither stack nor heap. `at` never
 * passes `end`, and after an error it points to the offending byte.
 */
#include "wire/json.h"
#include "wire/json_string.h"

#include <assert.h>

#include "base/swar.h"
#include "base/utf8.h"

const char KV_JSON_TOO_DEEP[] = "the nesting is too deep";
const char KV_JSON_NOT_OBJECT[] = "an object is expected";

struct scanner {
    const char *at;
    const char *end;
    uint32_t depth; /* open containers at `at` */
    uint32_t max_depth;
    bool has_escapes; /* the string that was scanned last has escapes */
    const char *what; /* the fault */
};

/* The kind of each container that skip_container() has open, the outermost in bit 0. A bit is
 * written when its container opens, so the array needs no clearing. */
struct nesting {
    uint32_t base; /* the scanner's depth outside of them */
    uint64_t is_object[KV_JSON_MAX_DEPTH / 64];
};

enum byte_class {
    IN_STRING = 1u << 0, /* is ASCII, and needs no escape in a string */
    SPACE = 1u << 1,
    DIGIT = 1u << 2,
    HEX = 1u << 3,
    ESCAPE = 1u << 4, /* may follow a backslash; without `u` */
};

static const unsigned char classes[256] = {
    ['\t'] = SPACE,
    ['\n'] = SPACE,
    ['\r'] = SPACE,
    [' '] = IN_STRING | SPACE,
    ['!'] = IN_STRING,
    ['"'] = ESCAPE,
    ['#' ... '.'] = IN_STRING,
    ['/'] = IN_STRING | ESCAPE,
    ['0' ... '9'] = IN_STRING | DIGIT | HEX,
    [':' ... '@'] = IN_STRING,
    ['A' ... 'F'] = IN_STRING | HEX,
    ['G' ... '['] = IN_STRING,
    ['\\'] = ESCAPE,
    [']' ... '`'] = IN_STRING,
    ['a'] = IN_STRING | HEX,
    ['b'] = IN_STRING | HEX | ESCAPE,
    ['c' ... 'e'] = IN_STRING | HEX,
    ['f'] = IN_STRING | HEX | ESCAPE,
    ['g' ... 'm'] = IN_STRING,
    ['n'] = IN_STRING | ESCAPE,
    ['o' ... 'q'] = IN_STRING,
    ['r'] = IN_STRING | ESCAPE,
    ['s'] = IN_STRING,
    ['t'] = IN_STRING | ESCAPE,
    ['u' ... 0x7f] = IN_STRING,
};

static bool fail(struct scanner *s, const char *what)
{
    s->what = what;
    return false;
}

/* Whether the next byte belongs to the class; false at the end. */
static inline bool is_at(const struct scanner *s, enum byte_class class)
{
    return s->at < s->end && (classes[(unsigned char)*s->at] & class) != 0;
}

static inline bool is_at_byte(const struct scanner *s, char byte)
{
    return s->at < s->end && *s->at == byte;
}

static inline bool take(struct scanner *s, char byte)
{
    bool is_there = is_at_byte(s, byte);
    s->at += is_there;
    return is_there;
}

static inline void skip_space(struct scanner *s)
{
    while (is_at(s, SPACE))
        s->at++;
}

/* The hot loop: eight bytes a step. `at` is local so that it stays in a register. */
static inline void skip_plain(struct scanner *s)
{
    const char *at = s->at;
    const char *end = s->end;
    for (; end - at >= 8; at += 8) {
        uint64_t word = kv_swar_load(at);
        uint64_t marks = kv_swar_specials(word) | kv_swar_not_ascii(word);
        if (marks != 0) {
            s->at = at + kv_swar_first(marks);
            return;
        }
    }
    while (at < end && (classes[(unsigned char)*at] & IN_STRING) != 0)
        at++;
    s->at = at;
}

static bool skip_escape(struct scanner *s)
{
    s->has_escapes = true;
    s->at++;
    if (is_at(s, ESCAPE)) {
        s->at++;
        return true;
    }
    if (!take(s, 'u'))
        return fail(s, "unknown escape");
    for (int i = 0; i < 4; i++, s->at++)
        if (!is_at(s, HEX))
            return fail(s, "four hexadecimal digits must follow \\u");
    return true;
}

/* Skips a byte that is neither plain nor the closing quote. */
static bool skip_special(struct scanner *s)
{
    unsigned char byte = (unsigned char)*s->at;
    if (byte == '\\')
        return skip_escape(s);
    if (byte < 0x20)
        return fail(s, "a control character must be escaped");
    size_t len = kv_utf8_run_len(s->at, s->end);
    s->at += len;
    return len != 0 || fail(s, "bytes that are not UTF-8");
}

/* Skips the string from its first byte that is not plain. Out of line: most strings are plain, and
 * are scanned faster without it. */
__attribute__((noinline)) static bool skip_rest(struct scanner *s)
{
    while (!take(s, '"')) {
        if (s->at == s->end)
            return fail(s, "the string has no end");
        if (!skip_special(s))
            return false;
        skip_plain(s);
    }
    return true;
}

/* `at` is on the opening quote. */
static inline bool skip_string(struct scanner *s)
{
    s->has_escapes = false;
    s->at++;
    skip_plain(s);
    return take(s, '"') || skip_rest(s);
}

static bool skip_digits(struct scanner *s)
{
    if (!is_at(s, DIGIT))
        return fail(s, "a digit is expected");
    do
        s->at++;
    while (is_at(s, DIGIT));
    return true;
}

static bool skip_number(struct scanner *s)
{
    take(s, '-');
    if (take(s, '0')) {
        if (is_at(s, DIGIT))
            return fail(s, "a number has no leading zeros");
    } else if (!skip_digits(s)) {
        return false;
    }
    if (take(s, '.') && !skip_digits(s))
        return false;
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            take(s, '-');
        return skip_digits(s);
    }
    return true;
}

static bool skip_word(struct scanner *s, struct kv_slice word)
{
    if (!kv_slice_has_prefix((struct kv_slice){s->at, (size_t)(s->end - s->at)}, word))
        return fail(s, "a value is expected");
    s->at += word.len;
    return true;
}

static bool skip_scalar(struct scanner *s)
{
    if (s->at == s->end)
        return fail(s, "the text ends where a value is expected");
    switch (*s->at) {
    case '"':
        return skip_string(s);
    case 't':
        return skip_word(s, KV_SLICE("true"));
    case 'f':
        return skip_word(s, KV_SLICE("false"));
    case 'n':
        return skip_word(s, KV_SLICE("null"));
    case '-':
    case '0' ... '9':
        return skip_number(s);
    default:
        return fail(s, "a value is expected");
    }
}

/* Skips a member's name and its colon, up to its value. */
static bool skip_name(struct scanner *s, struct kv_slice *ret_name)
{
    skip_space(s);
    if (!is_at_byte(s, '"'))
        return fail(s, "a member's name is expected");
    const char *from = s->at;
    if (!skip_string(s))
        return false;
    *ret_name = (struct kv_slice){from, (size_t)(s->at - from)};
    skip_space(s);
    if (!take(s, ':'))
        return fail(s, "':' is expected");
    skip_space(s);
    return true;
}

/* Skips an opening bracket. */
static bool deepen(struct scanner *s)
{
    if (s->depth == s->max_depth)
        return fail(s, KV_JSON_TOO_DEEP);
    s->depth++;
    s->at++;
    skip_space(s);
    return true;
}

/* Notes the kind of the innermost container. */
static void nesting_note(struct nesting *nesting, const struct scanner *s, bool is_object)
{
    uint32_t level = s->depth - nesting->base - 1;
    uint64_t bit = UINT64_C(1) << (level % 64);
    uint64_t *word = &nesting->is_object[level / 64];
    *word = is_object ? *word | bit : *word & ~bit;
}

static bool nesting_is_object(const struct nesting *nesting, const struct scanner *s)
{
    uint32_t level = s->depth - nesting->base - 1;
    return (nesting->is_object[level / 64] >> (level % 64) & 1) != 0;
}

/* Moves from the start of a value over all brackets that open there, to the end of the first
 * scalar, or to the closing bracket of an empty container. */
static bool enter(struct scanner *s, struct nesting *nesting)
{
    struct kv_slice name;
    while (is_at_byte(s, '{') || is_at_byte(s, '[')) {
        bool is_object = *s->at == '{';
        if (!deepen(s))
            return false;
        nesting_note(nesting, s, is_object);
        if (is_at_byte(s, is_object ? '}' : ']'))
            return true;
        if (is_object && !skip_name(s, &name))
            return false;
    }
    return skip_scalar(s);
}

/* Moves from the end of a value over all brackets that close there, to the start of the next value.
 * If there is none, the nesting has ended, and the depth is that of its base. */
static bool leave(struct scanner *s, struct nesting *nesting)
{
    struct kv_slice name;
    while (s->depth > nesting->base) {
        bool is_object = nesting_is_object(nesting, s);
        skip_space(s);
        if (take(s, ',')) {
            skip_space(s);
            return !is_object || skip_name(s, &name);
        }
        if (!take(s, is_object ? '}' : ']'))
            return fail(s, is_object ? "',' or '}' is expected" : "',' or ']' is expected");
        s->depth--;
    }
    return true;
}

/* Kept out of line: its frame is large. */
__attribute__((noinline)) static bool skip_container(struct scanner *s)
{
    struct nesting nesting;
    nesting.base = s->depth;
    do
        if (!enter(s, &nesting) || !leave(s, &nesting))
            return false;
    while (s->depth > nesting.base);
    return true;
}

static bool skip_value(struct scanner *s, struct kv_slice *ret_value)
{
    const char *from = s->at;
    bool is_container = is_at_byte(s, '{') || is_at_byte(s, '[');
    if (!(is_container ? skip_container(s) : skip_scalar(s)))
        return false;
    *ret_value = (struct kv_slice){from, (size_t)(s->at - from)};
    return true;
}

/* Drops the values of the members of a repeated member. */
static void forget_members(const struct kv_json_field *field, struct kv_slice *value)
{
    for (uint32_t i = field->members_ahead; i < field->members_ahead + field->n_members; i++) {
        value[i] = (struct kv_slice){0};
        forget_members(field + i, value + i);
    }
}

static inline bool is_same(struct kv_slice a, struct kv_slice b)
{
    return a.len == b.len && kv_swar_same(a.bytes, b.bytes, a.len);
}

/* `at` is after the name. Returns: its index, or n_fields if no field has this name. */
static inline uint32_t find_field(const struct scanner *s, const struct kv_json_field *fields,
                                  uint32_t n_fields, struct kv_slice name)
{
    struct kv_slice inside = kv_json_inside(name);
    uint32_t i = 0;
    if (s->has_escapes)
        while (i < n_fields && !kv_json_string_equals(name, fields[i].name))
            i++;
    else
        while (i < n_fields && !is_same(inside, fields[i].name))
            i++;
    return i;
}

static bool read_members(struct scanner *s, const struct kv_json_field *fields, uint32_t n_fields,
                         struct kv_slice *values);

static bool read_field(struct scanner *s, const struct kv_json_field *field, struct kv_slice *value)
{
    if (field->n_members == 0)
        return skip_value(s, value);
    if (value->bytes != NULL)
        forget_members(field, value);
    if (!is_at_byte(s, '{'))
        return skip_value(s, value);
    const char *from = s->at;
    if (!read_members(s, field + field->members_ahead, field->n_members,
                      value + field->members_ahead))
        return false;
    *value = (struct kv_slice){from, (size_t)(s->at - from)};
    return true;
}

static bool read_member(struct scanner *s, const struct kv_json_field *fields, uint32_t n_fields,
                        struct kv_slice *values)
{
    struct kv_slice name, other;
    if (!skip_name(s, &name))
        return false;
    uint32_t i = find_field(s, fields, n_fields, name);
    return i == n_fields ? skip_value(s, &other) : read_field(s, &fields[i], &values[i]);
}

/* `at` is on the opening bracket of an object. */
static bool read_members(struct scanner *s, const struct kv_json_field *fields, uint32_t n_fields,
                         struct kv_slice *values)
{
    if (!deepen(s))
        return false;
    if (!is_at_byte(s, '}')) {
        do {
            if (!read_member(s, fields, n_fields, values))
                return false;
            skip_space(s);
        } while (take(s, ','));
    }
    if (!take(s, '}'))
        return fail(s, "',' or '}' is expected");
    s->depth--;
    return true;
}

/* Moves to the first value of the text. */
static bool begin(struct scanner *s, struct kv_slice text, uint32_t max_depth)
{
    assert(max_depth <= KV_JSON_MAX_DEPTH);
    if (text.len == 0)
        text.bytes = "";
    *s = (struct scanner){.at = text.bytes, .end = text.bytes + text.len, .max_depth = max_depth};
    if (kv_slice_has_prefix(text, KV_SLICE("\xef\xbb\xbf")))
        return fail(s, "a byte order mark is not allowed");
    skip_space(s);
    return true;
}

static bool finish(struct scanner *s)
{
    skip_space(s);
    return s->at == s->end || fail(s, "something follows the value");
}

static int tell(const struct scanner *s, struct kv_slice text, struct kv_json_error *reterr)
{
    *reterr = (struct kv_json_error){
        .what = s->what,
        .offset = text.len - (size_t)(s->end - s->at),
    };
    return -1;
}

int kv_json_check(struct kv_slice text, uint32_t max_depth, struct kv_slice *ret_value,
                  struct kv_json_error *reterr)
{
    struct scanner s;
    struct kv_slice value;
    if (!begin(&s, text, max_depth) || !skip_value(&s, &value) || !finish(&s))
        return tell(&s, text, reterr);
    *ret_value = value;
    return 0;
}

/* For a text that is not an object: it is either invalid JSON, or another value. */
static bool refuse_other_value(struct scanner *s)
{
    const char *from = s->at;
    struct kv_slice value;
    if (!skip_value(s, &value) || !finish(s))
        return false;
    s->at = from;
    return fail(s, KV_JSON_NOT_OBJECT);
}

static bool read_object(struct scanner *s, const struct kv_json_field *fields, uint32_t n_fields,
                        struct kv_slice *values)
{
    if (!is_at_byte(s, '{'))
        return refuse_other_value(s);
    return read_members(s, fields, n_fields, values) && finish(s);
}

int kv_json_read_object(struct kv_slice text, uint32_t max_depth,
                        const struct kv_json_field *fields, uint32_t n_fields,
                        struct kv_slice *values, struct kv_json_error *reterr)
{
    struct scanner s;
    if (!begin(&s, text, max_depth) || !read_object(&s, fields, n_fields, values))
        return tell(&s, text, reterr);
    return 0;
}

/* Skips the bracket or comma before the next element. Returns: 1, 0 if there is none, -1. */
static int find_element(struct scanner *s, bool is_first)
{
    if (is_first) {
        if (!is_at_byte(s, '[')) {
            fail(s, "an array is expected");
            return -1;
        }
        if (!deepen(s))
            return -1;
        return !is_at_byte(s, ']');
    }
    s->depth = 1;
    skip_space(s);
    if (is_at_byte(s, ']'))
        return 0;
    if (!take(s, ',')) {
        fail(s, "',' or ']' is expected");
        return -1;
    }
    skip_space(s);
    return 1;
}

int kv_json_read_array(struct kv_slice text, uint32_t max_depth, size_t *at,
                       struct kv_slice *ret_element, struct kv_json_error *reterr)
{
    assert(*at <= text.len);
    struct scanner s;
    if (!begin(&s, text, max_depth))
        return tell(&s, text, reterr);
    if (*at != 0)
        s.at = text.bytes + *at;
    int found = find_element(&s, *at == 0);
    if (found < 0 || (found == 1 && !skip_value(&s, ret_element)))
        return tell(&s, text, reterr);
    *at = text.len - (size_t)(s.end - s.at);
    return found;
}

int kv_json_error_tell(const struct kv_json_error *error, struct kv_error *reterr)
{
    return kv_error_set(reterr, "bad JSON at byte %zu: %s", error->offset, error->what);
}

const char *kv_json_type_name(enum kv_json_type type)
{
    static const char *const names[] = {
        [KV_JSON_NONE] = "nothing",   [KV_JSON_NULL] = "null",        [KV_JSON_TRUE] = "true",
        [KV_JSON_FALSE] = "false",    [KV_JSON_NUMBER] = "a number",  [KV_JSON_STRING] = "a string",
        [KV_JSON_ARRAY] = "an array", [KV_JSON_OBJECT] = "an object",
    };
    return names[type];
}
