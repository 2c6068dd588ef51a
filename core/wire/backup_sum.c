#include "wire/backup_sum.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct kv_backup_sum {
    EVP_MD_CTX *context;
};

/* These functions fail only for lack of memory. */
static void demand(int is_done)
{
    if (is_done != 1)
        abort();
}

struct kv_backup_sum *kv_backup_sum_create(void)
{
    struct kv_backup_sum *sum = kv_calloc(1, sizeof(*sum));
    sum->context = EVP_MD_CTX_new();
    demand(sum->context != NULL && EVP_DigestInit_ex(sum->context, EVP_sha256(), NULL) == 1);
    return sum;
}

void kv_backup_sum_destroy(struct kv_backup_sum *sum)
{
    if (sum == NULL)
        return;
    EVP_MD_CTX_free(sum->context);
    free(sum);
}

void kv_backup_sum_add(struct kv_backup_sum *sum, struct kv_slice bytes)
{
    demand(EVP_DigestUpdate(sum->context, bytes.bytes, bytes.len));
}

void kv_backup_sum_print(struct kv_backup_sum *sum, char ret[KV_BACKUP_SUM + 1])
{
    unsigned char digest[KV_BACKUP_SUM / 2];
    demand(EVP_DigestFinal_ex(sum->context, digest, NULL));
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}
