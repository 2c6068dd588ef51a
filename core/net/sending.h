/*
 * Whether a peer keeps sending the rest of a request, and fast enough. For protocols that apply
 * their timeouts themselves (kv_protocol.keeps_time).
 */
#ifndef KV_NET_SENDING_H
#define KV_NET_SENDING_H

#include "net/connection.h"

/* The request that is arriving, also if only a part of its TLS record has arrived. */
struct kv_sending {
    int64_t progress_ms; /* when more of it last arrived */
    uint64_t arrived;    /* at that time */
    struct kv_pace pace;
};

/* No request is arriving, or another one than before. n_arrived: any count of bytes. */
void kv_sending_begin(struct kv_sending *sending, uint64_t n_arrived, int64_t now_ms);

/* Whether nothing more of the request arrives, or too little, or it takes too long. Call it again
 * and again while the request is arriving. n_arrived: the count of bytes by now. */
bool kv_sending_is_late(struct kv_sending *sending, uint64_t n_arrived,
                        const struct kv_patience *patience, int64_t now_ms);

#endif
