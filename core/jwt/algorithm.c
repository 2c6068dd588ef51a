#include "jwt/algorithm.h"

static const char *const names[KV_JWT_N_ALGORITHMS] = {
    [KV_JWT_HS256] = "HS256", [KV_JWT_RS256] = "RS256", [KV_JWT_PS256] = "PS256",
    [KV_JWT_ES256] = "ES256", [KV_JWT_EDDSA] = "EdDSA",
};

bool kv_jwt_algorithm_find(struct kv_slice name, enum kv_jwt_algorithm *ret_algorithm)
{
    for (int i = 0; i < KV_JWT_N_ALGORITHMS; i++)
        if (kv_slice_equals(name, kv_slice_of(names[i]))) {
            *ret_algorithm = (enum kv_jwt_algorithm)i;
            return true;
        }
    return false;
}

const char *kv_jwt_algorithm_name(enum kv_jwt_algorithm algorithm)
{
    return names[algorithm];
}
