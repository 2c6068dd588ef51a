/*
 * Uses zlib, with raw streams. A message ends with an empty block whose last four bytes are not
 * sent.
 */
#include "wire/deflate.h"

#include <assert.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"

enum {
    NARROW_BITS = 12,
    WIDE_BITS = 15,
    TAIL_LEN = 4,
    MOST_AT_ONCE = 1 << 30, /* bytes for one call: zlib counts by unsigned int */
    FIRST_ROOM = 4096,
    END_OF_BLOCK = 128, /* in data_type: inflate() has just finished a block, */
    UNUSED_BITS = 31    /* with this many unused bits in the last byte */
};

static const char tail[TAIL_LEN] = {'\0', '\0', '\xff', '\xff'};

/* With JSON, level 1 leaves 23 to 38 % of the bytes, level 6 two points less in twice the time. */
static const struct {
    int level;
    int bits;
    int memory; /* zlib's memLevel: sets the memory to clear before a message, and the length of
                   blocks */
} kinds[KV_DEFLATE_FORMS] = {
    [KV_DEFLATE_NARROW] = {1, NARROW_BITS, 5},
    [KV_DEFLATE_WIDE] = {1, WIDE_BITS, 8},
};

enum kv_deflate_form kv_deflate_form_of(uint8_t window_bits, size_t len)
{
    if (window_bits == 0 || len < KV_DEFLATE_SHORTEST)
        return KV_DEFLATE_NONE;
    if (window_bits == WIDE_BITS && len > (size_t)1 << NARROW_BITS)
        return KV_DEFLATE_WIDE;
    bool is_within = window_bits >= NARROW_BITS || len <= (size_t)1 << window_bits;
    return is_within ? KV_DEFLATE_NARROW : KV_DEFLATE_NONE;
}

/* ---- compressing ---- */

struct kv_deflater {
    z_stream streams[KV_DEFLATE_FORMS];
    bool are_open[KV_DEFLATE_FORMS];
};

struct kv_deflater *kv_deflater_create(void)
{
    return kv_calloc(1, sizeof(struct kv_deflater));
}

void kv_deflater_destroy(struct kv_deflater *deflater)
{
    for (int form = 0; deflater != NULL && form < KV_DEFLATE_FORMS; form++)
        if (deflater->are_open[form])
            deflateEnd(&deflater->streams[form]);
    free(deflater);
}

/* Returns: false if there is no memory. */
static bool begin(struct kv_deflater *deflater, enum kv_deflate_form form)
{
    if (deflater->are_open[form])
        return deflateReset(&deflater->streams[form]) == Z_OK;
    deflater->are_open[form] =
        deflateInit2(&deflater->streams[form], kinds[form].level, Z_DEFLATED, -kinds[form].bits,
                     kinds[form].memory, Z_DEFAULT_STRATEGY) == Z_OK;
    return deflater->are_open[form];
}

/* Gives the stream more room. Returns: false if `out` has `most` bytes already. */
static bool offer_room(z_stream *stream, struct kv_buffer *out, size_t most)
{
    size_t left = most - out->len;
    stream->avail_out = left < MOST_AT_ONCE ? (uInt)left : MOST_AT_ONCE;
    stream->next_out = (Bytef *)out->bytes + out->len;
    return left != 0;
}

/* flush: zlib's flush mode at the end of the bytes. Returns: false if the result has more than
 * `most` bytes. */
static bool compress_bytes(z_stream *stream, struct kv_slice bytes, int flush,
                           struct kv_buffer *out, size_t most)
{
    stream->next_in = (const Bytef *)bytes.bytes;
    do {
        size_t len = bytes.len < MOST_AT_ONCE ? bytes.len : MOST_AT_ONCE;
        bytes.len -= len;
        stream->avail_in = (uInt)len;
        do {
            if (!offer_room(stream, out, most))
                return false;
            deflate(stream, bytes.len == 0 ? flush : Z_NO_FLUSH);
            out->len = (size_t)(stream->next_out - (Bytef *)out->bytes);
        } while (stream->avail_out == 0);
    } while (bytes.len != 0);
    return true;
}

bool kv_deflate(struct kv_deflater *deflater, enum kv_deflate_form form,
                const struct kv_slice *parts, size_t n, struct kv_buffer *out)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    /* Room for a shorter message with its tail, and one byte that stays free if all is written. */
    size_t most = len + TAIL_LEN;
    out->len = 0;
    if (kv_buffer_try_reserve(out, most) == NULL || !begin(deflater, form))
        return false;
    z_stream *stream = &deflater->streams[form];
    for (size_t i = 0; i < n; i++)
        if (parts[i].len != 0 && !compress_bytes(stream, parts[i], Z_NO_FLUSH, out, most))
            return false;
    if (!compress_bytes(stream, KV_SLICE(""), Z_SYNC_FLUSH, out, most))
        return false;
    assert(out->len >= TAIL_LEN && memcmp(out->bytes + out->len - TAIL_LEN, tail, TAIL_LEN) == 0);
    out->len -= TAIL_LEN;
    return true;
}

