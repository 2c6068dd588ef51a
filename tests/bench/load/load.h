/*
 * The load generator: one thread that keeps a number of requests in flight on each of many
 * connections, and counts and times the answers. Requests are made beforehand; an answer is only
 * looked at as far as is needed to find its end, so that what is measured is the server. How fast
 * the generator itself can be shows a run against `sink`, which answers without looking.
 */
#ifndef KV_BENCH_LOAD_H
#define KV_BENCH_LOAD_H

#include "base/buffer.h"

/* ---- protocols ---- */

struct workload {
    size_t n_keys;
    size_t value_bytes;
    size_t ttl_ms;    /* WS-SET: of the first key; 0: none has one */
    size_t spread_ms; /* by how much that of the last one is longer */
};

/* How to speak to a server. */
struct protocol {
    const char *name;
    /* What is sent first on a connection, and what ends the answer to it; NULL: nothing. */
    const char *hello;
    const char *hello_end;
    void (*append_request)(struct kv_buffer *out, const struct workload *workload, uint64_t key);
    /* The length of the answer that the bytes begin with; 0: not all of it is there.
     * *ret_failed: it says that the request failed. */
    size_t (*answer_len)(const char *bytes, size_t len, bool *ret_failed);
};

extern const struct protocol protocols[];
const struct protocol *protocol_find(const char *name);

/* A masked text frame around the payload. */
void ws_append_frame(struct kv_buffer *out, struct kv_slice payload);
/* The length of the frame that the bytes begin with, and where its payload is; 0: not all there. */
size_t ws_frame_len(const char *bytes, size_t len, struct kv_slice *ret_payload);
extern const char ws_hello[];
extern const char ws_hello_deflate[]; /* the same, with an offer of permessage-deflate */

/* ---- connections ---- */

/* A non-blocking socket with what is to be sent, and what came. */
struct conn {
    int fd;
    struct ssl_st *ssl; /* NULL: in clear */
    struct kv_buffer out;
    size_t out_at;
    struct kv_buffer in;
    size_t in_at;
    bool waits_for_room;
    void *owner;
};

/* From now on connections are opened with TLS 1.3. */
void conn_speak_tls(void);

/* Connects, says hello and waits for the answer. Any failure ends the program. */
void conn_open(struct conn *conn, uint16_t port, const char *hello, const char *hello_end);
void conn_close(struct conn *conn);
/* Sends what can be sent now. */
void conn_flush(struct conn *conn);
/* Receives what is there. Returns: false if there was nothing. */
bool conn_fill(struct conn *conn);
struct kv_slice conn_unread(const struct conn *conn);
void conn_use(struct conn *conn, size_t len);

/* Waits for connections that can be read, or written where that was awaited. */
struct poller {
    int fd;
};

void poller_open(struct poller *poller);
void poller_add(struct poller *poller, struct conn *conn);
/* Calls `ready` for each, after flushing and filling it. Returns: how many. */
size_t poller_wait(struct poller *poller, int wait_ms, void (*ready)(struct conn *conn));

/* ---- time ---- */

int64_t time_us(void);
int64_t boot_ms(void);

/* Times in microseconds, in buckets of 1/32 of their size (as HdrHistogram has them). */
struct histogram {
    uint64_t counts[64 * 32];
    uint64_t n;
    uint64_t largest;
};

void histogram_add(struct histogram *histogram, uint64_t us);
/* share: of the times, those up to the result; 0 … 1. */
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
    size_t pace;     /* requests a second, of all connections; 0: the next one follows an answer */
    size_t tls;      /* 1: with TLS */
    size_t deflate;  /* 1: FAN_OUT's subscribers offer permessage-deflate */
    size_t other;    /* TOLD: the port of the subscriber's server */
    size_t prefixes; /* subscriptions that no key of the load matches, held meanwhile */
};

/* Requests and answers for some seconds. */
void load_requests(const struct protocol *protocol, const struct load_options *options);
/* Every key once, as fast as it goes. */
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
/* Keys that expire, and how late their subscriber is told. */
void load_expiry(const struct load_options *options);
/* How late a subscriber at another server is told of changes. */
void load_told(const struct load_options *options);

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
