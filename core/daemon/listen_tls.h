/*
 * `tls` of a listening address: its configuration, and the contents of its files.
 */
#ifndef KV_DAEMON_LISTEN_TLS_H
#define KV_DAEMON_LISTEN_TLS_H

#include "daemon/settings.h"

/* Reads the configuration of the i-th address. block: given. Faults are noted. */
void kv_listen_tls_read(struct kv_config *config, size_t i, const struct kv_option_value *block);

/* The place in the file that a fault belongs to. path: set to its name in messages. */
const struct kv_conf_node *kv_listen_tls_place(const struct kv_config *config, size_t i,
                                               const struct kv_tls_fault *fault,
                                               char path[static 64]);

/* Reads the files, unless they are known to be faulty. Faults are noted. Owns: the caller, by
 * kv_tls_destroy(). Returns: NULL if there were faults. */
struct kv_tls *kv_listen_tls_open(const struct kv_config *config, size_t i);

/* Checks for a certificate that has expired, or will within two weeks. Returns: whether there is
 * one; *ret_text: a warning about it. */
bool kv_listen_tls_ends_soon(const struct kv_config *config, size_t i, const struct kv_tls *tls,
                             struct kv_error *ret_text);

void kv_listen_tls_fini(struct kv_listen_address *address);

#endif
