/*
 * Uploads a backup, which the server restores when it starts next.
 */
#ifndef KV_KVCTL_UPLOAD_H
#define KV_KVCTL_UPLOAD_H

#include <stdio.h>

#include "kvctl/verb.h"

/* file: the backup, from its beginning. path: its name, for messages. Returns: the exit code, told;
 * of an upload that was interrupted, KV_CTL_DONE, too (interrupt.h). */
int kv_ctl_upload(struct kv_ctl_call *call, FILE *file, const char *path);

#endif
