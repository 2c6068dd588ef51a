/* They need no rights, as they contain nothing of the store. */
#include "http/web_files.h"

#include "http/file_conditions.h"
#include "web/web.h"

#define CONSOLE "/console/"

/* Pages run only the server's own scripts, connect only to the server, and never interpret text as
 * markup. */
#define PAGE_LINES                                                                                 \
    "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "                    \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n"         \
    "cross-origin-opener-policy: same-origin\r\n"                                                  \
    "referrer-policy: no-referrer\r\n"

static bool is_zero(struct kv_slice quality)
{
    for (size_t i = 0; i < quality.len; i++)
        if (quality.bytes[i] != '0' && quality.bytes[i] != '.')
            return false;
    return true;
}

/* Whether an element of `Accept-Encoding` is gzip, with any quality. */
static bool allows_gzip(struct kv_slice element)
{
    const char *end = memchr(element.bytes, ';', element.len);
    size_t len = end == NULL ? element.len : (size_t)(end - element.bytes);
    if (!kv_http_equals(kv_http_trim((struct kv_slice){element.bytes, len}), KV_SLICE("gzip")))
        return false;
    if (end == NULL)
        return true;
    struct kv_slice quality = kv_http_trim((struct kv_slice){end + 1, element.len - len - 1});
    bool has_value = quality.len > 2 && quality.bytes[1] == '=';
    return has_value && !is_zero((struct kv_slice){quality.bytes + 2, quality.len - 2});
}

static bool takes_gzip(const struct kv_request *request)
{
    struct kv_slice list, element;
    for (size_t at = 0; kv_request_next_header(request, KV_HEADER_ACCEPT_ENCODING, &at, &list);)
        while (kv_http_list_next(&list, &element))
            if (element.len != 0 && allows_gzip(element))
                return true;
    return false;
}

static void serve_file(struct kv_exchange *exchange, const struct kv_request *request)
{
    const struct kv_web_file *file = kv_web_find(request->path);
    bool is_zipped = file->zipped.bytes.len != 0 && takes_gzip(request);
    const struct kv_web_form *form = is_zipped ? &file->zipped : &file->plain;
    bool is_page = kv_slice_has_prefix(file->type, KV_SLICE("text/html"));
    struct kv_file_head head = {.type = file->type,
                                .etag = form->etag,
                                .encoding = is_zipped ? KV_SLICE("gzip") : KV_SLICE(""),
                                .is_negotiated = file->zipped.bytes.len != 0,
                                .lines = is_page ? KV_SLICE(PAGE_LINES) : KV_SLICE("")};
    struct kv_answer answer = {.status = kv_file_conditions_judge(request, &head), .file = &head};
    struct kv_held body = {.bytes = form->bytes, .ref = (void *)(uintptr_t)form};
    if (answer.status == 200)
        answer.body = &body;
    kv_exchange_answer_file(exchange, &answer);
}

static void serve_redirection(struct kv_exchange *exchange, const struct kv_request *request)
{
    (void)request;
    kv_exchange_answer(exchange,
                       &(struct kv_answer){.status = 308, .location = KV_SLICE("console/")});
}

static const struct kv_resource web_file = {
    .methods = KV_METHODS_READING, .keeps = true, .is_open = true, .serve = serve_file};

static const struct kv_resource redirection = {
    .methods = KV_METHODS_READING, .keeps = true, .is_open = true, .serve = serve_redirection};

static bool has_console(const struct kv_http_context *here)
{
    enum kv_console console = here->config->console;
    return console == KV_CONSOLE_ON ||
           (console == KV_CONSOLE_AUTO && !kv_net_is_exposed(here->net));
}

bool kv_http_is_console(struct kv_slice path)
{
    return kv_slice_has_prefix(path, KV_SLICE(CONSOLE)) ||
           kv_slice_equals(path, (struct kv_slice){CONSOLE, sizeof(CONSOLE) - 2});
}

const struct kv_resource *kv_http_find_web_file(const struct kv_http_context *here,
                                                struct kv_slice path)
{
    if (kv_http_is_console(path)) {
        if (!has_console(here))
            return NULL;
        if (path.len < sizeof(CONSOLE) - 1)
            return &redirection;
    }
    return kv_web_find(path) == NULL ? NULL : &web_file;
}
