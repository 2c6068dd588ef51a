#include "conf/url.h"

/* The authority ends at the path, the query or the fragment; a password may contain an `@`. */
struct kv_slice kv_url_login(struct kv_slice url)
{
    const char *scheme = strstr(url.bytes, "://");
    const char *authority = scheme == NULL ? url.bytes : scheme + 3;
    const char *at = memrchr(authority, '@', strcspn(authority, "/?#"));
    if (at == NULL)
        return (struct kv_slice){0};
    return (struct kv_slice){authority, (size_t)(at - authority)};
}
