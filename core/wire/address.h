/*
 * Addresses of machines, IPv4 and IPv6, and ranges of them.
 */
#ifndef KV_WIRE_ADDRESS_H
#define KV_WIRE_ADDRESS_H

#include <kvserver/types.h>

struct kv_address {
    uint8_t len; /* in bytes: 4 or 16; 0: none */
    unsigned char bytes[16];
};

/* All addresses with these first bits. */
struct kv_address_range {
    struct kv_address address;
    uint8_t bits;
};

/* Makes an address from its bytes. An IPv4-mapped IPv6 address (::ffff:10.0.0.1) becomes an IPv4
 * address. len: 4 or 16. */
struct kv_address kv_address_of(const unsigned char *bytes, size_t len);

/* Reads `10.0.0.1` or `2001:db8::1`. Returns: false if it is no address. */
bool kv_address_read(struct kv_slice text, struct kv_address *ret);

/* Reads `10.0.0.0/8` or `2001:db8::/32`; an address alone is a range of one. Returns: false if it
 * is no range, or has bits beyond its length. */
bool kv_address_range_read(struct kv_slice text, struct kv_address_range *ret);

/* Writes it as kv_address_read() reads it. Returns: false if there is none. */
bool kv_address_print(const struct kv_address *address, char *ret, size_t size);

bool kv_address_range_has(const struct kv_address_range *range, const struct kv_address *address);

static inline bool kv_address_is_given(const struct kv_address *address)
{
    return address->len != 0;
}

#endif
