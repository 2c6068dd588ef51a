#include "daemon/addresses.h"

#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "wire/host_pattern.h"

enum {
    MOST_HOST = 253 /* bytes of a name in the DNS */
};

/* ---- hosts ---- */

static bool is_numeric(const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}

static bool is_host_name(const char *host)
{
    size_t len = strlen(host);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)host[i]) && strchr("-._", host[i]) == NULL)
            return false;
    return len > 0 && len <= MOST_HOST && isalnum((unsigned char)host[0]);
}

/* Whether the text is `host:port` or `[host]:port`. */
static bool has_port(const char *host)
{
    const char *colon = strrchr(host, ':');
    return colon != NULL && colon != host && colon[1] != '\0' &&
           strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
           (colon[-1] == ']' || strchr(host, ':') == colon);
}

/* Returns: the fault, NULL if there is none. */
static const char *host_problem(const char *host)
{
    if (*host == '\0')
        return "a name or an address is expected";
    if (strcmp(host, "*") == 0)
        return "\"*\" is no address: every one is 0.0.0.0, or :: with IPv6";
    if (strstr(host, "://") != NULL || strchr(host, '/') != NULL)
        return "a name or an address is expected, without http:// and path";
    if (is_numeric(host))
        return NULL;
    if (has_port(host))
        return "the port is not part of it: write it as `port: …`";
    if (strspn(host, "0123456789.") == strlen(host))
        return "this is no IPv4 address";
    if (strchr(host, ':') != NULL)
        return "this is no IPv6 address";
    return is_host_name(host) ? NULL : "this is neither a host's name nor an address";
}

char *kv_host_read(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                   struct kv_slice text)
{
    bool has_brackets = text.len > 2 && text.bytes[0] == '[' && text.bytes[text.len - 1] == ']' &&
                        memchr(text.bytes, ':', text.len) != NULL;
    char *host = kv_strdup(text.bytes + has_brackets);
    if (has_brackets)
        host[text.len - 2] = '\0';
    const char *problem = host_problem(host);
    if (problem == NULL)
        return host;
    if (*host == '\0')
        kv_conf_fault(conf, at, "%s: %s", path, problem);
    else
        kv_conf_fault(conf, at, "%s: \"%s\": %s", path, text.bytes, problem);
    free(host);
    return NULL;
}

void kv_served_host_check(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                          struct kv_slice text)
{
    if (kv_host_pattern_is_valid(text))
        return;
    const char *hint = has_port(text.bytes) ? "write it without the port, as every port is served"
                                            : "it is like example.org, *.example.org, or * for all";
    kv_conf_fault(conf, at, "%s: \"%s\" is not a host: %s", path, text.bytes, hint);
}

/* ---- origins ---- */

/* The default port, which browsers omit. Returns: its length with the colon, 0 if it is not
 * there. */
static size_t default_port(struct kv_slice origin, size_t scheme_len)
{
    const char *port = NULL;
    if (scheme_len == strlen("http") && strncasecmp(origin.bytes, "http", scheme_len) == 0)
        port = ":80";
    if (scheme_len == strlen("https") && strncasecmp(origin.bytes, "https", scheme_len) == 0)
        port = ":443";
    size_t len = port == NULL ? 0 : strlen(port);
    bool is_there =
        len != 0 && origin.len > len && memcmp(origin.bytes + origin.len - len, port, len) == 0;
    return is_there ? len : 0;
}

static int fault_origin(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                        struct kv_slice text, const char *hint)
{
    return kv_conf_fault(conf, at, "%s: \"%s\" is not an origin: %s", path, text.bytes, hint);
}

/* The origin that a browser sends for this text ends before `end`. */
static int fault_longer(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                        struct kv_slice text, size_t end, const char *why)
{
    return kv_conf_fault(conf, at, "%s: \"%s\" is not an origin: write %.*s, %s", path, text.bytes,
                         (int)end, text.bytes, why);
}

static int fault_no_scheme(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                           struct kv_slice text)
{
    size_t end = strcspn(text.bytes, "/?#");
    if (end == 0 || strspn(text.bytes, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789.-:[]") < end)
        return fault_origin(conf, at, path, text,
                            "it is like https://example.org or http://example.org:8080");
    return kv_conf_fault(conf, at,
                         "%s: \"%s\" is not an origin: write https://%.*s, with the scheme", path,
                         text.bytes, (int)end, text.bytes);
}

void kv_origin_check(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                     struct kv_slice text)
{
    const char *colon = strstr(text.bytes, "://");
    bool has_star = memchr(text.bytes, '*', text.len) != NULL;
    if (kv_slice_equals(text, KV_SLICE("*")))
        return;
    if (kv_slice_equals(text, KV_SLICE("null"))) {
        fault_origin(conf, at, path, text,
                     "anybody's page can have it; if every page may write, list * instead");
        return;
    }
    if (has_star && !kv_origin_pattern_is_valid(text)) {
        fault_origin(
            conf, at, path, text,
            "* alone is every one, and https://*.example.org is every host below a domain");
        return;
    }
    if (colon == NULL || colon == text.bytes) {
        fault_no_scheme(conf, at, path, text);
        return;
    }
    size_t host_at = (size_t)(colon - text.bytes) + 3;
    size_t end = host_at + strcspn(text.bytes + host_at, "/?# ");
    size_t port_len = default_port((struct kv_slice){text.bytes, end}, host_at - 3);
    if (end == host_at)
        fault_origin(conf, at, path, text, "the host is missing");
    else if (end + 1 == text.len && text.bytes[end] == '/')
        fault_longer(conf, at, path, text, end - port_len, "without the slash");
    else if (end != text.len)
        fault_longer(conf, at, path, text, end - port_len, "without what follows the host");
    else if (port_len != 0)
        fault_longer(conf, at, path, text, end - port_len,
                     "without the port, which browsers leave out");
    else if (!kv_origin_pattern_is_valid(text))
        fault_origin(conf, at, path, text,
                     "it is like https://example.org or http://example.org:8080, with a port up to "
                     "65535");
}
