/*
 * A line is checked when its end has come; a byte that no line may have is refused as soon as it is
 * seen. If repeating a field would make the head ambiguous, the second one is refused.
 */
#include "wire/request_head.h"

#include <assert.h>

#include "base/digits.h"
#include "base/swar.h"
#include "wire/authority.h"

#define NAMED(literal)                                                                             \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

/* A header line. */
struct field {
    size_t at; /* in the head */
    char *name;
    struct kv_slice value; /* trimmed */
};

static int fail_at(struct kv_request_head *head, const char *what, size_t at)
{
    head->fault = (struct kv_http_fault){400, what, at};
    return -1;
}

static int fail(struct kv_request_head *head, const char *what)
{
    return fail_at(head, what, head->len);
}

/* ---- other protocols ---- */

/* The start of a PROXY header of version 1, or the signature of version 2. One that is trusted was
 * read before. */
static bool is_like_proxy_header(struct kv_slice bytes)
{
    return kv_slice_has_prefix(bytes, KV_SLICE("PROXY ")) ||
           kv_slice_has_prefix(bytes, KV_SLICE("\r\n\r\n\0\r\nQUIT\n"));
}

/* The start of a record with a handshake message. */
static bool is_like_tls(struct kv_slice bytes)
{
    return kv_slice_has_prefix(bytes, KV_SLICE("\x16"));
}

/* If the client began with another protocol, a fault in the syntax of HTTP would mislead.
 * Returns: -1. */
static int tell_other_protocol(struct kv_request_head *head, struct kv_slice bytes)
{
    if (is_like_proxy_header(bytes))
        fail_at(head,
                "this looks like a PROXY header, which is read only ahead of the first byte, and "
                "only from trusted_proxies",
                SIZE_MAX);
    else if (is_like_tls(bytes))
        fail_at(head, "this port speaks no TLS: begin addresses with http:// or ws://", SIZE_MAX);
    else
        return -1;
    head->is_other_protocol = true;
    return -1;
}

/* ---- the request line ---- */

static bool has_prefix(struct kv_slice text, struct kv_slice lower)
{
    return text.len >= lower.len && kv_http_equals((struct kv_slice){text.bytes, lower.len}, lower);
}

/* Returns: the length of the scheme of a target in absolute form, with its slashes; otherwise 0. */
static size_t scheme_len(struct kv_slice target)
{
    static const struct kv_slice schemes[] = {NAMED("http://"), NAMED("https://")};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (has_prefix(target, schemes[i]))
            return schemes[i].len;
    return 0;
}

/* The length of the authority, which ends where a path or a query begins. */
static size_t authority_len(struct kv_slice text)
{
    size_t len = 0;
    while (len < text.len && text.bytes[len] != '/' && text.bytes[len] != '?')
        len++;
    return len;
}

static int read_absolute_target(struct kv_request_head *head, struct kv_slice target, size_t scheme)
{
    struct kv_authority authority;
    struct kv_slice rest = {target.bytes + scheme, target.len - scheme};
    size_t len = authority_len(rest);
    rest.len = len;
    if (!kv_authority_parse(rest, &authority) || authority.host.len == 0)
        return fail_at(head, "the request target has no valid host", head->target.at + scheme);
    head->is_absolute = true;
    head->host = (struct kv_head_part){head->target.at + scheme, len};
    head->path = (struct kv_head_part){head->host.at + len, target.len - scheme - len};
    return 0;
}

static int read_target(struct kv_request_head *head, const char *bytes)
{
    struct kv_slice target = kv_head_slice(bytes, head->target);
    size_t scheme = scheme_len(target);
    const char *fragment = memchr(target.bytes, '#', target.len);
    if (fragment != NULL)
        return fail_at(head, "the request target has a fragment", (size_t)(fragment - bytes));
    head->path = head->target;
    if (scheme != 0)
        return read_absolute_target(head, target, scheme);
    bool is_of_server = kv_slice_equals(target, KV_SLICE("*")) &&
                        kv_slice_equals(kv_head_slice(bytes, head->method), KV_SLICE("OPTIONS"));
    if (!is_of_server && (target.len == 0 || target.bytes[0] != '/'))
        return fail_at(head, "the request target must be a path that begins with a slash",
                       head->target.at);
    return 0;
}

/* Reads ` HTTP/1.x` at the end of the line. Returns: false if it is not there. */
static bool read_version(struct kv_request_head *head, struct kv_slice line)
{
    struct kv_slice before = KV_SLICE(" HTTP/1.");
    if (line.len <= before.len)
        return false;
    const char *at = line.bytes + line.len - before.len - 1;
    char digit = line.bytes[line.len - 1];
    if (memcmp(at, before.bytes, before.len) != 0 || digit < '0' || digit > '9')
        return false;
    head->minor_version = (unsigned)(digit - '0');
    return true;
}

