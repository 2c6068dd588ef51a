/*
 * `--mint-token`: a token for trying out the configuration.
 */
#ifndef KV_DAEMON_MINT_TOKEN_H
#define KV_DAEMON_MINT_TOKEN_H

#include "daemon/settings.h"

/* Prints a token signed with the secret of the first entry of `access.jwt` that has one, and a
 * warning if the server would refuse it. claims: a JSON object; claims that the issuer requires are
 * added, and an `exp` in one hour. Returns: 0; KV_MISCONFIGURED, after printing the error. */
int kv_mint_token_run(const struct kv_config *config, const char *claims);

#endif
