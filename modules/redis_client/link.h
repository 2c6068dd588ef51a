/*
 * A connection to Redis: a non-blocking socket, perhaps with TLS, the bytes to be sent, and the
 * bytes received. For one thread.
 */
#ifndef KV_REDIS_CLIENT_LINK_H
#define KV_REDIS_CLIENT_LINK_H

#include "buffer.h"
#include "resolver.h"
#include "resp.h"
#include "tls.h"

/* Where Redis is. Texts are borrowed. */
struct address {
    struct kv_slice host; /* a name or an address */
    int port;
    struct kv_slice unix_path; /* in place of both, unless it is empty */
    struct tls_settings tls;
    char text[256]; /* for messages */
    struct resolver *resolver;
    const atomic_bool *gives_up; /* if set, waits end early; NULL: never */
};

struct link {
    int fd;          /* -1: closed */
    struct tls *tls; /* NULL: none */
    struct buffer out;
    struct buffer in;
    struct resp_scanner scanner;
    size_t shown;      /* bytes of the last message shown, at the front of `in` */
    int64_t heard_ms;  /* the last time that data arrived, or that waiting data was accepted */
    bool is_backed_up; /* the last flush left unsent data */
    bool is_cut_off;   /* Redis closed it */
    uint64_t n_read;   /* bytes that have arrived */
    uint64_t n_taken;  /* bytes of messages that were shown and removed */
    uint64_t limit;    /* messages that end beyond this many bytes are held */
};

/* Milliseconds of a monotonic clock. */
int64_t link_clock_ms(void);

void link_init(struct link *link);

/* Connects until `until_ms`. Returns: -1 and *reterr. */
int link_connect(struct link *link, const struct address *address, int64_t until_ms,
                 struct kv_error *reterr);

/* Discards unsent and unread data. Does nothing if it is closed. `is_cut_off` is kept. */
void link_close(struct link *link);

/* Send and read as much as possible without waiting. Return: -1 if the connection is broken. */
int link_flush(struct link *link);
int link_read(struct link *link);

/* Shows the next complete message, which is valid until the next call. Returns: 1; 0 if there is
 * none, or if it is held; -1 if the input is not RESP. */
int link_next(struct link *link, struct kv_slice *ret_message);

/* link_hold() holds messages back: link_next() does not show them until link_let_go() releases
 * those that arrived within the first `mark` bytes (n_read). */
void link_hold(struct link *link);
void link_let_go(struct link *link, uint64_t mark);
/* Whether any bytes that have arrived are held. */
bool link_is_holding(const struct link *link);

/* Whether unexpected bytes have arrived, or Redis has closed the connection. */
bool link_is_stale(const struct link *link);

/* Sends the output, and waits for the next message that is not a push: until `until_ms`, and for
 * the same time again after data arrives, or waiting data is accepted. Returns: -1 and *reterr. */
int link_wait(struct link *link, const struct address *address, int64_t until_ms,
              struct kv_slice *ret_message, struct kv_error *reterr);

#endif
