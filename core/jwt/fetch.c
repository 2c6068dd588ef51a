#include "jwt/fetch.h"

#include <curl/curl.h>

enum {
    TURN_MS = 100,
    MOST_REDIRECTS = 3,
    STATUS_OK = 200
};

struct transfer {
    const struct kv_jwt_fetch *fetch;
    struct kv_buffer *out;
    size_t len; /* bytes received */
    bool is_too_long;
};

static size_t take(char *bytes, size_t size, size_t n, void *user)
{
    struct transfer *transfer = user;
    struct kv_slice more = {bytes, size * n};
    transfer->len += more.len;
    transfer->is_too_long = transfer->len > transfer->fetch->most;
    if (transfer->is_too_long)
        return 0;
    kv_buffer_append(transfer->out, more);
    return more.len;
}

static bool set_up(CURL *easy, struct transfer *transfer, char trouble[CURL_ERROR_SIZE])
{
    const struct kv_jwt_fetch *fetch = transfer->fetch;
    if (fetch->ca_file != NULL &&
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca_file) != CURLE_OK)
        return false;
    return curl_easy_setopt(easy, CURLOPT_URL, fetch->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)MOST_REDIRECTS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "kvserver") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)KV_JWT_FETCH_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)KV_JWT_CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, trouble) == CURLE_OK;
}

/* Returns: the result; CURLE_ABORTED_BY_CALLBACK if the result is no longer needed. */
static CURLcode perform(CURLM *multi, const atomic_bool *is_ending)
{
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int n_running = 1, n_messages;
    while (n_running != 0 && !atomic_load_explicit(is_ending, memory_order_relaxed)) {
        if (curl_multi_perform(multi, &n_running) != CURLM_OK)
            break;
        if (n_running != 0)
            curl_multi_poll(multi, NULL, 0, TURN_MS, NULL);
    }
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &n_messages)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            result = message->data.result;
    return result;
}

static int judge(CURL *easy, const struct transfer *transfer, CURLcode result, const char *trouble,
                 struct kv_error *reterr)
{
    long status = 0;
    if (transfer->is_too_long)
        return kv_error_set(reterr, "the answer is longer than %zu bytes", transfer->fetch->most);
    if (result != CURLE_OK)
        return kv_error_set(reterr, "%s",
                            trouble[0] != '\0' ? trouble : curl_easy_strerror(result));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status == STATUS_OK ? 0 : kv_error_set(reterr, "it was answered with %ld", status);
}

int kv_jwt_fetch(const struct kv_jwt_fetch *fetch, struct kv_buffer *out, struct kv_error *reterr)
{
    char trouble[CURL_ERROR_SIZE] = "";
    struct transfer transfer = {.fetch = fetch, .out = out};
    CURLM *multi = curl_multi_init();
    CURL *easy = curl_easy_init();
    int result = -1;
    if (multi == NULL || easy == NULL || !set_up(easy, &transfer, trouble) ||
        curl_multi_add_handle(multi, easy) != CURLM_OK)
        kv_error_set(reterr, "libcurl cannot be set up for it");
    else
        result = judge(easy, &transfer, perform(multi, fetch->is_ending), trouble, reterr);
    if (easy != NULL && multi != NULL)
        curl_multi_remove_handle(multi, easy);
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    return result;
}
