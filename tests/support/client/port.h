/*
 * Ports for the servers of tests, of which many run at the same time.
 */
#ifndef KV_TEST_PORT_H
#define KV_TEST_PORT_H

#include <stdint.h>

/* Reserves a port that is free on all addresses, until this process ends or gives it back: no other
 * test of this user gets it meanwhile, whether or not a server listens there.
 * Errors: fails the test if there is none. Threads: one at a time. */
uint16_t kv_test_port_reserve(void);

/* Gives a reserved port back. */
void kv_test_port_give_back(uint16_t port);

#endif
