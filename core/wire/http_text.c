/* One bit for each character; letters are compared without their case bit. */
#include "wire/http_text.h"

bool kv_http_is_token_char(char byte)
{
    /* RFC 9110, section 5.6.2: digits, letters and !#$%&'*+-.^_`|~ */
    static const uint32_t token[4] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
    unsigned char code = (unsigned char)byte;
    return code < 128 && (token[code / 32] >> code % 32 & 1) != 0;
}

bool kv_http_is_token(struct kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!kv_http_is_token_char(text.bytes[i]))
            return false;
    return text.len != 0;
}

struct kv_slice kv_http_trim(struct kv_slice text)
{
    while (text.len != 0 && kv_http_is_blank(text.bytes[text.len - 1]))
        text.len--;
    while (text.len != 0 && kv_http_is_blank(text.bytes[0])) {
        text.bytes++;
        text.len--;
    }
    return text;
}

static char lower_of(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool kv_http_equals(struct kv_slice text, struct kv_slice lower)
{
    if (text.len != lower.len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (lower_of(text.bytes[i]) != lower.bytes[i])
            return false;
    return true;
}

bool kv_http_list_next(struct kv_slice *list, struct kv_slice *ret_element)
{
    if (list->len == 0)
        return false;
    const char *comma = memchr(list->bytes, ',', list->len);
    size_t len = comma == NULL ? list->len : (size_t)(comma - list->bytes);
    size_t passed = comma == NULL ? len : len + 1;
    *ret_element = kv_http_trim((struct kv_slice){list->bytes, len});
    *list = (struct kv_slice){list->bytes + passed, list->len - passed};
    return true;
}

bool kv_http_list_has(struct kv_slice list, struct kv_slice lower)
{
    struct kv_slice element;
    while (kv_http_list_next(&list, &element))
        if (kv_http_equals(element, lower))
            return true;
    return false;
}
