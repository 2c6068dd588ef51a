/* A condition that cannot be parsed matches no file; a date that cannot be parsed is ignored. */
#include "http/file_conditions.h"

#include "wire/http_date.h"

static struct kv_slice without_weakness(struct kv_slice tag)
{
    return kv_slice_has_prefix(tag, KV_SLICE("W/")) ? (struct kv_slice){tag.bytes + 2, tag.len - 2}
                                                    : tag;
}

/* Whether one of the header's tags is this one, or `*`. The server's tags have no comma. */
static bool names(const struct kv_request *request, enum kv_header_id id, struct kv_slice etag,
                  bool is_weak)
{
    struct kv_slice list, tag;
    for (size_t at = 0; kv_request_next_header(request, id, &at, &list);)
        while (kv_http_list_next(&list, &tag))
            if (kv_slice_equals(tag, KV_SLICE("*")) ||
                kv_slice_equals(is_weak ? without_weakness(tag) : tag, etag))
                return true;
    return false;
}

static bool is_given(const struct kv_request *request, enum kv_header_id id)
{
    return kv_request_count_header(request, id) != 0;
}

/* Whether the file has changed since the time in the header. fallback: the result if the header has
 * none. */
static bool has_changed_since(const struct kv_request *request, enum kv_header_id id,
                              const struct kv_file_head *file, bool fallback)
{
    int64_t since_s;
    if (file->modified_s == 0 || !kv_http_date_read(kv_request_header(request, id), &since_s))
        return fallback;
    return file->modified_s > since_s;
}

int kv_file_conditions_judge(const struct kv_request *request, const struct kv_file_head *file)
{
    bool is_stale = is_given(request, KV_HEADER_IF_MATCH)
                        ? !names(request, KV_HEADER_IF_MATCH, file->etag, false)
                        : has_changed_since(request, KV_HEADER_IF_UNMODIFIED_SINCE, file, false);
    if (is_stale)
        return 412;
    bool is_known = is_given(request, KV_HEADER_IF_NONE_MATCH)
                        ? names(request, KV_HEADER_IF_NONE_MATCH, file->etag, true)
                        : !has_changed_since(request, KV_HEADER_IF_MODIFIED_SINCE, file, true);
    return is_known ? 304 : 200;
}
