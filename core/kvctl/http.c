/* The multi interface drives the single transfer, so that a signal ends it immediately. */
#include "kvctl/http.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "kvctl/easy.h"
#include "kvctl/interrupt.h"

enum {
    TURN_MS = 1000,
    MS_PER_S = 1000,
    STATUS_OK = 200
};

struct kv_ctl_http {
    const struct kv_ctl_target *target;
    CURLM *multi;
    CURL *easy;
};

struct transfer {
    CURL *easy;
    const struct kv_ctl_request *request;
    struct kv_ctl_answer *answer;
    struct kv_ctl_silence silence;
    bool is_stopped;
};

struct kv_ctl_http *kv_ctl_http_open(const struct kv_ctl_target *target)
{
    struct kv_ctl_http *http = kv_calloc(1, sizeof(*http));
    *http = (struct kv_ctl_http){
        .target = target, .multi = curl_multi_init(), .easy = curl_easy_init()};
    if (http->multi != NULL && http->easy != NULL)
        return http;
    kv_ctl_http_close(http);
    return NULL;
}

void kv_ctl_http_close(struct kv_ctl_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->easy);
    curl_multi_cleanup(http->multi);
    free(http);
}

const struct kv_ctl_target *kv_ctl_http_target(const struct kv_ctl_http *http)
{
    return http->target;
}

void kv_ctl_answer_fini(struct kv_ctl_answer *answer)
{
    kv_buffer_fini(&answer->body);
}

/* ---- receiving ---- */

static size_t take_body(char *bytes, size_t size, size_t n, void *user)
{
    struct transfer *transfer = user;
    const struct kv_ctl_request *request = transfer->request;
    struct kv_slice part = {bytes, size * n};
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (request->on_body == NULL || status != STATUS_OK) {
        char *to = kv_buffer_try_reserve(&transfer->answer->body, part.len);
        if (to == NULL)
            return 0;
        kv_buffer_append(&transfer->answer->body, part);
        return part.len;
    }
    transfer->is_stopped = !request->on_body(request->context, part);
    return transfer->is_stopped ? 0 : part.len;
}

static bool is_header(struct kv_slice line, struct kv_slice name)
{
    return line.len > name.len && strncasecmp(line.bytes, name.bytes, name.len) == 0;
}

/* line: not NUL-terminated, but its line end ends any number. */
static size_t take_header(char *bytes, size_t size, size_t n, void *user)
{
    static const struct kv_slice etag = {"ETag: \"", 7}, ttl = {"KV-TTL: ", 8};
    struct transfer *transfer = user;
    struct kv_slice line = {bytes, size * n};
    if (is_header(line, etag))
        transfer->answer->revision = strtoull(line.bytes + etag.len, NULL, 10);
    else if (is_header(line, ttl))
        transfer->answer->ttl_ms = strtoll(line.bytes + ttl.len, NULL, 10);
    return line.len;
}

/* ---- sending ---- */

static bool set_body(CURL *easy, const struct kv_ctl_request *request)
{
    if (strcmp(request->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (request->body.bytes != NULL &&
        (curl_easy_setopt(easy, CURLOPT_POST, 1L) != CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.bytes) != CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) !=
             CURLE_OK))
        return false;
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
}

static bool limit_silence(CURL *easy, struct transfer *transfer, int64_t timeout_ms)
{
    int64_t least_ms = transfer->request->least_silence_ms;
    return kv_ctl_easy_limit_silence(easy, &transfer->silence,
                                     least_ms > timeout_ms ? least_ms : timeout_ms);
}

static bool set_up(CURL *easy, struct transfer *transfer, const char *url, char *trouble)
{
    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           set_body(easy, transfer->request) &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, trouble) == CURLE_OK;
}

/* Returns: the result; CURLE_ABORTED_BY_CALLBACK if it was interrupted. */
static CURLcode perform(CURLM *multi)
{
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int n_running = 1, n_messages;
    while (n_running != 0 && !kv_ctl_is_interrupted()) {
        struct curl_waitfd interrupt = {.fd = kv_ctl_interrupt_fd(), .events = CURL_WAIT_POLLIN};
        if (curl_multi_perform(multi, &n_running) != CURLM_OK)
            break;
        if (n_running != 0)
            curl_multi_poll(multi, &interrupt, interrupt.fd < 0 ? 0 : 1, TURN_MS, NULL);
    }
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &n_messages)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            result = message->data.result;
    return result;
}

/* Whether the certificate is rejected because nobody known has signed it: X509_V_ERR_ of OpenSSL,
 * for an issuer that is missing, or that is the certificate itself. */
static bool is_of_unknown_authority(CURL *easy)
{
    long fault = 0;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &fault);
    return fault == 2 || (fault >= 18 && fault <= 21);
}

