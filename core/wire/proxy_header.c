/* https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, sections 2.1 and 2.2. */
#include "wire/proxy_header.h"

#include <string.h>

enum {
    LONGEST_LINE = 107,
    SIGNATURE = 12,
    FIXED = 16, /* of version 2, with the signature */
    LOCAL = 0x20,
    PROXY = 0x21,
    UNSPECIFIED = 0x00,
    TCP4 = 0x11,
    TCP6 = 0x21,
    UNIX = 0x31,
};

static const char signature[SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";
static const char word[] = "PROXY ";

/* Whether the bytes match the expected ones as far as they go. */
static bool may_be(struct kv_slice bytes, const char *expected, size_t len)
{
    return memcmp(bytes.bytes, expected, bytes.len < len ? bytes.len : len) == 0;
}

/* ---- version 1 ---- */

/* Takes a word off the line, with the blank after it. */
static struct kv_slice take_word(struct kv_slice *line)
{
    const char *blank = line->len == 0 ? NULL : memchr(line->bytes, ' ', line->len);
    size_t len = blank == NULL ? line->len : (size_t)(blank - line->bytes);
    struct kv_slice taken = {line->bytes, len};
    size_t skipped = len + (blank != NULL);
    *line = (struct kv_slice){line->bytes + skipped, line->len - skipped};
    return taken;
}

static bool is_port(struct kv_slice text)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.bytes[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.bytes[i] - '0');
    }
    return port <= 65535;
}

/* Reads an address of the family that the line names: IPv6 addresses have colons. */
static bool read_address(struct kv_slice text, bool is_v6, struct kv_address *ret)
{
    bool has_colon = text.len != 0 && memchr(text.bytes, ':', text.len) != NULL;
    return has_colon == is_v6 && kv_address_read(text, ret);
}

/* Reads the part after the family. */
static bool read_endpoints(struct kv_slice line, bool is_v6, struct kv_address *ret_client)
{
    struct kv_address server;
    return read_address(take_word(&line), is_v6, ret_client) &&
           read_address(take_word(&line), is_v6, &server) && is_port(take_word(&line)) &&
           line.len != 0 && is_port(line);
}

/* line: without its end. */
static enum kv_proxy_header_status read_line(struct kv_slice line, struct kv_proxy_header *ret)
{
    take_word(&line);
    struct kv_slice family = take_word(&line);
    if (kv_slice_equals(family, KV_SLICE("UNKNOWN")))
        return KV_PROXY_HEADER_WHOLE;
    bool is_v6 = kv_slice_equals(family, KV_SLICE("TCP6"));
    if (!is_v6 && !kv_slice_equals(family, KV_SLICE("TCP4")))
        return KV_PROXY_HEADER_MALFORMED;
    return read_endpoints(line, is_v6, &ret->client) ? KV_PROXY_HEADER_WHOLE
                                                     : KV_PROXY_HEADER_MALFORMED;
}

static enum kv_proxy_header_status read_version_1(struct kv_slice bytes,
                                                  struct kv_proxy_header *ret)
{
    size_t most = bytes.len < LONGEST_LINE ? bytes.len : LONGEST_LINE;
    const char *end = memchr(bytes.bytes, '\n', most);
    if (end == NULL)
        return bytes.len < LONGEST_LINE ? KV_PROXY_HEADER_PARTIAL : KV_PROXY_HEADER_MALFORMED;
    if (end[-1] != '\r')
        return KV_PROXY_HEADER_MALFORMED;
    ret->len = (size_t)(end + 1 - bytes.bytes);
    return read_line((struct kv_slice){bytes.bytes, ret->len - 2}, ret);
}

/* ---- version 2 ---- */

/* The length of both addresses and ports. Returns: SIZE_MAX if TCP does not have this family. */
static size_t endpoints_len(unsigned char family)
{
    switch (family) {
    case UNSPECIFIED:
        return 0;
    case TCP4:
        return 12;
    case TCP6:
        return 36;
    case UNIX:
        return 216;
    default:
        return SIZE_MAX;
    }
}

static enum kv_proxy_header_status read_version_2(struct kv_slice bytes,
                                                  struct kv_proxy_header *ret)
{
    const unsigned char *at = (const unsigned char *)bytes.bytes;
    if (bytes.len < FIXED)
        return KV_PROXY_HEADER_PARTIAL;
    unsigned char command = at[SIGNATURE], family = at[SIGNATURE + 1];
    size_t len = (size_t)at[FIXED - 2] << 8 | at[FIXED - 1];
    bool is_known = command == LOCAL || (command == PROXY && len >= endpoints_len(family));
    if (!is_known || FIXED + len > KV_PROXY_HEADER_MOST_BYTES)
        return KV_PROXY_HEADER_MALFORMED;
    if (bytes.len < FIXED + len)
        return KV_PROXY_HEADER_PARTIAL;
    ret->len = FIXED + len;
    if (command == PROXY && (family == TCP4 || family == TCP6))
        ret->client = kv_address_of(at + FIXED, family == TCP4 ? 4 : 16);
    return KV_PROXY_HEADER_WHOLE;
}

enum kv_proxy_header_status kv_proxy_header_read(struct kv_slice bytes, struct kv_proxy_header *ret)
{
    *ret = (struct kv_proxy_header){0};
    if (bytes.len == 0)
        return KV_PROXY_HEADER_PARTIAL;
    bool is_line = may_be(bytes, word, sizeof(word) - 1);
    if (!is_line && !may_be(bytes, signature, sizeof(signature)))
        return KV_PROXY_HEADER_ABSENT;
    return is_line ? read_version_1(bytes, ret) : read_version_2(bytes, ret);
}
