/*
 * A browser sends a cookie, and the certificate of a connection, whatever page a request comes
 * from, so they count only if the page is known: by an Origin that the configuration lists by name,
 * or by Sec-Fetch-Site, which pages cannot set. A pattern for all origins, or the rule for this
 * machine, is not enough. A certificate also counts without a page, as programs use it. For
 * operators' requests, cookies never count.
 */
#include "http/identify.h"

#include "http/origin.h"
#include "net/tls_channel.h"
#include "wire/base64url.h"
#include "wire/http_text.h"

#define BEARER_PROTOCOL KV_SLICE("kvserver.bearer.")

/* The credentials found in a request. */
struct found {
    bool is_given; /* if there are none, the client is anonymous */
    struct kv_slice token;
    const char *bad;   /* the reason why they contain no token; NULL: they do */
    const char *wrong; /* a fault, if the request is ambiguous, or cannot be parsed; NULL: none */
};

static struct kv_slice skip(struct kv_slice text, size_t n)
{
    return (struct kv_slice){text.bytes + n, text.len - n};
}

/* An empty token identifies nobody. */
static void read_authorization(const struct kv_request *request, struct found *found)
{
    struct kv_slice scheme = KV_SLICE("bearer ");
    size_t n = kv_request_count_header(request, KV_HEADER_AUTHORIZATION);
    if (n == 0) {
        found->token = request->token;
        found->is_given = request->token.len != 0;
        return;
    }
    struct kv_slice value = kv_request_header(request, KV_HEADER_AUTHORIZATION);
    found->is_given = true;
    bool has_scheme = value.len > scheme.len &&
                      kv_http_equals((struct kv_slice){value.bytes, scheme.len}, scheme);
    if (n > 1)
        found->wrong = "there is more than one Authorization";
    else if (has_scheme)
        found->token = kv_http_trim(skip(value, scheme.len));
    else
        found->bad = "the token is expected as `Authorization: Bearer TOKEN`";
}

static void decode_protocol(struct kv_exchange *exchange, struct kv_slice offered,
                            struct found *found)
{
    struct kv_buffer *scratch = &exchange->here->text;
    struct kv_slice coded = skip(offered, BEARER_PROTOCOL.len);
    size_t len = kv_base64url_decoded_len(coded.len);
    if (found->is_given)
        found->wrong = "a token is given twice";
    found->is_given = true;
    if (len > KV_LONGEST_TOKEN)
        return;
    scratch->len = 0;
    kv_buffer_reserve(scratch, len + 1);
    if (kv_base64url_decode(coded, scratch->bytes))
        found->token = (struct kv_slice){scratch->bytes, len};
}

static void read_protocols(struct kv_exchange *exchange, const struct kv_request *request,
                           struct found *found)
{
    struct kv_slice offered, list;
    for (size_t at = 0; kv_request_next_header(request, KV_HEADER_WEBSOCKET_PROTOCOL, &at, &list);)
        while (kv_http_list_next(&list, &offered))
            if (kv_slice_has_prefix(offered, BEARER_PROTOCOL))
                decode_protocol(exchange, offered, found);
}

static bool is_of_site(const struct kv_request *request, struct kv_slice site)
{
    return kv_slice_equals(kv_request_header(request, KV_HEADER_FETCH_SITE), site);
}

static bool comes_from_known_page(const struct kv_exchange *exchange,
                                  const struct kv_request *request)
{
    struct kv_slice origin = kv_request_header(request, KV_HEADER_ORIGIN);
    if (origin.len != 0)
        return kv_request_count_header(request, KV_HEADER_ORIGIN) == 1 &&
               kv_origin_is_named(exchange->here->config, origin);
    return is_of_site(request, KV_SLICE("same-origin"));
}

/* Sent by a program, or by somebody who entered the address. */
static bool comes_from_no_page(const struct kv_request *request)
{
    return kv_request_count_header(request, KV_HEADER_ORIGIN) == 0 &&
           (kv_request_count_header(request, KV_HEADER_FETCH_SITE) == 0 ||
            is_of_site(request, KV_SLICE("none")));
}

/* Takes the next `name=value` off. Returns: false if there is none. */
static bool next_cookie(struct kv_slice *list, struct kv_slice *ret_name,
                        struct kv_slice *ret_value)
{
    if (list->len == 0)
        return false;
    const char *end = memchr(list->bytes, ';', list->len);
    struct kv_slice pair = {list->bytes, end == NULL ? list->len : (size_t)(end - list->bytes)};
    *list = skip(*list, pair.len + (end != NULL));
    pair = kv_http_trim(pair);
    const char *equals = pair.len == 0 ? NULL : memchr(pair.bytes, '=', pair.len);
    size_t len = equals == NULL ? pair.len : (size_t)(equals - pair.bytes);
    *ret_name = (struct kv_slice){pair.bytes, len};
    *ret_value = skip(pair, equals == NULL ? len : len + 1);
    return true;
}

