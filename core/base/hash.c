/* XXH3 (Yann Collet, https://xxhash.com) with a random secret instead of the public one. */
#include "base/hash.h"

#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static unsigned char secret[XXH3_SECRET_DEFAULT_SIZE];

static void draw(void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0)
            abort(); /* fails only if a signal interrupts a huge request, or the kernel lacks it */
        at += got;
        len -= (size_t)got;
    }
}

void kv_hash_init(void)
{
    static bool is_drawn;
    if (!is_drawn)
        draw(secret, sizeof(secret));
    is_drawn = true;
}

uint64_t kv_hash(struct kv_slice key)
{
    return XXH3_64bits_withSecret(key.bytes, key.len, secret, sizeof(secret));
}
