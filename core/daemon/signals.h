/*
 * The signals by which the operator ends and reloads the server. They are blocked in all threads;
 * the main one waits for them.
 */
#ifndef KV_DAEMON_SIGNALS_H
#define KV_DAEMON_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Call before any thread is made. */
void kv_signals_block(void);

enum {
    /* No signals of the operator's: */
    KV_SIGNAL_WAKE = -1,
    KV_SIGNAL_KEYS = -2, /* the keys of an issuer of tokens have changed */
    KV_SIGNAL_REVOCATIONS = -3
};

/* wait_ms: -1 for ever. Returns: the signal, 0 when the time is over, or one of the above. */
int kv_signals_await(int64_t wait_ms);

/* Wakes the thread that waits. Threads: any. */
void kv_signals_wake(void);

/* Tells the thread that waits, or will, of KV_SIGNAL_KEYS. Threads: any. */
void kv_signals_tell_of_keys(void);

/* The same of KV_SIGNAL_REVOCATIONS. */
void kv_signals_tell_of_revocations(void);

/* Whether it asks the server to end: SIGTERM or SIGINT. */
bool kv_signal_is_end(int signal_number);

/* signal_number: one that asks the server to end. Returns: a constant, as `SIGTERM`. */
const char *kv_signal_name(int signal_number);

#endif
