/*
 * `--mint-token`: a token for trying out the configuration.
 */
#ifndef KV_DAEMON_MINT_TOKEN_H
#define KV_DAEMON_MINT_TOKEN_H

#include "daemon/settings.h"

/* Prints a token that is signed with the secret of the first entry of `access.jwt` that has one,
 * and a warning where the server would refuse it. claims: a JSON object; what its issuer demands is
 * added, and an `exp` in one hour. Returns: 0; KV_MISCONFIGURED, which has been told. */
int kv_mint_token_run(const struct kv_config *config, const char *claims);

#endif
