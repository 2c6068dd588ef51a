/* Cuts at the last byte that begins a character and leaves room for the ellipsis. */
#include "wire/quote.h"

#define ELLIPSIS "\xe2\x80\xa6"

struct kv_quote kv_quote(struct kv_slice text)
{
    struct kv_quote quote = {0};
    size_t len = text.len;
    if (len < sizeof(quote.text)) {
        if (len != 0) /* an empty text may have NULL bytes */
            memcpy(quote.text, text.bytes, len);
        return quote;
    }
    len = sizeof(quote.text) - sizeof(ELLIPSIS);
    while (len > 0 && ((unsigned char)text.bytes[len] & 0xc0) == 0x80)
        len--;
    memcpy(quote.text, text.bytes, len);
    memcpy(quote.text + len, ELLIPSIS, sizeof(ELLIPSIS));
    return quote;
}
