/*
 * The files of an application (`pages`), at every path that is not one of the server's own. They
 * need no rights. A short file is read before it is answered, a longer one in parts.
 */
#include "pages/pages.h"

#include "http/file_conditions.h"
#include "http/resource.h"
#include "pages/media_type.h"
#include "wire/byte_range.h"
#include "wire/http_date.h"
#include "wire/key_path.h"

enum {
    LONGEST_PATH = 4096, /* of a file; the kernel's own limit */
    LONGEST_ETAG = 64,
    LONGEST_LINES = 128
};

/* The state of a request until it is answered. */
struct visit {
    struct kv_exchange *exchange;
    struct kv_request request;
    struct kv_page_file *page;
    struct kv_source source;
    struct kv_slice type;
    bool holds_file; /* which stays open while it is sent */
    uint64_t first;  /* byte of the body */
    uint64_t next;   /* byte to be read */
    char etag[LONGEST_ETAG];
    char lines[LONGEST_LINES];
};

static void end_visit(void *memory)
{
    struct visit *visit = memory;
    kv_page_file_close(visit->page);
    if (visit->holds_file)
        kv_net_release_descriptor(visit->exchange->here->net);
}

/* ---- the path ---- */

/* Paths of pages have no empty component, `.`, `..`, or names that begin with a dot. */
static bool is_clean(struct kv_slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        bool begins = i == 0 || path.bytes[i - 1] == '/';
        if (path.bytes[i] == '\0' || (begins && (path.bytes[i] == '.' || path.bytes[i] == '/')))
            return false;
    }
    return path.len < LONGEST_PATH;
}

/* The path of the file: relative, decoded. Returns: false if it cannot be a file's. */
static bool read_path(struct kv_slice raw, struct kv_buffer *out, struct kv_slice *ret_path)
{
    const char *what;
    size_t at;
    struct kv_slice relative = {raw.bytes + 1, raw.len - 1};
    out->len = 0;
    if (kv_key_path_decode(relative, out, &what, &at) != 0 || !is_clean(kv_buffer_slice(out)))
        return false;
    if (out->len == 0 || out->bytes[out->len - 1] == '/')
        kv_buffer_append(out, KV_SLICE("index.html"));
    *ret_path = kv_buffer_slice(out);
    return true;
}

/* ---- refusals ---- */

/* If there is no index, the server describes itself. */
static void refuse_missing(struct kv_exchange *exchange, struct kv_slice path)
{
    if (kv_slice_equals(path, KV_SLICE("/"))) {
        kv_resource_root.serve(exchange, NULL);
        return;
    }
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 404},
                       "there is no such page: keys are under " KV_STORAGE_PATH);
}

/* Redirects to the same path with a slash, so that relative links in its index are resolved within
 * the folder. Only the last component of the path is named: with `//host` in front, the whole path
 * would lead elsewhere. */
static void redirect(struct visit *visit)
{
    struct kv_slice path = visit->request.path, query = visit->request.query;
    struct kv_buffer *out = &visit->exchange->here->decoded;
    const char *slash = memrchr(path.bytes, '/', path.len);
    size_t before = (size_t)(slash - path.bytes) + 1;
    out->len = 0;
    kv_buffer_append(out, KV_SLICE("./"));
    kv_buffer_append(out, (struct kv_slice){slash + 1, path.len - before});
    kv_buffer_append_char(out, '/');
    if (query.bytes != NULL) {
        kv_buffer_append_char(out, '?');
        kv_buffer_append(out, query);
    }
    if (out->len > KV_LONGEST_LOCATION)
        refuse_missing(visit->exchange, path);
    else
        kv_exchange_answer(visit->exchange,
                           &(struct kv_answer){.status = 308, .location = kv_buffer_slice(out)});
}

static void refuse_for_now(struct kv_exchange *exchange)
{
    kv_exchange_refuse(exchange, (struct kv_answer){.status = 503, .retry_after_s = 1},
                       "the file of this page cannot be read now");
}

static void refuse(struct visit *visit)
{
    struct kv_exchange *exchange = visit->exchange;
    switch (visit->page->status) {
    case KV_FILE_LEADS_OUT:
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 403},
                           "this page is a link that leads out of the folder of `pages`");
        return;
    case KV_FILE_DENIED:
        kv_exchange_refuse(exchange, (struct kv_answer){.status = 403},
                           "the server is not allowed to read the file of this page");
        return;
    case KV_FILE_NO_MEANS:
    case KV_FILE_UNREADABLE:
        refuse_for_now(exchange);
        return;
    default:
        refuse_missing(exchange, visit->request.path);
    }
}

/* ---- the body ---- */

static void on_part_read(struct visit *visit)
{
    bool is_there = visit->page->status == KV_FILE_READ;
    visit->source.part = visit->page->part;
    visit->source.give(&visit->source, is_there);
}

static void pull(struct kv_source *source)
{
    struct visit *visit = KV_CONTAINER(source, struct visit, source);
    uint64_t left = visit->first + source->len - visit->next;
    size_t len = left < KV_FILE_PART ? (size_t)left : KV_FILE_PART;
    kv_page_file_read(visit->page, visit->next, len);
    visit->next += len;
}

/* ---- the answer ---- */

/* A changed file has another length or another time. */
static void write_etag(struct visit *visit)
{
    snprintf(visit->etag, sizeof(visit->etag), "\"%llx-%llx\"",
             (unsigned long long)visit->page->modified_ns, (unsigned long long)visit->page->size);
}

