#include "jwt/mint.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "jwt/json.h"
#include "wire/base64url.h"

static void add_text(json_t *claims, const char *name, struct kv_slice text)
{
    if (text.len != 0 && json_object_get(claims, name) == NULL)
        json_object_set_new(claims, name, json_stringn(text.bytes, text.len));
}

static int sign(struct kv_slice secret, struct kv_buffer *text, size_t from,
                struct kv_error *reterr)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    if (HMAC(EVP_sha256(), secret.bytes, (int)secret.len, (unsigned char *)text->bytes + from,
             text->len - from, mac, &len) == NULL)
        return kv_error_set(reterr, "OpenSSL cannot make the signature");
    kv_buffer_append_char(text, '.');
    kv_base64url_append(text, (struct kv_slice){(char *)mac, len});
    return 0;
}

static int append(struct kv_slice secret, const json_t *claims, struct kv_buffer *out,
                  struct kv_error *reterr)
{
    size_t from = out->len;
    char *text = json_dumps(claims, JSON_COMPACT);
    if (text == NULL)
        return kv_error_set(reterr, "no memory");
    kv_base64url_append(out, KV_SLICE("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    kv_buffer_append_char(out, '.');
    kv_base64url_append(out, kv_slice_of(text));
    free(text);
    return sign(secret, out, from, reterr);
}

int kv_jwt_mint(struct kv_slice secret, const struct kv_jwt_policy *policy, struct kv_slice claims,
                int64_t expires_s, struct kv_buffer *out, struct kv_error *reterr)
{
    json_t *json = kv_jwt_json_read(claims, reterr);
    if (json == NULL)
        return -1;
    add_text(json, "iss", policy->issuer);
    add_text(json, "aud", policy->audience);
    if (json_object_get(json, "exp") == NULL)
        json_object_set_new(json, "exp", json_integer(expires_s));
    int result = append(secret, json, out, reterr);
    json_decref(json);
    return result;
}
