/*
 * A connection to Redis: a socket that never blocks, what is to be sent, and what has come. For one
 * thread.
 */
#ifndef KV_STORE_REDIS_LINK_H
#define KV_STORE_REDIS_LINK_H

#include "buffer.h"
#include "resp.h"

#include <stdatomic.h>

/* Where Redis is. Texts are borrowed. */
struct address {
    struct kv_slice host; /* a name or an address */
    int port;
    struct kv_slice unix_path;   /* in place of both, unless it is empty */
    char text[256];              /* for messages */
    const atomic_bool *gives_up; /* waits end early where it is set */
};

struct link {
    int fd; /* -1: closed */
    struct buffer out;
    struct buffer in;
    struct resp_scanner scanner;
    size_t shown;     /* bytes at the front of `in` that are the message shown last */
    int64_t heard_ms; /* when something came last */
};

/* Milliseconds that only go on. */
int64_t link_clock_ms(void);

void link_init(struct link *link);

/* Connects until `until_ms`. Returns: -1 and *reterr. */
int link_connect(struct link *link, const struct address *address, int64_t until_ms,
                 struct kv_error *reterr);

/* Forgets what was not sent and not read. Does nothing where it is closed. */
void link_close(struct link *link);

/* Sends and reads what can be without waiting. Returns: -1 where the connection is broken. */
int link_flush(struct link *link);
int link_read(struct link *link);

/* Shows the next message that is whole, until the next call. Returns: 1; 0 where there is none; -1
 * where what came is no RESP. */
int link_next(struct link *link, struct kv_slice *ret_message);

/* Sends what is there, and waits for the next message that is no push. Returns: -1 and *reterr. */
int link_wait(struct link *link, const struct address *address, int64_t until_ms,
              struct kv_slice *ret_message, struct kv_error *reterr);

#endif
