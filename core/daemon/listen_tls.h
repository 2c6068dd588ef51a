/*
 * `tls` of an address that the server listens on: what the file says, and what its files are worth.
 */
#ifndef KV_DAEMON_LISTEN_TLS_H
#define KV_DAEMON_LISTEN_TLS_H

#include "daemon/settings.h"

/* Reads the i-th address's. block: given. Faults are noted. */
void kv_listen_tls_read(struct kv_config *config, size_t i, const struct kv_option_value *block);

/* Where the file names what a fault is of. path: filled with what messages call it. */
const struct kv_conf_node *kv_listen_tls_place(const struct kv_config *config, size_t i,
                                               const struct kv_tls_fault *fault,
                                               char path[static 64]);

/* Reads its files, unless they are known to be faulty. Faults are noted. Owns: the caller, by
 * kv_tls_destroy(). Returns: NULL where there was one. */
struct kv_tls *kv_listen_tls_open(const struct kv_config *config, size_t i);

/* A certificate that has ended, or will within two weeks. Returns: whether there is one;
 * *ret_text: what there is to be said of it. */
bool kv_listen_tls_ends_soon(const struct kv_config *config, size_t i, const struct kv_tls *tls,
                             struct kv_error *ret_text);

void kv_listen_tls_fini(struct kv_listen_address *address);

#endif
