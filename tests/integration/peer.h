/*
 * Programs that the server connects to, as child processes that die with the test; and the
 * requirements on all sinks, whatever their peer: nothing is lost, the order of each key is kept,
 * and duplicates come only from retries.
 */
#ifndef KV_TEST_PEER_H
#define KV_TEST_PEER_H

#include "fixture.h"

struct kv_test_peer {
    pid_t pid; /* 0: not running */
    uint16_t port;
};

/* Starts a program, with its output in a file of the folder; returns when it listens. Skips the
 * test where there is no such program. */
void kv_test_peer_start(struct kv_test_peer *peer, const char *folder, const char *const argv[]);
void kv_test_peer_signal(const struct kv_test_peer *peer, int signal_number);

/* Ends it by a signal, and waits until it has gone. */
void kv_test_peer_end(struct kv_test_peer *peer, int signal_number);

/* The output at the peer: the events of keys `k0` … with the values 1, 2, 3 … each. */
enum {
    KV_TEST_SEEN_KEYS = 5
};

struct kv_test_seen {
    int last[KV_TEST_SEEN_KEYS]; /* the highest value of each */
    int n_repeated;
};

/* Takes the JSON of an event. A gap fails the test. */
void kv_test_seen_take(struct kv_test_seen *seen, struct kv_slice json);
bool kv_test_seen_all(const struct kv_test_seen *seen, int n);

/* Sets the next `n` values of each of the keys, and waits for the answers. */
void kv_test_write_numbers(uint16_t port, int from, int n);

#endif
