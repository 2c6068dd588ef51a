/*
 * Strict: a request with any unusual byte is left to libh2o, and so is a request with a header that
 * is not in the table below. The table lists headers that never affect the response, either of the
 * server or of libh2o as it is set up here, and a few of which only one known value matters. A
 * header that the server reads (enum kv_header_id) must not be in it, which fast.c asserts.
 */
#include "http/fast_request.h"

#include "access/token.h"
#include "base/swar.h"
#include "wire/authority.h"

enum {
    LONGEST_HEAD = 16384,
    MOST_HEADERS = 64,
    LARGEST_BODY = 16384,
    DELETE_BYTE = 0x7f
};

enum meaning {
    UNKNOWN,
    HARMLESS,
    HOST,
    LENGTH,
    CONNECTION,
    AGENT,
    AUTHORIZATION,
    COOKIE,
    SITE,
};

struct known {
    struct kv_slice name; /* in lower case; the beginning of names if it ends in `-` */
    enum meaning meaning;
};

#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define KNOWN(literal, meaning_)                                                                   \
    {                                                                                              \
        .name = TEXT(literal), .meaning = (meaning_)                                               \
    }

static const struct known headers[] = {
    KNOWN("host", HOST),
    KNOWN("authorization", AUTHORIZATION),
    KNOWN("user-agent", AGENT),
    KNOWN("accept", HARMLESS),
    KNOWN("accept-", HARMLESS),
    KNOWN("content-length", LENGTH),
    KNOWN("content-type", HARMLESS), /* PROTOCOL A1: it is ignored */
    KNOWN("connection", CONNECTION),
    KNOWN("sec-fetch-site", SITE), /* before the entries with the same beginning */
    KNOWN("sec-fetch-", HARMLESS),
    KNOWN("sec-ch-", HARMLESS),
    KNOWN("x-", HARMLESS),
    KNOWN("cookie", COOKIE),
    KNOWN("referer", HARMLESS),
    KNOWN("cache-control", HARMLESS),
    KNOWN("pragma", HARMLESS),
    KNOWN("priority", HARMLESS),
    KNOWN("dnt", HARMLESS),
    KNOWN("upgrade-insecure-requests", HARMLESS),
    KNOWN("via", HARMLESS),
    KNOWN("forwarded", HARMLESS),
    KNOWN("from", HARMLESS),
    KNOWN("traceparent", HARMLESS),
    KNOWN("tracestate", HARMLESS),
};

struct reader {
    const char *at;
    const char *end;
};

/* The parts of the head so far. */
struct head {
    size_t n_headers;
    struct kv_plain_head *plain; /* of the connection's memory */
    size_t body_len;
    bool reads_cookies;
};

/* The first byte that is below `limit`, or `stop`, or DEL; the end if there is none. */
static inline const char *find(struct reader r, unsigned char limit, unsigned char stop)
{
    for (; r.end - r.at >= 8; r.at += 8) {
        uint64_t word = kv_swar_load(r.at);
        uint64_t marks = kv_swar_below(word, limit) | kv_swar_equal(word, stop) |
                         kv_swar_equal(word, DELETE_BYTE);
        if (marks != 0)
            return r.at + kv_swar_first(marks);
    }
    while (r.at < r.end && (unsigned char)*r.at >= limit && (unsigned char)*r.at != stop &&
           *r.at != DELETE_BYTE)
        r.at++;
    return r.at;
}

static inline bool ends_path(char byte)
{
    return (unsigned char)byte <= ' ' || byte == '#' || byte == '?' || byte == DELETE_BYTE;
}

/* Two tests per word instead of four: `?` and DEL differ in one bit; and `!` and `"`, which lie
 * between the space and `#`, are rare enough to be checked individually. */
static const char *find_end_of_path(struct reader r)
{
    while (r.end - r.at >= 8) {
        uint64_t word = kv_swar_load(r.at);
        uint64_t marks = kv_swar_below(word, '#' + 1) |
                         kv_swar_equal(word | KV_SWAR_EACH('?' ^ DELETE_BYTE), DELETE_BYTE);
        if (marks == 0) {
            r.at += 8;
            continue;
        }
        r.at += kv_swar_first(marks);
        if (ends_path(*r.at))
            return r.at;
        r.at++;
    }
    while (r.at < r.end && !ends_path(*r.at))
        r.at++;
    return r.at;
}

/* Takes the text, which must come next. Inline, so that comparisons with constants are fast. */
static inline enum kv_fast_verdict take(struct reader *r, struct kv_slice text)
{
    size_t left = (size_t)(r->end - r->at);
    if (left < text.len)
        return memcmp(r->at, text.bytes, left) == 0 ? KV_FAST_PARTIAL : KV_FAST_OTHER;
    if (memcmp(r->at, text.bytes, text.len) != 0)
        return KV_FAST_OTHER;
    r->at += text.len;
    return KV_FAST_PLAIN;
}