/* `method target version`, with one space between them. */
static int read_request_line(struct kv_request_head *head, const char *bytes, struct kv_slice line)
{
    enum {
        VERSION_LEN = 9 /* with the space before it */
    };
    const char *space = memchr(line.bytes, ' ', line.len);
    size_t method_len = space == NULL ? line.len : (size_t)(space - line.bytes);
    head->method = (struct kv_head_part){head->len, method_len};
    if (!kv_http_is_token((struct kv_slice){line.bytes, method_len}))
        return fail(head, "the method is not a token");
    if (!read_version(head, line))
        return fail(head, "the request line does not end in HTTP/1.1 or HTTP/1.0");
    if (line.len < method_len + 1 + VERSION_LEN)
        return fail(head, "the request line has no target");
    head->target =
        (struct kv_head_part){head->len + method_len + 1, line.len - method_len - 1 - VERSION_LEN};
    struct kv_slice target = kv_head_slice(bytes, head->target);
    for (size_t i = 0; i < target.len; i++)
        if (kv_http_is_blank(target.bytes[i]))
            return fail_at(head, "the request target has a blank", head->target.at + i);
    head->has_request_line = true;
    return read_target(head, bytes);
}

/* ---- header lines ---- */

static int read_host(struct kv_request_head *head, const struct field *field)
{
    struct kv_authority authority;
    if (head->has_host)
        return fail(head, "there is more than one Host");
    if (!kv_authority_parse(field->value, &authority))
        return fail(head, "Host is not a host with or without a port");
    head->has_host = true;
    if (!head->is_absolute)
        head->host = (struct kv_head_part){field->at + (size_t)(field->value.bytes - field->name),
                                           field->value.len};
    return 0;
}

static int demand_no_framing(struct kv_request_head *head)
{
    if (head->framing != KV_FRAMED_BY_NOTHING)
        return fail(head, "the length of the body is given more than once");
    return 0;
}

static int read_length(struct kv_request_head *head, const struct field *field)
{
    uint64_t len = 0;
    if (demand_no_framing(head) != 0)
        return -1;
    for (size_t i = 0; i < field->value.len; i++) {
        char digit = field->value.bytes[i];
        if (digit < '0' || digit > '9')
            return fail(head, "Content-Length is not a number in digits");
        if (len > (uint64_t)INT64_MAX / 10 - 1)
            return fail(head, "Content-Length is not a number that a body may have");
        len = len * 10 + (uint64_t)(digit - '0');
    }
    if (field->value.len == 0)
        return fail(head, "Content-Length is empty");
    head->framing = KV_FRAMED_BY_LENGTH;
    head->body_len = len;
    return 0;
}

static int read_encoding(struct kv_request_head *head, const struct field *field)
{
    if (demand_no_framing(head) != 0)
        return -1;
    if (!kv_http_equals(field->value, KV_SLICE("chunked")))
        return fail(head, "Transfer-Encoding is not chunked alone");
    const char *end = field->value.bytes + field->value.len;
    head->framing = KV_FRAMED_BY_CHUNKS;
    head->encoding = (struct kv_head_part){field->at, (size_t)(end - field->name)};
    return 0;
}

static int read_connection(struct kv_request_head *head, const struct field *field)
{
    head->says_close |= kv_http_list_has(field->value, KV_SLICE("close"));
    head->says_keep_alive |= kv_http_list_has(field->value, KV_SLICE("keep-alive"));
    return 0;
}

/* An expectation that is fulfilled here, or that HTTP/1.0 does not know, gets a meaningless name,
 * so that later readers of the head do not act on it again. */
static int read_expectation(struct kv_request_head *head, const struct field *field)
{
    struct kv_slice meaningless = KV_SLICE("unused");
    bool is_continue = kv_http_equals(field->value, KV_SLICE("100-continue"));
    if (head->minor_version != 0) {
        head->expects_continue |= is_continue;
        head->expects_other |= !is_continue;
    }
    memcpy(field->name, meaningless.bytes, meaningless.len);
    return 0;
}

static const struct {
    struct kv_slice name;
    int (*read)(struct kv_request_head *head, const struct field *field);
} fields[] = {
    {NAMED("host"), read_host},
    {NAMED("content-length"), read_length},
    {NAMED("transfer-encoding"), read_encoding},
    {NAMED("connection"), read_connection},
    {NAMED("expect"), read_expectation},
};

static int read_field(struct kv_request_head *head, struct kv_slice name, const struct field *field)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (kv_http_equals(name, fields[i].name))
            return fields[i].read(head, field);
    return 0;
}

