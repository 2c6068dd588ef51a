#include "kvctl/easy.h"

#include "base/buffer.h"
#include "base/clock.h"

enum {
    CONNECT_MS = 10000,
    KEEPALIVE_S = 30
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
    long connect_ms = target->timeout_ms < CONNECT_MS ? (long)target->timeout_ms : CONNECT_MS;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, target->unix_path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "kvctl/" KV_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
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

/* ---- silence ---- */

static int begin_request(void *user, char *remote, char *local, int remote_port, int local_port)
{
    struct kv_ctl_silence *silence = user;
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    silence->since_ms = kv_clock_now_ms(&kv_clock_boot);
    silence->is_over = false;
    return CURL_PREREQFUNC_OK;
}

/* libcurl calls it each time that it is driven. */
static int watch_progress(void *user, curl_off_t download_total, curl_off_t n_downloaded,
                          curl_off_t upload_total, curl_off_t n_uploaded)
{
    struct kv_ctl_silence *silence = user;
    int64_t now_ms = kv_clock_now_ms(&kv_clock_boot);
    long n_header_bytes = 0;
    (void)download_total, (void)upload_total;
    curl_easy_getinfo(silence->easy, CURLINFO_HEADER_SIZE, &n_header_bytes);
    int64_t n_bytes = n_header_bytes + n_downloaded + n_uploaded;
    if (n_bytes != silence->n_bytes) {
        silence->n_bytes = n_bytes;
        silence->since_ms = now_ms;
    }
    silence->is_over = silence->since_ms != 0 && now_ms - silence->since_ms >= silence->longest_ms;
    return silence->is_over;
}

/* CURLOPT_LOW_SPEED_LIMIT is no substitute: it limits the average speed, and an event stream with
 * nothing but heartbeats has less than one byte per second. */
bool kv_ctl_easy_limit_silence(CURL *easy, struct kv_ctl_silence *silence, int64_t longest_ms)
{
    *silence = (struct kv_ctl_silence){.easy = easy, .longest_ms = longest_ms};
    return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, begin_request) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, silence) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch_progress) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_XFERINFODATA, silence) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}
