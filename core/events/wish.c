#include "events/wish.h"

#include <stdlib.h>

#include "base/mem.h"

void kv_wish_add(struct kv_wish *wish, struct kv_slice text, bool is_prefix)
{
    if ((wish->n & (wish->n - 1)) == 0) /* the array doubles */
        wish->wished =
            kv_realloc(wish->wished, (wish->n == 0 ? 1 : 2 * wish->n) * sizeof(struct kv_wished));
    wish->wished[wish->n++] = (struct kv_wished){text, is_prefix};
}

static char *move(struct kv_slice *slice, char *to)
{
    if (slice->len != 0)
        memcpy(to, slice->bytes, slice->len);
    slice->bytes = to;
    return to + slice->len;
}

int kv_wish_keep(struct kv_wish *wish)
{
    size_t len = wish->epoch.len;
    for (size_t i = 0; i < wish->n; i++)
        len += wish->wished[i].text.len;
    char *at = wish->bytes = kv_try_alloc(len + 1);
    if (at == NULL)
        return -1;
    at = move(&wish->epoch, at);
    for (size_t i = 0; i < wish->n; i++)
        at = move(&wish->wished[i].text, at);
    return 0;
}

void kv_wish_fini(struct kv_wish *wish)
{
    free(wish->wished);
    free(wish->bytes);
    *wish = (struct kv_wish){0};
}
