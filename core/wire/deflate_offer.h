/*
 * Negotiates permessage-deflate (RFC 7692): reads the client's offers in
 * `Sec-WebSocket-Extensions`, and selects one.
 */
#ifndef KV_WIRE_DEFLATE_OFFER_H
#define KV_WIRE_DEFLATE_OFFER_H

#include <kvserver/types.h>

enum {
    KV_DEFLATE_MOST_BITS = 15,
    KV_DEFLATE_LONGEST_ANSWER = 128
};

/* The agreed parameters of a connection. All zero: no compression. */
struct kv_deflate_terms {
    uint8_t window_bits; /* the base-2 logarithm of the window of the server's messages;
                            0: there is no compression */
    bool names_window;   /* the client asked for it, so the answer has it */
};

/* Reads one line of the header, and takes the first acceptable offer if none has been taken. Skips
 * offers of other extensions, and those that RFC 7692 requires a server to decline. terms: all zero
 * before the first line.
 * Returns: 0, or -1 if the line is no list of extensions (RFC 6455, section 9.1). */
int kv_deflate_offer_read(struct kv_slice line, struct kv_deflate_terms *terms);

/* Writes the value of the answer's header. Returns: the text in `room`; empty without compression.
 */
struct kv_slice kv_deflate_offer_answer(const struct kv_deflate_terms *terms,
                                        char room[KV_DEFLATE_LONGEST_ANSWER]);

#endif