/* Moves the value to the end of its line, so that blanks after it are before it. */
static struct kv_slice move_to_end(char *after_name, size_t len)
{
    struct kv_slice value = kv_http_trim((struct kv_slice){after_name, len});
    char *end = after_name + len;
    size_t n_blanks = (size_t)(end - (value.bytes + value.len));
    if (n_blanks == 0)
        return value;
    memmove(end - value.len, value.bytes, value.len);
    memset(end - value.len - n_blanks, ' ', n_blanks);
    return (struct kv_slice){end - value.len, value.len};
}

static int read_header_line(struct kv_request_head *head, char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (kv_http_is_blank(line[0]))
        return fail(head, "a header line is folded");
    if (colon == NULL)
        return fail(head, "a header line has no colon");
    struct kv_slice name = {line, (size_t)(colon - line)};
    if (!kv_http_is_token(name))
        return fail(head, "the name of a header is not a token");
    if (++head->n_headers > KV_REQUEST_HEAD_MOST_HEADERS)
        return fail(head, "there are more than 100 headers");
    struct field field = {.at = head->len, .name = line};
    field.value = move_to_end(line + name.len + 1, len - name.len - 1);
    return read_field(head, name, &field);
}

/* ---- lines ---- */

static int finish(struct kv_request_head *head)
{
    if (head->minor_version != 0 && !head->has_host)
        return fail(head, "HTTP/1.1 demands a Host header");
    return 1;
}

/* Returns: 1 if the head ends with this line, 0, -1. */
static int read_line(struct kv_request_head *head, char *bytes, size_t len)
{
    char *line = bytes + head->len;
    if (head->has_request_line)
        return len == 0 ? finish(head) : read_header_line(head, line, len);
    if (len != 0)
        return read_request_line(head, bytes, (struct kv_slice){line, len});
    return head->len == 0 ? 0 : fail(head, "there is an empty line in place of a request");
}

/* The first control character from `at` on; `end` if there is none. */
static size_t find_control(const char *bytes, size_t at, size_t end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = kv_swar_load(bytes + at);
        if ((kv_swar_below(word, ' ') | kv_swar_equal(word, '\x7f')) != 0)
            break;
    }
    while (at < end && !kv_http_is_control(bytes[at]))
        at++;
    return at;
}

/* Looks for the end of the current line.
 * Returns: 1, with the end of its text and the start of the next line; 0; -1. */
static int find_end(struct kv_request_head *head, const char *bytes, size_t len, size_t *ret_end,
                    size_t *ret_next)
{
    size_t at = find_control(bytes, head->scanned, len);
    bool has_cr = at < len && bytes[at] == '\r';
    head->scanned = at;
    if (at + (has_cr ? 1 : 0) >= len)
        return 0;
    if (bytes[at + (has_cr ? 1 : 0)] != '\n')
        return fail_at(head, "the head has a control character", at);
    *ret_end = at;
    *ret_next = head->scanned = at + (has_cr ? 2 : 1);
    return 1;
}

static int judge_length(struct kv_request_head *head, size_t len)
{
    if (len >= KV_REQUEST_HEAD_MOST_BYTES)
        return fail(head, "the head is longer than 417792 bytes");
    return 0;
}

int kv_request_head_read(struct kv_request_head *head, char *bytes, size_t len)
{
    size_t end, next;
    size_t most = len < KV_REQUEST_HEAD_MOST_BYTES ? len : KV_REQUEST_HEAD_MOST_BYTES;
    while (head->fault.status == 0) {
        int found = find_end(head, bytes, most, &end, &next);
        if (found == 0)
            return judge_length(head, len);
        int got = found < 0 ? -1 : read_line(head, bytes, end - head->len);
        if (got < 0)
            return head->has_request_line
                       ? -1
                       : tell_other_protocol(head, (struct kv_slice){bytes, len});
        head->len = next;
        if (got == 1)
            return 1;
    }
    return -1;
}

bool kv_request_head_is_persistent(const struct kv_request_head *head)
{
    if (head->says_close)
        return false;
    return head->minor_version != 0 || (head->says_keep_alive && head->encoding.len == 0);
}

void kv_request_head_set_length(struct kv_request_head *head, char *bytes, uint64_t body_len)
{
    struct kv_slice name = KV_SLICE("Content-Length:");
    char digits[KV_DIGITS_MAX];
    size_t n_digits = kv_digits_write(digits, body_len);
    char *line = bytes + head->encoding.at;
    assert(head->encoding.len >= name.len + n_digits);
    memset(line, ' ', head->encoding.len);
    memcpy(line, name.bytes, name.len);
    memcpy(line + head->encoding.len - n_digits, digits, n_digits);
    head->framing = KV_FRAMED_BY_LENGTH;
    head->body_len = body_len;
}
