/*
 * Signatures according to Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 of
 * `<id>.<timestamp>.<body>`, in base64, after `v1,`.
 */
#ifndef KV_WEBHOOK_SIGNATURE_H
#define KV_WEBHOOK_SIGNATURE_H

#include <kvserver/types.h>

enum {
    KV_WEBHOOK_LONGEST_SECRET = 256,
    KV_WEBHOOK_SIGNATURE_SIZE = 64 /* room for one with its NUL */
};

struct kv_webhook_secret {
    unsigned char bytes[KV_WEBHOOK_LONGEST_SECRET];
    size_t len; /* 0: no signature */
};

/* text: `whsec_` and base64, or any other text, whose bytes are the secret. */
int kv_webhook_secret_read(struct kv_slice text, struct kv_webhook_secret *ret,
                           struct kv_error *reterr);

/* Returns: -1 if the library fails. */
int kv_webhook_sign(const struct kv_webhook_secret *secret, struct kv_slice id, int64_t timestamp,
                    struct kv_slice body, char ret_signature[KV_WEBHOOK_SIGNATURE_SIZE]);

#endif
