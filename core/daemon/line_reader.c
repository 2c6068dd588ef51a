/* Input is read after the incomplete line, which is first moved to the front; so a long line is
 * moved at most once, and searched once. */
#include "daemon/line_reader.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum {
    READ_BYTES = 256 << 10
};

static size_t n_left(const struct kv_line_reader *reader)
{
    return reader->buffer.len - reader->at;
}

static enum kv_line_status wait_for_input(const struct kv_line_reader *reader,
                                          struct kv_error *reterr)
{
    struct pollfd fds[] = {{.fd = reader->stop_fd, .events = POLLIN},
                           {.fd = reader->fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR) {
            kv_error_set(reterr, "cannot wait for input: %s", strerror(errno));
            return KV_LINE_FAILED;
        }
    }
    return fds[0].revents != 0 ? KV_LINE_STOPPED : KV_LINE_READ;
}

static enum kv_line_status read_more(struct kv_line_reader *reader, struct kv_error *reterr)
{
    struct kv_buffer *buffer = &reader->buffer;
    enum kv_line_status status = wait_for_input(reader, reterr);
    if (status != KV_LINE_READ)
        return status;
    if (reader->at != 0) {
        memmove(buffer->bytes, buffer->bytes + reader->at, n_left(reader));
        buffer->len -= reader->at;
        reader->at = 0;
    }
    if (kv_buffer_try_reserve(buffer, READ_BYTES) == NULL) {
        kv_error_set(reterr, "there is no memory for a line of more than %zu bytes", buffer->len);
        return KV_LINE_FAILED;
    }
    ssize_t n = read(reader->fd, buffer->bytes + buffer->len, READ_BYTES);
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
        kv_error_set(reterr, "%s", strerror(errno));
        return KV_LINE_FAILED;
    }
    reader->is_at_end = n == 0;
    buffer->len += n > 0 ? (size_t)n : 0;
    return KV_LINE_READ;
}

/* Searches the new input. Returns: whether a line feed follows the known bytes. */
static bool find_line_feed(struct kv_line_reader *reader)
{
    size_t n_new = n_left(reader) - reader->n_known;
    if (n_new == 0)
        return false;
    const char *from = reader->buffer.bytes + reader->at + reader->n_known;
    const char *end = memchr(from, '\n', n_new);
    reader->n_known += end == NULL ? n_new : (size_t)(end - from);
    return end != NULL;
}

/* The known bytes are the line. */
static enum kv_line_status take_line(struct kv_line_reader *reader, size_t end_len,
                                     struct kv_slice *ret_line, struct kv_error *reterr)
{
    if (reader->n_known > reader->max_bytes) {
        kv_error_set(reterr, "the line has more than %zu bytes, as many as the limits allow",
                     reader->max_bytes);
        return KV_LINE_REFUSED;
    }
    *ret_line = (struct kv_slice){reader->buffer.bytes + reader->at, reader->n_known};
    reader->at += reader->n_known + end_len;
    reader->n_known = 0;
    return KV_LINE_READ;
}

enum kv_line_status kv_line_reader_next(struct kv_line_reader *reader, struct kv_slice *ret_line,
                                        struct kv_error *reterr)
{
    reader->number++;
    for (;;) {
        if (find_line_feed(reader))
            return take_line(reader, 1, ret_line, reterr);
        if (reader->is_at_end && reader->n_known == 0)
            return KV_LINE_END;
        if (reader->is_at_end || reader->n_known > reader->max_bytes)
            return take_line(reader, 0, ret_line, reterr);
        enum kv_line_status status = read_more(reader, reterr);
        if (status != KV_LINE_READ)
            return status;
    }
}

void kv_line_reader_fini(struct kv_line_reader *reader)
{
    kv_buffer_fini(&reader->buffer);
}
