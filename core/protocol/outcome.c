#include "protocol/outcome.h"

int kv_outcome_status(int outcome)
{
    switch (outcome) {
    case KV_CONDITION:
        return 412;
    case KV_FULL:
        return 507;
    case KV_TOO_BIG:
        return 413;
    case KV_REFUSED:
    case KV_FORBIDDEN:
        return 403;
    case KV_UNIDENTIFIED:
    case KV_EXPIRED:
        return 401;
    case KV_BAD_CURSOR:
    case KV_TOO_MANY_TOPICS:
        return 400;
    case KV_INAPPLICABLE:
        return 409;
    case KV_UNKNOWN:
        return 504;
    default:
        return 503;
    }
}

int kv_outcome_status_of(const struct kv_command *command)
{
    return command->refusal_status != 0 ? command->refusal_status
                                        : kv_outcome_status(command->status);
}