/* Whether a range may be sent: `If-Range` may require a certain state of the file. */
static bool is_range_of(const struct visit *visit, const struct kv_file_head *head)
{
    struct kv_slice state = kv_request_header(&visit->request, KV_HEADER_IF_RANGE);
    int64_t time_s;
    if (state.len == 0 || kv_slice_equals(state, head->etag))
        return true;
    return kv_http_date_read(state, &time_s) && time_s == head->modified_s;
}

/* Returns: KV_RANGE_PART if only a part of the file is requested. */
static enum kv_byte_range choose_part(struct visit *visit, const struct kv_file_head *head)
{
    bool is_asked = visit->request.method == KV_METHOD_GET &&
                    kv_request_count_header(&visit->request, KV_HEADER_RANGE) == 1 &&
                    is_range_of(visit, head);
    struct kv_slice range = kv_request_header(&visit->request, KV_HEADER_RANGE);
    uint64_t first, len;
    enum kv_byte_range part =
        is_asked ? kv_byte_range_read(range, visit->page->size, &first, &len) : KV_RANGE_ALL;
    visit->first = part == KV_RANGE_PART ? first : 0;
    visit->source.len = part == KV_RANGE_PART ? len : visit->page->size;
    return part;
}

static void answer_beyond(struct visit *visit, struct kv_file_head *head)
{
    int n = snprintf(visit->lines, sizeof(visit->lines), "content-range: bytes */%llu\r\n",
                     (unsigned long long)visit->page->size);
    head->lines = (struct kv_slice){visit->lines, (size_t)n};
    kv_exchange_refuse(visit->exchange, (struct kv_answer){.status = 416, .file = head},
                       "the range begins behind the end of the file, which has %llu bytes",
                       (unsigned long long)visit->page->size);
}

static void write_lines(struct visit *visit, struct kv_file_head *head, bool is_part)
{
    int n = snprintf(visit->lines, sizeof(visit->lines), "accept-ranges: bytes\r\n");
    if (is_part)
        n += snprintf(visit->lines + n, sizeof(visit->lines) - (size_t)n,
                      "content-range: bytes %llu-%llu/%llu\r\n", (unsigned long long)visit->first,
                      (unsigned long long)(visit->first + visit->source.len - 1),
                      (unsigned long long)visit->page->size);
    head->lines = (struct kv_slice){visit->lines, (size_t)n};
}

/* The whole file, or a part of it. */
static void answer_content(struct visit *visit, struct kv_file_head *head)
{
    enum kv_byte_range range = choose_part(visit, head);
    if (range == KV_RANGE_BEYOND) {
        answer_beyond(visit, head);
        return;
    }
    struct kv_answer answer = {
        .status = range == KV_RANGE_PART ? 206 : 200, .file = head, .source = &visit->source};
    write_lines(visit, head, range == KV_RANGE_PART);
    visit->source.pull = pull;
    visit->source.largest_part = KV_FILE_PART;
    visit->next = visit->first;
    if (visit->page->size <= KV_FILE_PART) {
        visit->source.part =
            (struct kv_slice){visit->page->part.bytes + visit->first, (size_t)visit->source.len};
        visit->next += visit->source.len;
    }
    kv_exchange_answer_file(visit->exchange, &answer);
}

/* Clients that take long files slowly could have all descriptors in use, and the store could open
 * no more of its own. Returns: false where there are too many. */
static bool hold_file(struct visit *visit)
{
    visit->holds_file =
        visit->page->size > KV_FILE_PART && kv_net_hold_descriptor(visit->exchange->here->net);
    return visit->holds_file || visit->page->size <= KV_FILE_PART;
}

static void on_found(struct visit *visit)
{
    if (!hold_file(visit)) {
        refuse_for_now(visit->exchange);
        return;
    }
    write_etag(visit);
    struct kv_file_head head = {.type = visit->type,
                                .etag = kv_slice_of(visit->etag),
                                .modified_s = visit->page->modified_ns / 1000000000};
    struct kv_answer answer = {.status = kv_file_conditions_judge(&visit->request, &head),
                               .file = &head};
    if (answer.status == 200)
        answer_content(visit, &head);
    else
        kv_exchange_answer_file(visit->exchange, &answer);
}

static void on_read(struct kv_page_file *page)
{
    struct visit *visit = page->user;
    if (visit->source.pull != NULL)
        on_part_read(visit);
    else if (page->status == KV_FILE_READ)
        on_found(visit);
    else if (page->status == KV_FILE_FOLDER)
        redirect(visit);
    else
        refuse(visit);
}

static void serve(struct kv_exchange *exchange, const struct kv_request *request)
{
    struct kv_http_context *here = exchange->here;
    struct kv_slice path;
    if (!read_path(request->path, &here->decoded, &path)) {
        refuse_missing(exchange, request->path);
        return;
    }
    struct visit *visit = kv_exchange_keep(exchange, sizeof(*visit), end_visit);
    visit->exchange = exchange;
    visit->request = *request;
    visit->type = kv_media_type_of(path);
    visit->page = kv_page_file_open(here->pages, here->loop, kv_keyspace_tally(here->keyspace_loop),
                                    path, on_read, visit);
}

const struct kv_resource kv_resource_pages = {
    .methods = KV_METHODS_READING, .keeps = true, .is_open = true, .serve = serve};
