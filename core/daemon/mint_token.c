#include "daemon/mint_token.h"

#include <time.h>

#include "daemon/issuers.h"
#include "jwt/mint.h"

enum {
    VALID_S = 3600
};

int kv_mint_token_run(const struct kv_config *config, const char *claims, struct kv_error *reterr)
{
    struct kv_slice secret;
    struct kv_jwt_policy policy;
    struct kv_buffer token = {0};
    struct kv_error why;
    if (!kv_issuers_find_secret(config, &secret, &policy))
        return kv_error_set(reterr,
                            "a token can be made only with a `secret` of `access.jwt`, and the "
                            "configuration has none");
    int result = kv_jwt_mint(secret, &policy, kv_slice_of(claims), (int64_t)time(NULL) + VALID_S,
                             &token, &why);
    if (result == 0)
        printf("%.*s\n", (int)token.len, token.bytes);
    else
        kv_error_set(reterr, "the claims, a JSON object, are expected behind --mint-token: %s",
                     why.text);
    kv_buffer_fini(&token);
    return result;
}