/* ---- decompressing ---- */

struct kv_inflater {
    z_stream stream;
    struct kv_slice left; /* of the message, not passed to zlib yet */
    bool has_tail;        /* the tail has been passed to zlib */
    bool has_ended;       /* all of the message has been read, and written */
};

struct kv_inflater *kv_inflater_create(void)
{
    struct kv_inflater *inflater = kv_calloc(1, sizeof(*inflater));
    if (inflateInit2(&inflater->stream, -WIDE_BITS) == Z_OK)
        return inflater;
    free(inflater);
    return NULL;
}

void kv_inflater_destroy(struct kv_inflater *inflater)
{
    if (inflater == NULL)
        return;
    inflateEnd(&inflater->stream);
    free(inflater);
}

void kv_inflater_begin(struct kv_inflater *inflater, struct kv_slice compressed)
{
    inflateReset(&inflater->stream);
    inflater->stream.avail_in = 0;
    inflater->left = compressed;
    inflater->has_tail = false;
    inflater->has_ended = false;
}

static void feed(struct kv_inflater *inflater, struct kv_slice bytes)
{
    inflater->stream.next_in = (const Bytef *)bytes.bytes;
    inflater->stream.avail_in = (uInt)bytes.len;
}

static void feed_next(struct kv_inflater *inflater)
{
    struct kv_slice *left = &inflater->left;
    if (inflater->stream.avail_in != 0 || inflater->has_tail)
        return;
    if (left->len == 0) {
        feed(inflater, (struct kv_slice){tail, TAIL_LEN});
        inflater->has_tail = true;
        return;
    }
    size_t len = left->len < MOST_AT_ONCE ? left->len : MOST_AT_ONCE;
    feed(inflater, (struct kv_slice){left->bytes, len});
    *left = (struct kv_slice){left->bytes + len, left->len - len};
}

/* Reserves as much room as has been used so far, but at most up to one byte more than `most`.
 * Returns: false if there is no memory. */
static bool make_room(struct kv_inflater *inflater, size_t most, struct kv_buffer *out)
{
    size_t room = out->len < FIRST_ROOM ? FIRST_ROOM : out->len;
    if (room > most + 1 - out->len)
        room = most + 1 - out->len;
    if (room > MOST_AT_ONCE)
        room = MOST_AT_ONCE;
    inflater->stream.next_out = (Bytef *)kv_buffer_try_reserve(out, room);
    inflater->stream.avail_out = (uInt)room;
    return inflater->stream.next_out != NULL;
}

/* A message may also consist of several complete streams (RFC 7692, section 7.2.3.4): begins the
 * next, unless the message has ended. */
static void begin_next_stream(struct kv_inflater *inflater)
{
    size_t unread_tail = inflater->has_tail ? TAIL_LEN : 0;
    inflater->has_ended = inflater->left.len == 0 && inflater->stream.avail_in == unread_tail;
    if (!inflater->has_ended)
        inflateReset(&inflater->stream);
}

/* Valid only right after a call of inflate() that has read something. */
static bool is_behind_block(const z_stream *stream)
{
    return (stream->data_type & END_OF_BLOCK) != 0 && (stream->data_type & UNUSED_BITS) == 0;
}

/* Called when all of the message has been read. */
static enum kv_inflated judge_end(struct kv_inflater *inflater)
{
    inflater->has_ended = is_behind_block(&inflater->stream);
    bool has_said_all = inflater->stream.avail_out != 0;
    return has_said_all && !inflater->has_ended ? KV_INFLATED_BROKEN : KV_INFLATED_MORE;
}

/* Returns: KV_INFLATED_MORE, or a failure. Sets has_ended at the end of the message. */
static enum kv_inflated inflate_step(struct kv_inflater *inflater, size_t most,
                                     struct kv_buffer *out)
{
    z_stream *stream = &inflater->stream;
    feed_next(inflater);
    if (!make_room(inflater, most, out))
        return KV_INFLATED_NO_MEMORY;
    int result = inflate(stream, Z_SYNC_FLUSH);
    out->len = (size_t)(stream->next_out - (Bytef *)out->bytes);
    if (result == Z_STREAM_END)
        begin_next_stream(inflater);
    else if (result == Z_MEM_ERROR)
        return KV_INFLATED_NO_MEMORY;
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return KV_INFLATED_BROKEN;
    else if (inflater->has_tail && stream->avail_in == 0)
        return judge_end(inflater);
    return KV_INFLATED_MORE;
}

enum kv_inflated kv_inflate(struct kv_inflater *inflater, size_t most, struct kv_buffer *out)
{
    enum kv_inflated result = KV_INFLATED_MORE;
    while (result == KV_INFLATED_MORE && out->len <= most && !inflater->has_ended)
        result = inflate_step(inflater, most, out);
    return inflater->has_ended && out->len <= most ? KV_INFLATED_WHOLE : result;
}
