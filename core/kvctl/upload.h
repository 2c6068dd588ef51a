/*
 * Uploads a backup, which the server restores at its next start.
 */
#ifndef KV_KVCTL_UPLOAD_H
#define KV_KVCTL_UPLOAD_H

#include <stdio.h>

#include "kvctl/verb.h"

/* file: the backup, from its beginning. path: its name, for messages. Returns: the exit code;
 * failures have been reported. KV_CTL_DONE also if the upload was interrupted (interrupt.h). */
int kv_ctl_upload(struct kv_ctl_call *call, FILE *file, const char *path);

#endif
