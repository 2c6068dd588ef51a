#include "wire/address.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    V4 = 4,
    V6 = 16
};

struct kv_address kv_address_of(const unsigned char *bytes, size_t len)
{
    static const unsigned char mapped[V6 - V4] = {[10] = 0xff, [11] = 0xff};
    struct kv_address address = {.len = (uint8_t)len};
    if (len == V6 && memcmp(bytes, mapped, sizeof(mapped)) == 0)
        return kv_address_of(bytes + sizeof(mapped), V4);
    memcpy(address.bytes, bytes, len);
    return address;
}

bool kv_address_read(struct kv_slice text, struct kv_address *ret)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char bytes[V6];
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.bytes, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.bytes, text.len);
    copy[text.len] = '\0';
    bool is_v6 = strchr(copy, ':') != NULL;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, copy, bytes) != 1)
        return false;
    *ret = kv_address_of(bytes, is_v6 ? V6 : V4);
    return true;
}

/* Up to three digits, without leading zeros. */
static bool read_bits(struct kv_slice text, uint8_t *ret)
{
    unsigned bits = 0;
    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.bytes[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
        bits = bits * 10 + (unsigned)(text.bytes[i] - '0');
    }
    *ret = (uint8_t)bits;
    return bits <= 8 * V6;
}

/* Byte `i` of a mask of the first `bits` bits. */
static unsigned char mask_at(uint8_t bits, size_t i)
{
    if (bits >= 8 * (i + 1))
        return 0xff;
    return bits <= 8 * i ? 0 : (unsigned char)(0xff << (8 * (i + 1) - bits));
}

static bool has_bits_beyond(const struct kv_address_range *range)
{
    for (size_t i = 0; i < range->address.len; i++)
        if ((range->address.bytes[i] & ~mask_at(range->bits, i) & 0xff) != 0)
            return true;
    return false;
}

bool kv_address_range_read(struct kv_slice text, struct kv_address_range *ret)
{
    struct kv_address_range range;
    const char *slash = text.len == 0 ? NULL : memchr(text.bytes, '/', text.len);
    struct kv_slice address = {text.bytes, slash == NULL ? text.len : (size_t)(slash - text.bytes)};
    if (!kv_address_read(address, &range.address))
        return false;
    range.bits = (uint8_t)(8 * range.address.len);
    if (slash != NULL &&
        (!read_bits((struct kv_slice){slash + 1, text.len - address.len - 1}, &range.bits) ||
         range.bits > 8 * range.address.len || has_bits_beyond(&range)))
        return false;
    *ret = range;
    return true;
}

bool kv_address_print(const struct kv_address *address, char *ret, size_t size)
{
    return address->len != 0 && inet_ntop(address->len == 4 ? AF_INET : AF_INET6, address->bytes,
                                          ret, (socklen_t)size) != NULL;
}

bool kv_address_range_has(const struct kv_address_range *range, const struct kv_address *address)
{
    if (range->address.len != address->len)
        return false;
    for (size_t i = 0; i < address->len; i++)
        if (((range->address.bytes[i] ^ address->bytes[i]) & mask_at(range->bits, i)) != 0)
            return false;
    return true;
}
