/* Names are checked by their characters, addresses by the system's own parser. */
#include "wire/authority.h"

#include <arpa/inet.h>

#include "base/digits.h"
#include "wire/http_text.h"

/* Returns: the length of the bracketed address at the beginning of the text; 0 if there is none. */
static size_t address_len(struct kv_slice text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    const char *end = memchr(text.bytes, ']', text.len);
    size_t len = end == NULL ? 0 : (size_t)(end - text.bytes) - 1;
    if (len == 0 || len >= sizeof(address))
        return 0;
    memcpy(address, text.bytes + 1, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1 ? len + 2 : 0;
}

static bool is_name_char(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("-._~!$&'()*+,;=", byte) != NULL);
}

static bool is_escape(struct kv_slice text)
{
    return text.len >= 3 && text.bytes[0] == '%' && kv_digits_hex(text.bytes[1]) >= 0 &&
           kv_digits_hex(text.bytes[2]) >= 0;
}

/* Returns: the length of the name at the beginning of the text. */
static size_t name_len(struct kv_slice text)
{
    size_t len = 0;
    while (len < text.len) {
        struct kv_slice rest = {text.bytes + len, text.len - len};
        if (is_name_char(*rest.bytes))
            len++;
        else if (is_escape(rest))
            len += 3;
        else
            break;
    }
    return len;
}

static bool is_port(struct kv_slice digits)
{
    uint32_t port = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(digits.bytes[i] - '0');
        if (port > UINT16_MAX)
            return false;
    }
    return true;
}

bool kv_authority_parse(struct kv_slice text, struct kv_authority *ret)
{
    bool is_address = text.len != 0 && text.bytes[0] == '[';
    size_t len = is_address ? address_len(text) : name_len(text);
    if (is_address && len == 0)
        return false;
    ret->host = (struct kv_slice){text.bytes, len};
    ret->port = (struct kv_slice){NULL, 0};
    if (len == text.len)
        return true;
    ret->port = (struct kv_slice){text.bytes + len + 1, text.len - len - 1};
    return text.bytes[len] == ':' && is_port(ret->port);
}

static bool is_loopback_v4(const char *address)
{
    struct in_addr parsed;
    return inet_pton(AF_INET, address, &parsed) == 1 &&
           ntohl(parsed.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool is_loopback_v6(const char *address)
{
    struct in6_addr parsed;
    if (inet_pton(AF_INET6, address, &parsed) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&parsed) ||
           (IN6_IS_ADDR_V4MAPPED(&parsed) && parsed.s6_addr[12] == IN_LOOPBACKNET);
}

bool kv_authority_is_loopback(struct kv_slice host)
{
    char address[INET6_ADDRSTRLEN];
    bool has_brackets = host.len >= 2 && host.bytes[0] == '[';
    size_t skipped = has_brackets ? 1 : 0;
    size_t len = host.len - 2 * skipped;
    if (kv_http_equals(host, KV_SLICE("localhost")))
        return true;
    if (len >= sizeof(address))
        return false;
    memcpy(address, host.bytes + skipped, len);
    address[len] = '\0';
    return has_brackets ? is_loopback_v6(address) : is_loopback_v4(address);
}
