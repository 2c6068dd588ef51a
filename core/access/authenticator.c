#include "access/authenticator.h"

void kv_identity_fini(struct kv_identity *identity)
{
    kv_buffer_fini(&identity->name);
    kv_buffer_fini(&identity->issuer);
    kv_buffer_fini(&identity->id);
    kv_buffer_fini(&identity->claims);
    kv_grants_fini(&identity->grants);
    *identity = (struct kv_identity){0};
}
