#include "daemon/mint_token.h"

#include <time.h>

#include "access/template.h"
#include "daemon/issuers.h"
#include "daemon/server.h"
#include "jwt/mint.h"

enum {
    VALID_S = 3600
};

/* Returns: NULL if the server would accept the token; otherwise the rest of a sentence. */
static const char *fault_of(struct kv_slice text, const struct kv_mintable *with)
{
    struct kv_jwt_key_set *keys = NULL;
    struct kv_jwt_token *token;
    enum kv_jwt_verdict verdict = kv_jwt_token_read(text, &token);
    if (verdict != KV_JWT_GOOD)
        return kv_jwt_verdict_text(verdict);
    if (kv_jwt_key_set_from_secret(with->secret, &keys, NULL) == 0)
        verdict = kv_jwt_verify(token, &with->policy, keys, (int64_t)time(NULL));
    bool has_subject = token->subject.bytes != NULL;
    bool is_usable = has_subject ? kv_subject_is_usable(token->subject) : !with->needs_subject;
    kv_jwt_key_set_unref(keys);
    kv_jwt_token_destroy(token);
    if (verdict != KV_JWT_GOOD)
        return kv_jwt_verdict_text(verdict);
    return is_usable ? NULL : "has no `sub` that can be used: it is missing, empty, or has a `/`";
}

static int refuse(const char *why)
{
    fprintf(stderr, "kvserver: --mint-token: %s\n", why);
    return KV_MISCONFIGURED;
}

/* A token that will be refused is printed as well: testing the refusal may be the purpose. */
static void print(const struct kv_buffer *token, const struct kv_mintable *with)
{
    const char *fault = fault_of(kv_buffer_slice(token), with);
    printf("%.*s\n", (int)token->len, token->bytes);
    if (fault != NULL)
        fprintf(stderr, "kvserver: warning: the server will refuse this token: it %s\n", fault);
}

int kv_mint_token_run(const struct kv_config *config, const char *claims)
{
    struct kv_mintable with;
    struct kv_buffer token = {0};
    struct kv_error why, error;
    if (!kv_issuers_find_secret(config, &with))
        return refuse("a token can be made only with a `secret` of `access.jwt`, and the "
                      "configuration has none");
    int result = kv_jwt_mint(with.secret, &with.policy, kv_slice_of(claims),
                             (int64_t)time(NULL) + VALID_S, &token, &why);
    if (result == 0) {
        print(&token, &with);
    } else {
        kv_error_set(&error, "the claims are expected, a JSON object, as '{\"sub\": \"ann\"}': %s",
                     why.text);
        result = refuse(error.text);
    }
    kv_buffer_fini(&token);
    return result;
}
