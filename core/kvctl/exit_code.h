/*
 * The exit codes of kvctl.
 */
#ifndef KV_KVCTL_EXIT_CODE_H
#define KV_KVCTL_EXIT_CODE_H

enum kv_ctl_exit {
    KV_CTL_DONE = 0,
    KV_CTL_MISSING = 1,   /* the key has no value */
    KV_CTL_USAGE = 2,     /* the command line, or a local file, is wrong */
    KV_CTL_REFUSED = 3,   /* the server refused: a condition, a right, a limit, a bad request */
    KV_CTL_NO_SERVER = 4, /* the server cannot be reached, or cannot serve */
};

#endif
