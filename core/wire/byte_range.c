/* `bytes=first-last`, `bytes=first-`, or `bytes=-length` from the end. */
#include "wire/byte_range.h"

#include "wire/http_text.h"

/* Reads digits off the front. Returns: false if there are none. A number that is too large becomes
 * the largest possible. */
static bool take_number(struct kv_slice *text, uint64_t *ret)
{
    size_t n = 0;
    *ret = 0;
    while (n < text->len && text->bytes[n] >= '0' && text->bytes[n] <= '9') {
        uint64_t digit = (uint64_t)(text->bytes[n] - '0');
        *ret = *ret > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *ret * 10 + digit;
        n++;
    }
    *text = (struct kv_slice){text->bytes + n, text->len - n};
    return n != 0;
}

static bool take_dash(struct kv_slice *text)
{
    bool is_there = text->len != 0 && text->bytes[0] == '-';
    *text = (struct kv_slice){text->bytes + is_there, text->len - is_there};
    return is_there;
}

static enum kv_byte_range end_of(uint64_t size, uint64_t n, uint64_t *ret_first, uint64_t *ret_len)
{
    *ret_len = n < size ? n : size;
    *ret_first = size - *ret_len;
    return *ret_len == 0 ? KV_RANGE_BEYOND : KV_RANGE_PART;
}

enum kv_byte_range kv_byte_range_read(struct kv_slice value, uint64_t size, uint64_t *ret_first,
                                      uint64_t *ret_len)
{
    struct kv_slice unit = KV_SLICE("bytes=");
    uint64_t last;
    if (value.len < unit.len || !kv_http_equals((struct kv_slice){value.bytes, unit.len}, unit))
        return KV_RANGE_ALL;
    struct kv_slice range =
        kv_http_trim((struct kv_slice){value.bytes + unit.len, value.len - unit.len});
    bool has_first = take_number(&range, ret_first);
    if (!take_dash(&range))
        return KV_RANGE_ALL;
    bool has_last = take_number(&range, &last);
    if (range.len != 0 || (!has_first && !has_last) || (has_first && has_last && last < *ret_first))
        return KV_RANGE_ALL;
    if (!has_first)
        return end_of(size, last, ret_first, ret_len);
    if (*ret_first >= size)
        return KV_RANGE_BEYOND;
    if (!has_last || last > size - 1)
        last = size - 1;
    *ret_len = last - *ret_first + 1;
    return KV_RANGE_PART;
}