/* Takes the method, and the slash at the beginning of the target. */
static enum kv_fast_verdict take_method(struct reader *r, struct kv_request *request)
{
    static const struct {
        struct kv_slice text;
        enum kv_method method;
    } starts[] = {
        {TEXT("GET /"), KV_METHOD_GET},   {TEXT("POST /"), KV_METHOD_POST},
        {TEXT("PUT /"), KV_METHOD_PUT},   {TEXT("DELETE /"), KV_METHOD_DELETE},
        {TEXT("HEAD /"), KV_METHOD_HEAD},
    };
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        enum kv_fast_verdict verdict = take(r, starts[i].text);
        request->method = starts[i].method;
        if (verdict != KV_FAST_OTHER)
            return verdict;
    }
    return KV_FAST_OTHER;
}

static void take_path(struct reader *r, struct kv_request *request)
{
    const char *path = r->at - 1;
    r->at = find_end_of_path(*r);
    request->path = (struct kv_slice){path, (size_t)(r->at - path)};
}

static void take_query(struct reader *r, struct kv_request *request)
{
    const char *mark = r->at;
    request->query = (struct kv_slice){0};
    if (mark == r->end || *mark != '?')
        return;
    r->at = find(*r, ' ' + 1, '#');
    request->query = (struct kv_slice){mark + 1, (size_t)(r->at - mark) - 1};
}

/* For letters, digits and `-`. The only other bytes that become one of these are control
 * characters, which names and values do not have. */
static char small(char letter)
{
    return (char)(letter | 0x20);
}

static bool is_token(struct kv_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char letter = small(text.bytes[i]);
        bool is_plain = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                        text.bytes[i] == '-';
        if (!is_plain)
            return false;
    }
    return true;
}

static bool is_named(struct kv_slice name, const struct known *known)
{
    bool is_family = known->name.bytes[known->name.len - 1] == '-';
    if (is_family ? name.len <= known->name.len : name.len != known->name.len)
        return false;
    for (size_t i = 0; i < known->name.len; i++)
        if (small(name.bytes[i]) != known->name.bytes[i])
            return false;
    return is_token((struct kv_slice){name.bytes + known->name.len, name.len - known->name.len});
}

static enum meaning meaning_of(struct kv_slice name)
{
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        if (is_named(name, &headers[i]))
            return headers[i].meaning;
    return UNKNOWN;
}

/* Returns: false for anything but a few digits. */
static bool read_length(struct head *head)
{
    struct kv_slice value = head->plain->length;
    head->body_len = 0;
    if (value.len == 0 || value.len > 5)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return false;
        head->body_len = head->body_len * 10 + (size_t)(value.bytes[i] - '0');
    }
    return head->body_len <= LARGEST_BODY;
}

static bool is_keep_alive(struct kv_slice value)
{
    static const struct known keep_alive = KNOWN("keep-alive", HARMLESS);
    return is_named(value, &keep_alive);
}

/* libh2o has special treatment for this browser. */
static bool is_old_explorer(struct kv_slice agent)
{
    return memmem(agent.bytes, agent.len, "; MSIE ", 7) != NULL;
}

/* Requests sent by another site's page need checks, so they are not plain. */
static bool is_own_site(struct kv_slice value)
{
    return kv_slice_equals(value, KV_SLICE("same-origin")) ||
           kv_slice_equals(value, KV_SLICE("none"));
}

/* Whether it is a host with or without a port, or empty. */
static bool is_host(struct kv_slice value)
{
    struct kv_authority authority;
    return kv_authority_parse(value, &authority);
}

/* Anything but one well-formed token is left to the other carrier. */
static bool read_token(struct head *head, struct kv_slice value)
{
    struct kv_slice scheme = KV_SLICE("Bearer ");
    if (head->plain->token.bytes != NULL || !kv_slice_has_prefix(value, scheme))
        return false;
    head->plain->token = (struct kv_slice){value.bytes + scheme.len, value.len - scheme.len};
    return kv_token_is_well_formed(head->plain->token);
}

/* Returns: whether the fast path can serve a request with this value. */
static bool accept_value(struct head *head, enum meaning meaning, struct kv_slice value)
{
    bool is_first;
    switch (meaning) {
    case HARMLESS:
        return true;
    case HOST:
        is_first = head->plain->host.bytes == NULL;
        head->plain->host = value;
        return is_first && is_host(value);
    case LENGTH:
        is_first = head->plain->length.bytes == NULL;
        head->plain->length = value;
        return is_first && read_length(head);
    case CONNECTION:
        return is_keep_alive(value);
    case AGENT:
        return !is_old_explorer(value);
    case AUTHORIZATION:
        return read_token(head, value);
    case COOKIE:
        return !head->reads_cookies;
    case SITE:
        return is_own_site(value);
    default:
        return false;
    }
}

/* libh2o refuses an invalid name as soon as it sees it. */
static enum kv_fast_verdict judge_partial_name(struct kv_slice name)
{
    return is_token(name) ? KV_FAST_PARTIAL : KV_FAST_OTHER;
}

