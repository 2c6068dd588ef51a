/*
 * The end of a server, in the order of these functions. Each wait is limited, logged, and shortened
 * by a second signal (ending.h). Threads: the main one.
 */
#ifndef KV_DAEMON_SHUTDOWN_H
#define KV_DAEMON_SHUTDOWN_H

struct kv_server;

/* Accepts no more connections, answers requests under way, and aborts the rest when the time is
 * over. Terminates the process if a loop does not respond. */
void kv_server_drain(struct kv_server *server);

/* Joins the threads that were started; also of a server that did not start completely. */
void kv_server_stop_threads(struct kv_server *server);

/* Lets sinks deliver, closes the store, and frees all parts. Terminates the process if a sink, or a
 * second signal, does not leave time for that. */
void kv_server_take_apart(struct kv_server *server);

#endif
