/*
 * Strings that are read here have passed the scanner, so every escape is complete; only the pairing
 * of surrogates is unchecked.
 */
#include "wire/json_string.h"

#include "base/utf8.h"

static bool is_high_surrogate(uint32_t code)
{
    return code >= 0xd800 && code <= 0xdbff;
}

static bool is_low_surrogate(uint32_t code)
{
    return code >= 0xdc00 && code <= 0xdfff;
}

static uint32_t read_hex(const char *digits)
{
    uint32_t number = 0;
    for (int i = 0; i < 4; i++) {
        char digit = digits[i];
        number = number * 16 + (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return number;
}

/* `at` is after `\u`. A surrogate pair is read as one character, a lone surrogate as its own
 * code. */
static const char *read_unicode(const char *at, const char *end, uint32_t *ret_code)
{
    uint32_t code = read_hex(at);
    at += 4;
    if (is_high_surrogate(code) && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        uint32_t low = read_hex(at + 2);
        if (is_low_surrogate(low)) {
            *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            return at + 6;
        }
    }
    *ret_code = code;
    return at;
}

/* `at` is after a backslash. Returns: the end of the escape. */
static const char *read_escape(const char *at, const char *end, uint32_t *ret_code)
{
    switch (*at++) {
    case 'b':
        *ret_code = '\b';
        return at;
    case 'f':
        *ret_code = '\f';
        return at;
    case 'n':
        *ret_code = '\n';
        return at;
    case 'r':
        *ret_code = '\r';
        return at;
    case 't':
        *ret_code = '\t';
        return at;
    case 'u':
        return read_unicode(at, end, ret_code);
    default:
        *ret_code = (unsigned char)at[-1];
        return at;
    }
}

/* `at` is after a backslash. Returns: the end of the escape; *ret_is_lone: it is a lone surrogate,
 * whose bytes are those that it would have as a character. */
static const char *decode_any(const char *at, const char *end, char utf8[4], size_t *ret_len,
                              bool *ret_is_lone)
{
    uint32_t code;
    at = read_escape(at, end, &code);
    *ret_is_lone = is_high_surrogate(code) || is_low_surrogate(code);
    *ret_len = kv_utf8_encode(code, utf8);
    return at;
}

/* As decode_any(). Returns: NULL for a lone surrogate. */
static const char *decode_escape(const char *at, const char *end, char utf8[4], size_t *ret_len)
{
    bool is_lone;
    at = decode_any(at, end, utf8, ret_len, &is_lone);
    return is_lone ? NULL : at;
}

/* The next backslash, or the end. */
static const char *find_backslash(const char *at, const char *end)
{
    const char *found = memchr(at, '\\', (size_t)(end - at));
    return found != NULL ? found : end;
}

bool kv_json_has_escapes(struct kv_slice string)
{
    return memchr(string.bytes, '\\', string.len) != NULL;
}

static int unescape(struct kv_slice string, struct kv_buffer *out, bool takes_lone)
{
    struct kv_slice inside = kv_json_inside(string);
    const char *end = inside.bytes + inside.len;
    const char *at = inside.bytes;
    /* No escape is shorter than its text, so one reservation suffices. */
    char *to = kv_buffer_try_reserve(out, string.len);
    if (to == NULL)
        return KV_JSON_NO_MEMORY;
    for (;;) {
        const char *escape = find_backslash(at, end);
        memcpy(to, at, (size_t)(escape - at));
        to += escape - at;
        if (escape == end)
            break;
        char utf8[4];
        size_t len;
        bool is_lone;
        at = decode_any(escape + 1, end, utf8, &len, &is_lone);
        if (is_lone && !takes_lone)
            return -1;
        memcpy(to, utf8, len);
        to += len;
    }
    out->len = (size_t)(to - out->bytes);
    return 0;
}

int kv_json_unescape(struct kv_slice string, struct kv_buffer *out)
{
    return unescape(string, out, false);
}

int kv_json_unescape_to_compare(struct kv_slice string, struct kv_buffer *out)
{
    return unescape(string, out, true);
}

bool kv_json_escaped_equals(struct kv_slice inside, struct kv_slice text)
{
    const char *end = inside.bytes + inside.len;
    for (const char *at = inside.bytes; at < end;) {
        char utf8[4] = {*at};
        size_t len = 1;
        at = *at == '\\' ? decode_escape(at + 1, end, utf8, &len) : at + 1;
        if (at == NULL || !kv_slice_has_prefix(text, (struct kv_slice){utf8, len}))
            return false;
        text = (struct kv_slice){text.bytes + len, text.len - len};
    }
    return text.len == 0;
}

static bool is_special(char byte)
{
    return (unsigned char)byte < 0x20 || byte == '"' || byte == '\\';
}

/* Copies the bytes up to the first that must be escaped. Returns: their number. */
static inline size_t copy_plain(char *to, struct kv_slice from)
{
    size_t n = 0;
    for (; from.len - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
        if (kv_swar_specials(kv_swar_load(from.bytes + n)) != 0)
            break;
        memcpy(to + n, from.bytes + n, sizeof(uint64_t));
    }
    for (; n < from.len && !is_special(from.bytes[n]); n++)
        to[n] = from.bytes[n];
    return n;
}

static void append_escaped(struct kv_buffer *out, char byte)
{
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
    };
    if (byte == '"' || byte == '\\')
        kv_buffer_append(out, (struct kv_slice){(char[]){'\\', byte}, 2});
    else if (letters[(unsigned char)byte] != '\0')
        kv_buffer_append(out, (struct kv_slice){(char[]){'\\', letters[(unsigned char)byte]}, 2});
    else
        kv_buffer_printf(out, "\\u%04x", (unsigned)byte);
}

/* Appends a text that begins with a byte that must be escaped. Out of line: most strings have
 * none. */
__attribute__((noinline)) static void append_rest(struct kv_buffer *out, struct kv_slice rest)
{
    while (rest.len != 0) {
        append_escaped(out, rest.bytes[0]);
        rest = (struct kv_slice){rest.bytes + 1, rest.len - 1};
        size_t n = copy_plain(kv_buffer_reserve(out, rest.len), rest);
        out->len += n;
        rest = (struct kv_slice){rest.bytes + n, rest.len - n};
    }
}

void kv_json_append_string(struct kv_buffer *out, struct kv_slice utf8)
{
    char *at = kv_buffer_reserve(out, utf8.len + 2);
    *at = '"';
    size_t n = copy_plain(at + 1, utf8);
    out->len += 1 + n;
    if (n != utf8.len)
        append_rest(out, (struct kv_slice){utf8.bytes + n, utf8.len - n});
    kv_buffer_append_char(out, '"');
}
