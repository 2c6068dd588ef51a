/*
 * Notifies the service manager, if one has started the server, when the server is ready, reloads or
 * stops (sd_notify(3)). This implements the few lines of the protocol, so its library is not
 * needed.
 *
 * Threads: any, once kv_notify_open() has returned.
 */
#ifndef KV_DAEMON_NOTIFY_H
#define KV_DAEMON_NOTIFY_H

#include <kvserver/types.h>

/* Reads NOTIFY_SOCKET, and removes it from the environment. Call before threads start. */
void kv_notify_open(void);

/* Sends a text such as `READY=1\nSTATUS=serving`. Without a service manager, does nothing. */
void kv_notify(const char *format, ...) KV_PRINTF(1, 2);

/* Begins a reload, which READY=1 ends. */
void kv_notify_reloading(void);

/* How often the service manager expects WATCHDOG=1. Returns: 0 if it has no watchdog. */
int64_t kv_notify_watchdog_ms(void);

#endif
