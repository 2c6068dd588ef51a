/*
 * The server that kvctl connects to, with the credentials for it.
 */
#ifndef KV_KVCTL_TARGET_H
#define KV_KVCTL_TARGET_H

#include "kvctl/verb.h"

/* Owns all texts. */
struct kv_ctl_target {
    char *name;      /* for messages: the URL as given */
    char *url;       /* http:// or https://, without a trailing slash */
    char *unix_path; /* the path of the socket; NULL: none */
    bool is_local;   /* its address is on this machine: a socket, localhost, 127.0.0.0/8, ::1 */
    char *token;     /* NULL: none */
    char *cacert;    /* file names; NULL: none */
    char *cert, *cert_key;
    bool is_of_context;
    int64_t timeout_ms;
};

/* Finds the server: from the command line, else the environment (KVSERVER_URL, KVSERVER_TOKEN,
 * KVSERVER_CACERT), else the current context, else http://127.0.0.1:3000. KVSERVER_TOKEN is used
 * with any server except a context's, and a context's token only with that context. Warns of a
 * token that is sent unencrypted, unless called with --quiet. Returns: 0, or -1 and *reterr. Owns:
 * the caller, by kv_ctl_target_fini() in either case. */
int kv_ctl_target_find(const struct kv_ctl_call *call, struct kv_ctl_target *ret,
                       struct kv_error *reterr);

void kv_ctl_target_fini(struct kv_ctl_target *target);

/* Checks a URL, and sets url and unix_path. Returns: 0, or -1 and *reterr. */
int kv_ctl_target_set_url(struct kv_ctl_target *target, const char *url, struct kv_error *reterr);

/* Warns if the server's address is neither encrypted nor on this machine, as others could read a
 * token that is sent there. */
void kv_ctl_target_warn_of_clear_text(const struct kv_ctl_target *target);

/* Checks that a file can be read. name: of the option that names it, for the message. Returns: 0,
 * or -1 and *reterr. */
int kv_ctl_check_file(const char *name, const char *path, struct kv_error *reterr);

/* Checks that a key comes with its certificate. Either may be NULL: not given. Returns: as above.
 */
int kv_ctl_check_key(const char *cert, const char *cert_key, struct kv_error *reterr);

/* Reads a token: the first line of a file (`-`: standard input, not echoed on a terminal).
 * Returns: owned by the caller, by free(); NULL and *reterr. */
char *kv_ctl_token_read(const char *path, struct kv_error *reterr);

#endif
