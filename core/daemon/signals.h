/*
 * The signals with which the operator ends and reloads the server. They are blocked in all threads;
 * the main thread waits for them.
 */
#ifndef KV_DAEMON_SIGNALS_H
#define KV_DAEMON_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Call before any thread is created, except while they are held back. */
void kv_signals_block(void);

/* Block the signals for a while in the calling thread, so that threads that are created meanwhile
 * never take them. A signal that comes meanwhile takes effect afterwards. */
sigset_t kv_signals_hold_back(void);
void kv_signals_let_through(sigset_t before);

enum {
    /* Events other than the operator's signals: */
    KV_SIGNAL_WAKE = -1,
    KV_SIGNAL_KEYS = -2, /* the keys of an issuer of tokens have changed */
    KV_SIGNAL_REVOCATIONS = -3,
    KV_SIGNAL_PROGRESS = -4 /* the store is open, or all loops have taken a reload */
};

/* wait_ms: -1 for ever. Returns: the signal, 0 when the time is over, or one of the above. */
int kv_signals_await(int64_t wait_ms);

/* Wakes the waiting thread. Threads: any. */
void kv_signals_wake(void);

/* Has the thread that waits, or will wait, return KV_SIGNAL_KEYS. Threads: any. */
void kv_signals_tell_of_keys(void);

/* The same for KV_SIGNAL_REVOCATIONS. */
void kv_signals_tell_of_revocations(void);

/* The same for KV_SIGNAL_PROGRESS. */
void kv_signals_tell_of_progress(void);

/* Whether the signal ends the server: SIGTERM or SIGINT. */
bool kv_signal_is_end(int signal_number);

/* signal_number: one that ends the server. Returns: a constant, such as `SIGTERM`. */
const char *kv_signal_name(int signal_number);

#endif
