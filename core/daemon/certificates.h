/*
 * The certificates of a running server: opened at its start, and read again on SIGHUP and when
 * their files have changed. One that cannot be read changes nothing.
 *
 * Threads: the main one.
 */
#ifndef KV_DAEMON_CERTIFICATES_H
#define KV_DAEMON_CERTIFICATES_H

#include <stdbool.h>

struct kv_server;

/* Returns: -1 where there were faults, which are noted. */
int kv_certificates_open(struct kv_server *server);
void kv_certificates_close(struct kv_server *server);

/* Whether there are any. */
bool kv_certificates_are_watched(const struct kv_server *server);

/* Reads them again; what comes of it goes to the log. */
void kv_certificates_reload(const struct kv_server *server);

/* The same for those whose files have changed. */
void kv_certificates_look(const struct kv_server *server);

#endif
