#include "access/grants.h"

const char *const kv_admin_right_names[] = {"metrics", "backup",  "clients", "slowlog",
                                            "restore", "cluster", NULL};

void kv_grants_fini(struct kv_grants *grants)
{
    kv_prefixes_fini(&grants->read);
    kv_prefixes_fini(&grants->write);
    kv_prefixes_fini(&grants->revoke);
    grants->admin = 0;
}

bool kv_grants_are_none(const struct kv_grants *grants)
{
    return grants->read.n == 0 && grants->write.n == 0 && grants->admin == 0;
}
