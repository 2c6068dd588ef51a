#include "web/web.h"

const struct kv_web_file *kv_web_find(struct kv_slice path)
{
    for (size_t i = 0; i < kv_web_n_files; i++)
        if (kv_slice_equals(path, kv_web_files[i].path))
            return &kv_web_files[i];
    return NULL;
}