static void read_cookies(const struct kv_exchange *exchange, const struct kv_request *request,
                         struct found *found)
{
    struct kv_slice wanted = exchange->here->access->rules->cookie, list, name, value;
    if (wanted.len == 0 || kv_slice_has_prefix(request->path, KV_SLICE("/admin/")) ||
        !comes_from_known_page(exchange, request))
        return;
    for (size_t at = 0; kv_request_next_header(request, KV_HEADER_COOKIE, &at, &list);)
        while (next_cookie(&list, &name, &value)) {
            if (!kv_slice_equals(name, wanted))
                continue;
            if (found->is_given)
                found->wrong = "the cookie of the token is given twice";
            found->is_given = true;
            found->token = value;
        }
}

static struct found find(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct found found = {.wrong = NULL};
    read_authorization(request, &found);
    if (kv_request_asks_for_websocket(request))
        read_protocols(exchange, request, &found);
    if (!found.is_given)
        read_cookies(exchange, request, &found);
    return found;
}

static void identify(struct kv_exchange *exchange, struct kv_principal *principal)
{
    kv_client_identify(exchange->client, principal);
    kv_principal_unref(principal);
}

void kv_http_refuse_excess(struct kv_exchange *exchange, const struct kv_excess *excess)
{
    kv_exchange_refuse(
        exchange,
        (struct kv_answer){.status = 429,
                           .retry_after_s = (uint32_t)((excess->wait_ms + 999) / 1000)},
        "%s: try again in %lld ms", excess->why, (long long)excess->wait_ms);
}

static bool join(struct kv_exchange *exchange, struct kv_principal *principal)
{
    struct kv_excess excess;
    bool may_join = kv_client_may_join(exchange->client, principal, &excess);
    if (may_join)
        kv_client_identify(exchange->client, principal);
    else
        kv_http_refuse_excess(exchange, &excess);
    kv_principal_unref(principal);
    return may_join;
}

static void log_refusal(const struct kv_exchange *exchange, const char *why)
{
    struct kv_address_text address;
    bool has_address = kv_client_address(exchange->client, &address);
    kv_denials_log_token(exchange->here->access->denials, "http", has_address ? address.text : NULL,
                         why);
}

/* Returns: false. */
static bool refuse_credentials(struct kv_exchange *exchange, const char *why)
{
    kv_client_identify(exchange->client, &kv_principal_nobody);
    log_refusal(exchange, why);
    kv_exchange_refuse(exchange,
                       (struct kv_answer){.status = 401, .challenge = KV_CHALLENGE_BAD_TOKEN}, "%s",
                       why);
    return false;
}

static int64_t now_s(void)
{
    return kv_wall_us() / 1000000;
}

/* bad: as found. */
static bool identify_by_token(struct kv_exchange *exchange, struct kv_slice token, const char *bad)
{
    struct kv_error error = {0};
    struct kv_principal *principal =
        kv_access_authenticate(exchange->here->access, token, now_s(), &error);
    if (principal != NULL)
        return join(exchange, principal);
    if (kv_access_was_unsure(&error)) {
        kv_client_identify(exchange->client, &kv_principal_nobody);
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 503, .retry_after_s = 1}, "%s",
                           KV_UNSURE_TEXT);
        return false;
    }
    return refuse_credentials(exchange, bad != NULL ? bad : error.text);
}

/* Whether the client was identified by this certificate already. */
static bool is_certified(const struct kv_exchange *exchange,
                         const struct kv_peer_certificate *certificate)
{
    const struct kv_principal *principal = exchange->client->principal;
    return kv_slice_equals(principal->certificate, certificate->name) &&
           kv_access_is_current(exchange->here->access, principal) &&
           !kv_principal_has_expired(principal, now_s());
}

/* The certificate, if it counts; otherwise NULL. */
static const struct kv_peer_certificate *certificate_of(const struct kv_exchange *exchange,
                                                        const struct kv_request *request)
{
    bool counts = comes_from_no_page(request) || comes_from_known_page(exchange, request);
    return counts ? request->certificate : NULL;
}

static bool identify_without_token(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_access_loop *access = exchange->here->access;
    const struct kv_peer_certificate *certificate = certificate_of(exchange, request);
    struct kv_error error;
    if (certificate == NULL)
        return join(exchange, kv_access_anonymous(access));
    if (is_certified(exchange, certificate))
        return true;
    struct kv_principal *principal =
        kv_access_certified(access, certificate->name, certificate->ends_s, now_s(), &error);
    return principal != NULL ? join(exchange, principal) : refuse_credentials(exchange, error.text);
}

bool kv_http_identify_anew(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_access_loop *access = exchange->here->access;
    if (!kv_access_is_configured(access)) {
        identify(exchange, kv_access_anonymous(access));
        return true;
    }
    struct found found = find(exchange, request);
    if (found.wrong != NULL) {
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 400}, "%s", found.wrong);
        return false;
    }
    if (found.is_given)
        return identify_by_token(exchange, found.token, found.bad);
    return identify_without_token(exchange, request);
}

void kv_http_refuse_right(struct kv_exchange *exchange, const char *text)
{
    bool is_identified = kv_principal_is_identified(exchange->client->principal);
    struct kv_answer answer = kv_answer_of_failure(is_identified ? KV_FORBIDDEN : KV_UNIDENTIFIED);
    if (is_identified)
        answer.error = text;
    kv_exchange_answer(exchange, &answer);
}
