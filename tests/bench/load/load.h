/*
 * The load generator: one thread that keeps a number of requests in flight on each of many
 * connections, and counts and times the answers. Requests are prepared in advance, and an answer is
 * parsed only as far as necessary to find its end, so that the server is measured, and not the
 * generator. A run against `sink`, which answers without parsing, shows the generator's own limit.
 */
#ifndef KV_BENCH_LOAD_H
#define KV_BENCH_LOAD_H

#include "base/buffer.h"

/* ---- protocols ---- */

struct workload {
    size_t n_keys;
    size_t value_bytes;
    size_t ttl_ms;    /* WS-SET: of the first key; 0: no TTLs */
    size_t spread_ms; /* the difference to the TTL of the last key */
};

/* The protocol spoken with a server. */
struct protocol {
    const char *name;
    /* The first data sent on a connection, and the end of the answer to it; NULL: none. */
    const char *hello;
    const char *hello_end;
    void (*append_request)(struct kv_buffer *out, const struct workload *workload, uint64_t key);
    /* The length of the answer at the start of the bytes; 0: incomplete. *ret_failed: whether the
     * request failed. */
    size_t (*answer_len)(const char *bytes, size_t len, bool *ret_failed);
};

extern const struct protocol protocols[];
const struct protocol *protocol_find(const char *name);

/* A masked text frame around the payload. */
void ws_append_frame(struct kv_buffer *out, struct kv_slice payload);
/* The length of the frame at the start of the bytes, and the place of its payload; 0:
 * incomplete. */
size_t ws_frame_len(const char *bytes, size_t len, struct kv_slice *ret_payload);
extern const char ws_hello[];
extern const char ws_hello_deflate[]; /* the same, with an offer of permessage-deflate */

/* ---- connections ---- */

/* A non-blocking socket with its outgoing and incoming data. */
struct conn {
    int fd;
    struct ssl_st *ssl; /* NULL: no TLS */
    struct kv_buffer out;
    size_t out_at;
    struct kv_buffer in;
    size_t in_at;
    bool waits_for_room;
    void *owner;
};

/* Makes later connections use TLS 1.3. */
void conn_speak_tls(void);

/* Connects, says hello and waits for the answer. Any failure ends the program. */
void conn_open(struct conn *conn, uint16_t port, const char *hello, const char *hello_end);
void conn_close(struct conn *conn);
/* Sends as much as possible now. */
void conn_flush(struct conn *conn);
/* Receives the available data. Returns: false if there was none. */
bool conn_fill(struct conn *conn);
struct kv_slice conn_unread(const struct conn *conn);
void conn_use(struct conn *conn, size_t len);

/* Waits for connections that are readable, or writable if that is awaited. */
struct poller {
    int fd;
};

void poller_open(struct poller *poller);
void poller_add(struct poller *poller, struct conn *conn);
/* Calls `ready` for each, after flushing and filling it. Returns: their number. */
size_t poller_wait(struct poller *poller, int wait_ms, void (*ready)(struct conn *conn));
/* Waits until that time (of time_us()), which it meets to some ten microseconds. */
size_t poller_wait_until(struct poller *poller, int64_t until_us, void (*ready)(struct conn *conn));

/* ---- time ---- */

int64_t time_us(void);
int64_t boot_ms(void);

/* Something done n_all times, at so many a second; what is late is done at once. */
struct pace {
    int64_t begin_us;
    size_t rate;
    size_t n, n_all;
};

struct pace pace_begin(size_t rate, size_t n_all);
/* Returns: whether the next one is due; if so, it is counted. */
bool pace_take(struct pace *pace);
bool pace_is_over(const struct pace *pace);
/* When the next one is due; if there is none, a while from now. */
int64_t pace_next_us(const struct pace *pace);

/* Times in microseconds, in buckets of 1/32 of their size (like HdrHistogram). */
struct histogram {
    uint64_t counts[64 * 32];
    uint64_t n;
    uint64_t largest;
};

void histogram_add(struct histogram *histogram, uint64_t us);
/* share: the fraction of times up to the result; 0 … 1. */
uint64_t histogram_at(const struct histogram *histogram, double share);

/* ---- kinds of load; each prints one line of JSON ---- */

struct load_options {
    uint16_t port;
    size_t n_connections;
    size_t depth; /* requests in flight on each connection */
    double seconds;
    struct workload workload;
    size_t background; /* EXPIRY: further keys with a TTL */
    size_t rate;       /* EXPIRY, TOLD: a second */
    size_t pace;       /* requests a second, over all connections; 0: each follows an answer */
    size_t tls;        /* 1: with TLS */
    size_t deflate;    /* 1: FAN_OUT's subscribers offer permessage-deflate */
    size_t other;      /* TOLD: the port of the subscriber's server */
    size_t prefixes;   /* subscriptions held meanwhile that match no key of the load */
    size_t victim;     /* EXPIRY: another server's process, that gets a signal; 0: none */
    size_t signal;
    size_t fault_ms;  /* when it gets it, since the begin of the load */
    size_t resume_ms; /* when it gets SIGCONT; 0: never */
};

/* Requests and answers for some seconds. */
void load_requests(const struct protocol *protocol, const struct load_options *options);
/* Every key once, as fast as possible. */
void load_fill(const struct protocol *protocol, const struct load_options *options);
/* One key with many subscribers; `depth` changes in flight. */
enum fan_out_kind {
    FAN_OUT_KEY,
    FAN_OUT_PREFIX, /* they subscribe to a prefix of the key */
    FAN_OUT_REDIS,
};
void load_fan_out(enum fan_out_kind kind, const struct load_options *options);
/* Subscribes to prefixes; the connections stay open. */
void load_hold_prefixes(uint16_t port, size_t n);
/* Keys that expire, and the delay of their notifications. */
void load_expiry(const struct load_options *options);
/* The delay of notifications of a subscriber at another server. */
void load_told(const struct load_options *options);

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
