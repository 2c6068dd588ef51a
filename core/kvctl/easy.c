#include "kvctl/easy.h"

#include "base/buffer.h"

enum {
    CONNECT_MS = 10000,
    KEEPALIVE_S = 30,
    MS_PER_S = 1000
};

static void add(struct curl_slist **headers, const char *line)
{
    struct curl_slist *more = curl_slist_append(*headers, line);
    if (more != NULL)
        *headers = more;
}

static void add_token(struct curl_slist **headers, const char *token)
{
    struct kv_buffer line = {0};
    kv_buffer_printf(&line, "Authorization: Bearer %s", token);
    kv_buffer_append_char(&line, '\0');
    add(headers, line.bytes);
    explicit_bzero(line.bytes, line.len);
    kv_buffer_fini(&line);
}

static bool set_tls(CURL *easy, const struct kv_ctl_target *target)
{
    return (target->cacert == NULL ||
            curl_easy_setopt(easy, CURLOPT_CAINFO, target->cacert) == CURLE_OK) &&
           (target->cert == NULL ||
            curl_easy_setopt(easy, CURLOPT_SSLCERT, target->cert) == CURLE_OK) &&
           (target->cert_key == NULL ||
            curl_easy_setopt(easy, CURLOPT_SSLKEY, target->cert_key) == CURLE_OK) &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
}

/* SIGPIPE is ignored in the whole program. A path is sent unchanged: `..` is part of a key. */
static bool set_connection(CURL *easy, const struct kv_ctl_target *target)
{
    long silence_s = (long)((target->timeout_ms + MS_PER_S - 1) / MS_PER_S);
    long connect_ms = target->timeout_ms < CONNECT_MS ? (long)target->timeout_ms : CONNECT_MS;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, target->unix_path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "kvctl/" KV_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silence_s) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S) == CURLE_OK;
}

bool kv_ctl_easy_set_up(CURL *easy, const struct kv_ctl_target *target,
                        const char *const *more_headers, struct curl_slist **ret_headers)
{
    struct curl_slist *headers = NULL;
    add(&headers, "Expect:"); /* the body is sent at once */
    if (target->token != NULL)
        add_token(&headers, target->token);
    for (; more_headers != NULL && *more_headers != NULL; more_headers++)
        add(&headers, *more_headers);
    *ret_headers = headers;
    return set_connection(easy, target) && set_tls(easy, target) &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}