/* Appends the remedy for a failure of TLS, if there is one. */
static void append_remedy(struct kv_buffer *text, const struct kv_ctl_http *http, CURLcode result,
                          const char *trouble)
{
    const struct kv_ctl_target *target = http->target;
    if (result == CURLE_SSL_CACERT_BADFILE)
        kv_buffer_printf(text, " (--cacert: a file of certificates in PEM)");
    else if (result == CURLE_SSL_CERTPROBLEM)
        kv_buffer_printf(text, " (--cert, --cert-key: a certificate and its key, in PEM)");
    else if (result == CURLE_PEER_FAILED_VERIFICATION && is_of_unknown_authority(http->easy) &&
             target->cacert == NULL)
        kv_buffer_printf(text, " (to trust it, name a file of certificates by --cacert FILE)");
    else if (result == CURLE_PEER_FAILED_VERIFICATION && is_of_unknown_authority(http->easy))
        kv_buffer_printf(text, " (%s does not hold its authority: see --cacert FILE)",
                         target->cacert);
    else if (result == CURLE_SSL_CONNECT_ERROR && strstr(trouble, "wrong version number") != NULL)
        kv_buffer_printf(text, " (the port may speak no TLS: try http%s)",
                         target->url + strlen("https"));
}

static void tell(const struct kv_ctl_http *http, const struct transfer *transfer, CURLcode result,
                 const char *trouble, struct kv_error *reterr)
{
    struct kv_buffer text = {0};
    if (transfer->silence.is_over)
        kv_buffer_printf(&text, "nothing came for %g s",
                         (double)transfer->silence.longest_ms / MS_PER_S);
    else
        kv_buffer_printf(&text, "%s", trouble[0] != '\0' ? trouble : curl_easy_strerror(result));
    append_remedy(&text, http, result, trouble);
    kv_error_set(reterr, "%s: %.*s", http->target->name, (int)text.len, text.bytes);
    kv_buffer_fini(&text);
}

static enum kv_ctl_outcome judge(const struct kv_ctl_http *http, const struct transfer *transfer,
                                 CURLcode result, const char *trouble, struct kv_error *reterr)
{
    long status = 0, n_sent = 0;
    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(http->easy, CURLINFO_REQUEST_SIZE, &n_sent);
    transfer->answer->status = (int)status;
    transfer->answer->is_sent = n_sent != 0;
    if (kv_ctl_is_interrupted())
        return KV_CTL_INTERRUPTED;
    if (transfer->is_stopped)
        return KV_CTL_STOPPED;
    if (result == CURLE_OK)
        return KV_CTL_ANSWERED;
    transfer->answer->is_file_wrong =
        result == CURLE_SSL_CACERT_BADFILE || result == CURLE_SSL_CERTPROBLEM;
    tell(http, transfer, result, trouble, reterr);
    return KV_CTL_UNANSWERED;
}

enum kv_ctl_outcome kv_ctl_http_ask(struct kv_ctl_http *http, const struct kv_ctl_request *request,
                                    struct kv_ctl_answer *ret, struct kv_error *reterr)
{
    char trouble[CURL_ERROR_SIZE] = "";
    struct transfer transfer = {.easy = http->easy, .request = request, .answer = ret};
    struct curl_slist *headers = NULL;
    struct kv_buffer url = {0};
    enum kv_ctl_outcome outcome = KV_CTL_UNANSWERED;
    kv_buffer_append(&url, kv_slice_of(http->target->url));
    kv_buffer_append(&url, request->path);
    kv_buffer_append_char(&url, '\0');
    ret->body.len = 0;
    ret->revision = 0;
    ret->ttl_ms = -1;
    ret->is_sent = false;
    ret->is_file_wrong = false;
    if (!kv_ctl_easy_set_up(http->easy, http->target, request->headers, &headers) ||
        !set_up(http->easy, &transfer, url.bytes, trouble) ||
        !limit_silence(http->easy, &transfer, http->target->timeout_ms) ||
        curl_multi_add_handle(http->multi, http->easy) != CURLM_OK) {
        kv_error_set(reterr, "libcurl cannot be set up for it");
    } else {
        outcome = judge(http, &transfer, perform(http->multi), trouble, reterr);
        curl_multi_remove_handle(http->multi, http->easy);
    }
    curl_easy_reset(http->easy);
    curl_slist_free_all(headers);
    kv_buffer_fini(&url);
    return outcome;
}

/* ---- paths ---- */

static bool is_unreserved(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("-._~", byte) != NULL);
}

void kv_ctl_append_escaped(struct kv_buffer *out, struct kv_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        if (is_unreserved(text.bytes[i])) {
            kv_buffer_append_char(out, text.bytes[i]);
            continue;
        }
        kv_buffer_append_char(out, '%');
        kv_buffer_append_char(out, digits[byte >> 4]);
        kv_buffer_append_char(out, digits[byte & 15]);
    }
}

void kv_ctl_append_key_path(struct kv_buffer *out, struct kv_slice key)
{
    kv_buffer_append(out, KV_SLICE("/storage/"));
    kv_ctl_append_escaped(out, key);
}
