#include "access/template.h"

static const struct kv_slice placeholder = {"{sub}", 5};

/* The position of the next placeholder. Returns: NULL if there is none. */
static const char *find(struct kv_slice text)
{
    return text.len == 0 ? NULL : memmem(text.bytes, text.len, placeholder.bytes, placeholder.len);
}

static struct kv_slice from(struct kv_slice text, const char *at)
{
    return (struct kv_slice){at, (size_t)(text.bytes + text.len - at)};
}

int kv_template_check(struct kv_slice template, struct kv_error *reterr)
{
    const char *brace;
    for (struct kv_slice rest = template;
         rest.len != 0 && (brace = memchr(rest.bytes, '{', rest.len)) != NULL;
         rest = from(rest, brace + placeholder.len)) {
        struct kv_slice found = from(rest, brace);
        if (!kv_slice_has_prefix(found, placeholder))
            return kv_error_set(reterr, "{sub} is the only placeholder");
        if (found.len == placeholder.len || found.bytes[placeholder.len] != '/')
            return kv_error_set(reterr,
                                "a / must follow {sub}; otherwise what is granted to user-1 "
                                "is granted to user-10, too");
    }
    return 0;
}

bool kv_template_has_subject(struct kv_slice template)
{
    return find(template) != NULL;
}

bool kv_subject_is_usable(struct kv_slice subject)
{
    return subject.len != 0 && memchr(subject.bytes, '/', subject.len) == NULL;
}

void kv_template_append(struct kv_slice template, struct kv_slice subject, struct kv_buffer *out)
{
    for (const char *at; (at = find(template)) != NULL;
         template = from(template, at + placeholder.len)) {
        kv_buffer_append(out, (struct kv_slice){template.bytes, (size_t)(at - template.bytes)});
        kv_buffer_append(out, subject);
    }
    kv_buffer_append(out, template);
}
