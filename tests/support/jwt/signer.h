/*
 * An issuer of tokens for tests: it makes keys, signs any payload, and publishes its keys as a JWK
 * Set.
 */
#ifndef KV_TESTS_SIGNER_H
#define KV_TESTS_SIGNER_H

#include "base/buffer.h"

/* A key and its algorithm: HS256, RS256, PS256, ES256 or EdDSA. */
struct kv_test_signer;

/* kid: NULL for none. Owns: the caller. */
struct kv_test_signer *kv_test_signer_create(const char *algorithm, const char *kid);

/* A signer for HS256 with that secret. */
struct kv_test_signer *kv_test_signer_with_secret(const char *secret);

/* Accepts NULL. */
void kv_test_signer_destroy(struct kv_test_signer *signer);

/* A token with that payload and the header of the signer. Owns: the caller, a NUL-terminated text.
 */
char *kv_test_sign(const struct kv_test_signer *signer, const char *claims);

/* The same with any header, which the signature covers. */
char *kv_test_sign_with_header(const struct kv_test_signer *signer, const char *header,
                               const char *claims);

/* The raw signature in the format of JWS. Owns: the caller, the bytes. */
struct kv_slice kv_test_signature(const struct kv_test_signer *signer, struct kv_slice text);

/* The public key as a JWK. Owns: the caller, a NUL-terminated text. */
char *kv_test_signer_jwk(const struct kv_test_signer *signer);

/* `{"keys": […]}` of n signers. Owns: the caller. */
char *kv_test_signers_jwks(struct kv_test_signer *const *signers, size_t n);

/* Base64url without padding. Owns: the caller, a NUL-terminated text. */
char *kv_test_base64url(struct kv_slice bytes);

/* `"<a>.<b>.<c>"` of three texts. Owns: the caller. */
char *kv_test_join(const char *a, const char *b, const char *c);

#endif
