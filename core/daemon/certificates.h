/*
 * The certificates of a running server: opened at its start, and read again on SIGHUP and when
 * their files have changed. A file that cannot be read changes nothing.
 *
 * Threads: the main one, unless stated otherwise.
 */
#ifndef KV_DAEMON_CERTIFICATES_H
#define KV_DAEMON_CERTIFICATES_H

#include <stdbool.h>

#include "base/metrics.h"

struct kv_server;

/* Returns: -1 if there were faults, which are noted. */
int kv_certificates_open(struct kv_server *server);
void kv_certificates_close(struct kv_server *server);

/* Whether there are certificates. */
bool kv_certificates_are_watched(const struct kv_server *server);

/* Reads the certificates again; the result is logged. */
void kv_certificates_reload(const struct kv_server *server);

/* Reads those certificates again whose files have changed. */
void kv_certificates_look(const struct kv_server *server);

/* Writes when they expire. Threads: any. */
void kv_certificates_collect(const struct kv_server *server, struct kv_metrics_text *text);

#endif
