/*
 * What a service manager is told (sd_notify(3)), where one has started the server: when it is
 * ready, reloads and stops. A few lines of its protocol, so that its library is not needed.
 *
 * Threads: any, once kv_notify_open() has returned.
 */
#ifndef KV_DAEMON_NOTIFY_H
#define KV_DAEMON_NOTIFY_H

#include <kvserver/types.h>

/* Finds out whom to tell: NOTIFY_SOCKET of the environment, which is taken out of it. Before there
 * are threads. */
void kv_notify_open(void);

/* Tells it, as `READY=1\nSTATUS=serving`; or nobody, where there is no service manager. */
void kv_notify(const char *format, ...) KV_PRINTF(1, 2);

/* Begins a reload, which READY=1 ends. */
void kv_notify_reloading(void);

/* How often the service manager wants to hear WATCHDOG=1. Returns: 0 where it does not. */
int64_t kv_notify_watchdog_ms(void);

#endif
