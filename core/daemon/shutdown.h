/*
 * The end of a server, in the order of these functions. Each wait is bounded, told in the log, and
 * cut short by a second signal (ending.h). Threads: the main one.
 */
#ifndef KV_DAEMON_SHUTDOWN_H
#define KV_DAEMON_SHUTDOWN_H

struct kv_server;

/* Accepts nothing more, answers what is under way, and cuts off what does not end in time. Ends the
 * process where a loop cannot be reached. */
void kv_server_drain(struct kv_server *server);

/* Joins the threads that have been started; also of a server that did not start as a whole. */
void kv_server_stop_threads(struct kv_server *server);

/* Lets sinks deliver, closes the store, and frees all parts. Ends the process where a sink, or an
 * operator in a hurry, does not leave it the time. */
void kv_server_take_apart(struct kv_server *server);

#endif
