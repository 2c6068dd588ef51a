/*
 * The records of a TLS 1.3 client, which are opened with known keys: in any pieces, the same text
 * and outcome as at once, no more kept than one record, and no text but that which was sealed.
 *
 * An input is a list of blocks: a byte for the kind, two for the length (big endian), and as many
 * bytes. Its first byte determines the length of the pieces.
 *
 * - `r`: bytes that are sent as they are.
 * - `s`: contents, the last byte being their type, which are sealed, so that they pass the tag.
 * - `k`: contents of a message after which the client changes its key.
 */
#include "fuzz.h"
#include "net/tls_input.h"

enum {
    SUITE = 0x1301,
    LONGEST = KV_TLS_HEADER + KV_TLS_MOST_SEALED,
    BLOCK_HEADER = 3,
};

/* The bytes that a client sends. */
struct sent {
    struct kv_buffer bytes;
    struct kv_buffer text; /* that was sealed */
};

/* The outcome of reading. */
struct got {
    struct kv_buffer text;
    enum kv_tls_came came;
    uint8_t alert;
    bool owes_update;
};

static struct kv_tls_records *create_end(bool is_server)
{
    const struct kv_tls_secret one = {.bytes = "one", .len = 32}, two = {.bytes = "two", .len = 32};
    return kv_tls_records_create(SUITE, is_server ? &one : &two, is_server ? &two : &one, 0);
}

static void change_key(struct kv_tls_records *client)
{
    struct kv_buffer unsent = {0};
    kv_tls_records_renew_own(client, &unsent);
    kv_buffer_fini(&unsent);
}

/* contents: their type comes last. */
static void seal(struct sent *sent, struct kv_tls_records *client, struct kv_slice contents)
{
    if (contents.len == 0 || contents.len > KV_TLS_MOST_TEXT + 1)
        return;
    struct kv_slice text = {contents.bytes, contents.len - 1};
    uint8_t type = (uint8_t)contents.bytes[text.len];
    kv_tls_records_seal(client, (enum kv_tls_type)type, text, &sent->bytes);
    while (contents.len != 0 && contents.bytes[contents.len - 1] == 0) /* padding */
        contents.len--;
    if (contents.len != 0 && contents.bytes[contents.len - 1] == KV_TLS_TEXT)
        kv_buffer_append(&sent->text, (struct kv_slice){contents.bytes, contents.len - 1});
}

static void send_block(struct sent *sent, struct kv_tls_records *client, char kind,
                       struct kv_slice block)
{
    if (kind == 'r')
        kv_buffer_append(&sent->bytes, block);
    if (kind == 's')
        seal(sent, client, block);
    if (kind == 'k' && block.len != 0 && block.len <= KV_TLS_MOST_TEXT) {
        kv_tls_records_seal(client, KV_TLS_HANDSHAKE, block, &sent->bytes);
        change_key(client);
    }
}

static void send_blocks(struct sent *sent, struct kv_slice rest)
{
    struct kv_tls_records *client = create_end(false);
    while (rest.len >= BLOCK_HEADER) {
        size_t len = (size_t)(uint8_t)rest.bytes[1] << 8 | (uint8_t)rest.bytes[2];
        size_t there = rest.len - BLOCK_HEADER;
        struct kv_slice block = {rest.bytes + BLOCK_HEADER, len < there ? len : there};
        send_block(sent, client, rest.bytes[0], block);
        rest = (struct kv_slice){block.bytes + block.len, there - block.len};
    }
    kv_tls_records_destroy(client);
}

static enum kv_tls_came take(struct got *got, struct kv_tls_input *input,
                             struct kv_tls_records *server, struct kv_slice piece)
{
    struct kv_buffer copy = {0};
    struct kv_slice text;
    enum kv_tls_came came;
    kv_buffer_append(&copy, piece);
    kv_buffer_fit(&copy);
    struct kv_tls_bytes arrived = {copy.bytes, copy.len};
    while ((came = kv_tls_input_next(input, server, &arrived, &text)) == KV_TLS_CAME_TEXT) {
        assert(text.len != 0 && text.len <= KV_TLS_MOST_TEXT);
        kv_buffer_append(&got->text, text);
    }
    assert(came != KV_TLS_CAME_NOTHING || arrived.len == 0);
    assert(input->partial.len < LONGEST && input->partial.capacity <= LONGEST);
    assert(input->partial.len != 0 || input->partial.bytes == NULL);
    kv_buffer_fini(&copy);
    return came;
}

static struct got read_in_pieces(struct kv_slice bytes, size_t most)
{
    struct got got = {.came = KV_TLS_CAME_NOTHING};
    struct kv_tls_input input = {0};
    struct kv_tls_records *server = create_end(true);
    kv_tls_input_begin(&input); /* once: the limit of key updates depends on it */
    while (bytes.len != 0 && got.came == KV_TLS_CAME_NOTHING) {
        size_t n = bytes.len < most ? bytes.len : most;
        got.came = take(&got, &input, server, (struct kv_slice){bytes.bytes, n});
        bytes = (struct kv_slice){bytes.bytes + n, bytes.len - n};
    }
    got.alert = input.alert;
    got.owes_update = input.owes_update;
    assert(got.alert == 0 || got.came == KV_TLS_CAME_BROKEN);
    kv_tls_input_fini(&input);
    kv_tls_records_destroy(server);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct sent sent = {0};
    send_blocks(&sent, fuzz_slice(bytes + 1, len - 1));
    struct kv_slice all = kv_buffer_slice(&sent.bytes);
    struct got whole = read_in_pieces(all, all.len);
    struct got pieces = read_in_pieces(all, 1 + (size_t)bytes[0] * bytes[0]);
    assert(whole.came == pieces.came && whole.alert == pieces.alert &&
           whole.owes_update == pieces.owes_update);
    assert(kv_slice_equals(kv_buffer_slice(&whole.text), kv_buffer_slice(&pieces.text)));
    assert(whole.text.len <= sent.text.len);
    if (whole.text.len != 0)
        assert(memcmp(whole.text.bytes, sent.text.bytes, whole.text.len) == 0);
    kv_buffer_fini(&whole.text);
    kv_buffer_fini(&pieces.text);
    kv_buffer_fini(&sent.bytes);
    kv_buffer_fini(&sent.text);
    return 0;
}
