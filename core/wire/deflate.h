/*
 * Messages of permessage-deflate (RFC 7692, section 7.2), each compressed independently of the
 * others. So a message compressed once serves any number of connections, and connections need no
 * memory for compression between messages.
 */
#ifndef KV_WIRE_DEFLATE_H
#define KV_WIRE_DEFLATE_H

#include "base/buffer.h"

/* The window with which a message is compressed. */
enum kv_deflate_form {
    KV_DEFLATE_NARROW, /* 4 KiB: quicker to set up, for short messages and small windows */
    KV_DEFLATE_WIDE,   /* 32 KiB */
    KV_DEFLATE_NONE,   /* uncompressed */
};

enum {
    KV_DEFLATE_FORMS = 2,
    KV_DEFLATE_SHORTEST = 512, /* bytes of a message: shorter ones gain little */
    KV_DEFLATER_BYTES = 300 << 10,
    KV_INFLATER_BYTES = 48 << 10
};

/* The form for a message of this many bytes to a peer with a window of this many bits; 0: the peer
 * takes no compressed messages. */
enum kv_deflate_form kv_deflate_form_of(uint8_t window_bits, size_t len);

/* Compresses one message after the other. Takes up to KV_DEFLATER_BYTES once it is used. Belongs to
 * one thread. Owns: the caller, by kv_deflater_destroy(), which accepts NULL. */
struct kv_deflater;

struct kv_deflater *kv_deflater_create(void);
void kv_deflater_destroy(struct kv_deflater *deflater);

/* Compresses n parts as one message into `out`, which is emptied first.
 * Returns: false if that does not make it shorter, or there is no memory. */
bool kv_deflate(struct kv_deflater *deflater, enum kv_deflate_form form,
                const struct kv_slice *parts, size_t n, struct kv_buffer *out);

/* Decompresses one message after the other. Takes about KV_INFLATER_BYTES. Belongs to one thread.
 * Owns: the caller, by kv_inflater_destroy(), which accepts NULL. */
struct kv_inflater;

enum kv_inflated {
    KV_INFLATED_WHOLE,
    KV_INFLATED_MORE,      /* the message is longer than `most` */
    KV_INFLATED_BROKEN,    /* the compressed bytes are invalid */
    KV_INFLATED_NO_MEMORY, /* for the text */
};

/* Returns: NULL if there is no memory. */
struct kv_inflater *kv_inflater_create(void);
void kv_inflater_destroy(struct kv_inflater *inflater);

/* Begins a message. compressed: lent until the message is complete, or another one begins. */
void kv_inflater_begin(struct kv_inflater *inflater, struct kv_slice compressed);

/* Appends the inflated message, until `out` has more than `most` bytes. After KV_INFLATED_MORE,
 * `out` has most + 1 bytes, and the call may be repeated with a higher `most`. */
enum kv_inflated kv_inflate(struct kv_inflater *inflater, size_t most, struct kv_buffer *out);

#endif
