/*
 * What SIGHUP finds in the configuration file. Scripts and the files of sinks are loaded anew;
 * everything else stays as it is until a restart.
 */
#ifndef KV_DAEMON_RELOAD_H
#define KV_DAEMON_RELOAD_H

#include "daemon/config.h"

/* Reads the file again and logs what has changed in it, or what is wrong with it. */
void kv_reload_tell_changes(const struct kv_config *running);

#endif
