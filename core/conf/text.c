/*
 * A strict decoder, one code point a call: overlong forms, surrogates and code points above
 * U+10FFFF are refused (RFC 3629, section 4).
 */
#include "conf/text.h"

/* The length of a code point with this lead byte; 0 if it is none. */
static size_t length_of(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 4;
    return 0;
}

static bool is_scalar_value(uint32_t code, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return code >= least[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

int kv_text_take(struct kv_slice *text, uint32_t *ret_code)
{
    const unsigned char *bytes = (const unsigned char *)text->bytes;
    size_t len = length_of(bytes[0]);
    if (len == 0 || len > text->len)
        return -1;
    uint32_t code = len == 1 ? bytes[0] : bytes[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return -1;
        code = code << 6 | (bytes[i] & 0x3fu);
    }
    if (!is_scalar_value(code, len))
        return -1;
    text->bytes += len;
    text->len -= len;
    *ret_code = code;
    return 0;
}

struct kv_shown kv_text_show(struct kv_slice text)
{
    enum {
        ROOM = sizeof(((struct kv_shown *)0)->text) - sizeof("\"\"…")
    };
    struct kv_shown shown = {.text = "\""};
    size_t len = 1;
    while (text.len > 0) {
        const char *from = text.bytes;
        uint32_t code;
        if (kv_text_take(&text, &code) != 0)
            break;
        size_t n = (size_t)(text.bytes - from);
        if (len + n > ROOM) {
            memcpy(shown.text + len, "…", strlen("…"));
            len += strlen("…");
            break;
        }
        if (kv_text_is_control(code)) {
            shown.text[len++] = '?';
        } else {
            memcpy(shown.text + len, from, n);
            len += n;
        }
    }
    shown.text[len] = '"';
    return shown;
}
