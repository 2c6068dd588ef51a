/* The path is one text that grows and shrinks with the steps. */
#include "conf/path.h"

void kv_path_fini(struct kv_path *path)
{
    kv_buffer_fini(&path->text);
}

size_t kv_path_enter(struct kv_path *path, const char *name)
{
    size_t mark = path->text.len;
    if (mark != 0)
        kv_buffer_append_char(&path->text, '.');
    kv_buffer_append(&path->text, kv_slice_of(name));
    return mark;
}

size_t kv_path_enter_index(struct kv_path *path, size_t i)
{
    size_t mark = path->text.len;
    kv_buffer_printf(&path->text, "[%zu]", i);
    return mark;
}

const char *kv_path_text(struct kv_path *path)
{
    *kv_buffer_reserve(&path->text, 1) = '\0';
    return path->text.bytes;
}