static enum kv_fast_verdict take_name(struct reader *r, enum meaning *ret_meaning)
{
    struct kv_slice name = {r->at, 0};
    r->at = find(*r, ' ' + 1, ':');
    name.len = (size_t)(r->at - name.bytes);
    enum kv_fast_verdict verdict = take(r, KV_SLICE(":"));
    if (verdict == KV_FAST_PARTIAL)
        return judge_partial_name(name);
    if (verdict == KV_FAST_PLAIN)
        *ret_meaning = meaning_of(name);
    return *ret_meaning == UNKNOWN ? KV_FAST_OTHER : verdict;
}

static enum kv_fast_verdict take_value(struct reader *r, struct kv_slice *ret_value)
{
    while (r->at < r->end && *r->at == ' ')
        r->at++;
    ret_value->bytes = r->at;
    r->at = find(*r, ' ', DELETE_BYTE);
    ret_value->len = (size_t)(r->at - ret_value->bytes);
    return take(r, KV_SLICE("\r\n"));
}

static enum kv_fast_verdict take_header(struct reader *r, struct head *head)
{
    enum meaning meaning = UNKNOWN;
    struct kv_slice value;
    enum kv_fast_verdict verdict = take_name(r, &meaning);
    if (verdict == KV_FAST_PLAIN)
        verdict = take_value(r, &value);
    if (verdict != KV_FAST_PLAIN)
        return verdict;
    bool is_accepted = ++head->n_headers <= MOST_HEADERS && accept_value(head, meaning, value);
    return is_accepted ? KV_FAST_PLAIN : KV_FAST_OTHER;
}

static enum kv_fast_verdict take_headers(struct reader *r, struct head *head)
{
    while (r->at < r->end && *r->at != '\r') {
        enum kv_fast_verdict verdict = take_header(r, head);
        if (verdict != KV_FAST_PLAIN)
            return verdict;
    }
    return take(r, KV_SLICE("\r\n"));
}

/* Takes the head from the version on. */
static enum kv_fast_verdict take_unknown_head(struct reader *r, struct head *head,
                                              struct kv_head_memory *memory)
{
    const char *begin = r->at;
    enum kv_fast_verdict verdict = take(r, KV_SLICE(" HTTP/1.1\r\n"));
    if (verdict == KV_FAST_PLAIN)
        verdict = take_headers(r, head);
    if (verdict != KV_FAST_PLAIN)
        return verdict;
    if (head->plain->host.bytes == NULL)
        return KV_FAST_OTHER;
    head->plain->text = (struct kv_slice){begin, (size_t)(r->at - begin)};
    kv_head_memory_learn(memory);
    return KV_FAST_PLAIN;
}

static enum kv_fast_verdict take_head(struct reader *r, struct head *head,
                                      struct kv_head_memory *memory, struct kv_request *request)
{
    enum kv_fast_verdict verdict = take_method(r, request);
    if (verdict != KV_FAST_PLAIN)
        return verdict;
    take_path(r, request);
    take_query(r, request);
    struct kv_slice rest = {r->at, (size_t)(r->end - r->at)};
    if (!kv_head_memory_recall(memory, rest))
        return take_unknown_head(r, head, memory);
    r->at += head->plain->text.len;
    bool is_plain = head->plain->length.bytes == NULL || read_length(head);
    return is_plain ? KV_FAST_PLAIN : KV_FAST_OTHER;
}

static enum kv_fast_verdict take_body(struct reader *r, const struct head *head,
                                      struct kv_request *request)
{
    if ((size_t)(r->end - r->at) < head->body_len)
        return KV_FAST_PARTIAL;
    request->body = (struct kv_slice){r->at, head->body_len};
    r->at += head->body_len;
    return KV_FAST_PLAIN;
}

enum kv_fast_verdict kv_fast_request_read(struct kv_slice input, struct kv_head_memory *memory,
                                          struct kv_request *ret_request, size_t *ret_len)
{
    bool may_be_long = input.len > LONGEST_HEAD;
    struct reader r = {input.bytes, input.bytes + (may_be_long ? LONGEST_HEAD : input.len)};
    struct head head = {.plain = &memory->head, .reads_cookies = memory->known->reads_cookies};
    ret_request->is_http_1_0 = false;
    ret_request->n_headers = 0;
    enum kv_fast_verdict verdict = take_head(&r, &head, memory, ret_request);
    if (verdict == KV_FAST_PARTIAL && may_be_long)
        verdict = KV_FAST_OTHER;
    if (verdict != KV_FAST_PLAIN)
        return verdict;
    r.end = input.bytes + input.len;
    verdict = take_body(&r, &head, ret_request);
    ret_request->host = head.plain->host;
    ret_request->token = head.plain->token;
    ret_request->is_usual_token = head.plain->is_usual_token;
    *ret_len = (size_t)(r.at - input.bytes);
    return verdict;
}

bool kv_fast_request_hides(struct kv_slice header_name)
{
    enum meaning meaning = meaning_of(header_name);
    return meaning == HARMLESS || meaning == COOKIE;
}
