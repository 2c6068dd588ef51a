/*
 * Bytes from the socket are read into the loop's bench and decrypted from there at once, until all
 * of them are taken: so nothing is held that polling the socket would not reveal, and an idle
 * connection has no buffers. Data to send is encrypted into the bench, some records at a time, and
 * sent; records that the kernel does not take belong to the channel, and the rest of the text stays
 * in place, unencrypted, until they are gone.
 *
 * Some records are not the user's (handshakes, alerts): they have to keep their place, so they wait
 * after the data that is being sent.
 */
#include "net/tls_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "loop/evloop.h"
#include "net/iovecs.h"
#include "net/tls_codec.h"

enum {
    READ_AT_ONCE = 64 << 10,
    SENT_AT_ONCE = 64 << 10, /* approximately: whole records */
    MOST_WAITING = 64 << 10, /* bytes of records that are not the user's */
};

struct kv_tls_bench {
    struct kv_buffer out; /* records to send */
    char in[READ_AT_ONCE];
    char gathered[KV_TLS_MOST_TEXT]; /* short texts that share a record */
};

struct kv_tls_session {
    struct kv_tls_codec codec;
    struct kv_channel *channel;
    struct kv_tls_bench *bench;
    struct kv_buffer flying;   /* lent to the socket until it has sent them */
    struct kv_buffer waiting;  /* to be sent after `flying` */
    struct iovec *lent, *next; /* the user's write, and the part of it that is not encrypted yet */
    size_t n_next;
    struct kv_charge charge;
    struct kv_peer_certificate certificate;
    bool has_begun;
    bool is_open;
    bool is_writing; /* a write of the user is in progress */
    bool is_failed;
    bool met_plain_http;
};

static struct kv_tls_session *session_of(const struct kv_channel *channel)
{
    return channel->tls;
}

static int fd_of(const struct kv_tls_session *session)
{
    return h2o_socket_get_fd(session->channel->sock);
}

/* Without the partial record. */
static void count(struct kv_tls_session *session)
{
    kv_charge_set(&session->charge, kv_tls_codec_memory(&session->codec) +
                                        session->flying.capacity + session->waiting.capacity);
}

/* The channel counts the partial record as input. */
static void note_partial(struct kv_tls_session *session)
{
    struct kv_channel *channel = session->channel;
    channel->partial.len = kv_tls_codec_partial(&session->codec, &channel->partial.memory);
}

/* ---- sending ---- */

static void on_sent(h2o_socket_t *sock, const char *err);

static void fly(struct kv_tls_session *session)
{
    h2o_iovec_t bytes = {session->flying.bytes, session->flying.len};
    h2o_socket_write(session->channel->sock, &bytes, 1, on_sent);
}

/* Sends the contents of the bench, or queues them after earlier data. */
static void send_bench(struct kv_tls_session *session)
{
    struct kv_buffer *out = &session->bench->out;
    struct kv_slice bytes = kv_buffer_slice(out);
    if (bytes.len == 0)
        return;
    if (session->flying.len != 0) {
        kv_buffer_append(&session->waiting, bytes);
        session->is_failed |= session->waiting.len > MOST_WAITING;
    } else {
        ssize_t sent = send(fd_of(session), bytes.bytes, bytes.len, 0);
        size_t n = sent < 0 ? 0 : (size_t)sent;
        kv_buffer_append(&session->flying, (struct kv_slice){bytes.bytes + n, bytes.len - n});
        if (session->flying.len != 0)
            fly(session);
    }
    kv_buffer_trim(out, 2 * SENT_AT_ONCE);
    count(session);
}

/* ---- writing ---- */

/* The next text to encrypt: short ones are gathered to share a record. */
static struct kv_slice next_text(struct kv_tls_session *session, struct iovec **iovecs, size_t *n)
{
    char *gathered = session->bench->gathered;
    size_t len = 0;
    if ((*iovecs)->iov_len >= KV_TLS_MOST_TEXT || *n == 1) {
        struct kv_slice text = {(*iovecs)->iov_base, (*iovecs)->iov_len};
        text.len = text.len < KV_TLS_MOST_TEXT ? text.len : KV_TLS_MOST_TEXT;
        return text;
    }
    for (size_t i = 0; i < *n && len < KV_TLS_MOST_TEXT; i++) {
        size_t room = KV_TLS_MOST_TEXT - len;
        size_t part = (*iovecs)[i].iov_len < room ? (*iovecs)[i].iov_len : room;
        memcpy(gathered + len, (*iovecs)[i].iov_base, part);
        len += part;
    }
    return (struct kv_slice){gathered, len};
}

/* Encrypts some of the text, and removes it from the iovecs. Returns: -1 if the session has
 * failed. */
static int encrypt_some(struct kv_tls_session *session, struct iovec **iovecs, size_t *n)
{
    while (*n != 0 && session->bench->out.len < SENT_AT_ONCE) {
        struct kv_slice text = next_text(session, iovecs, n);
        if (text.len != 0 && kv_tls_codec_encrypt(&session->codec, text) != 0)
            return -1;
        kv_iovecs_skip(iovecs, n, text.len);
    }
    return 0;
}

/* Writes as much as the kernel takes at once. Returns: whether everything was written. */
static bool write_some(struct kv_tls_session *session, struct iovec **iovecs, size_t *n)
{
    while (*n != 0 && session->flying.len == 0 && !session->is_failed) {
        session->is_failed |= encrypt_some(session, iovecs, n) != 0;
        send_bench(session);
    }
    return *n == 0 && session->flying.len == 0;
}

/* Keeps the rest of the iovecs until there is room. */
static void lend(struct kv_tls_session *session, const struct iovec *iovecs, size_t n)
{
    session->is_writing = true;
    session->n_next = n;
    if (n == 0)
        return;
    session->lent = session->next = kv_alloc(n * sizeof(*iovecs));
    memcpy(session->lent, iovecs, n * sizeof(*iovecs));
}

static void give_back(struct kv_tls_session *session)
{
    free(session->lent);
    session->lent = session->next = NULL;
    session->n_next = 0;
}

/* Nothing more can be sent: the user gets the end of its input. */
static void fail(struct kv_tls_session *session)
{
    session->is_failed = true;
    shutdown(fd_of(session), SHUT_RDWR);
}

static bool write_tls(struct kv_channel *channel, struct iovec *iovecs, size_t n)
{
    struct kv_tls_session *session = session_of(channel);
    kv_counter_add(&channel->traffic->sent, kv_iovecs_len(iovecs, n));
    if (write_some(session, &iovecs, &n))
        return true;
    if (session->is_failed && session->flying.len == 0) {
        fail(session);
        return true;
    }
    lend(session, iovecs, n);
    return false;
}

static bool is_writing_tls(const struct kv_channel *channel)
{
    return session_of(channel)->is_writing;
}

static void finish_write(struct kv_tls_session *session, enum kv_channel_event event)
{
    struct kv_channel *channel = session->channel;
    if (!session->is_writing)
        return;
    session->is_writing = false;
    give_back(session);
    channel->on_written(channel->user, event);
}

/* Sends the records that waited. */
static void fly_next(struct kv_tls_session *session)
{
    struct kv_buffer sent = session->flying;
    session->flying = session->waiting;
    session->waiting = (struct kv_buffer){0};
    kv_buffer_fini(&sent);
    if (session->flying.len != 0)
        fly(session);
    count(session);
}

/* If only records were lost that are not the user's, the next write of the user has to fail,
 * instead of waiting for them. */
static void lose_sent(struct kv_tls_session *session)
{
    session->is_failed = true;
    kv_buffer_fini(&session->flying);
    kv_buffer_fini(&session->waiting);
    count(session);
    finish_write(session, KV_CHANNEL_BROKEN);
}

static void on_sent(h2o_socket_t *sock, const char *err)
{
    struct kv_channel *channel = sock->data;
    struct kv_tls_session *session = session_of(channel);
    if (err != NULL) {
        lose_sent(session);
        return;
    }
    kv_channel_announce(channel);
    fly_next(session);
    if (session->flying.len == 0 && write_some(session, &session->next, &session->n_next))
        finish_write(session, KV_CHANNEL_READY);
    else if (session->flying.len == 0)
        finish_write(session, KV_CHANNEL_BROKEN);
}

/* ---- reading ---- */

/* Returns: as recv(). */
static ssize_t receive(struct kv_tls_session *session, size_t most)
{
    return recv(fd_of(session), session->bench->in, most < READ_AT_ONCE ? most : READ_AT_ONCE, 0);
}

/* The peer may end its side of the session without ending that of the socket: this is reported as
 * an end once the input has been read. */
static void note_end(struct kv_tls_session *session)
{
    shutdown(fd_of(session), SHUT_RD);
}

/* Decrypts everything that has arrived. */
static void decrypt(struct kv_tls_session *session)
{
    h2o_buffer_t **input = &session->channel->sock->input;
    size_t had = (*input)->size;
    enum kv_tls_progress progress = kv_tls_codec_decrypt(&session->codec, input);
    kv_counter_add(&session->channel->traffic->received, (*input)->size - had);
    session->is_failed = progress == KV_TLS_HAS_FAILED;
    if (progress == KV_TLS_IS_DONE)
        note_end(session);
}

/* A session begins with a handshake; any other beginning is another protocol. */
static void check_beginning(struct kv_tls_session *session, char first)
{
    if (session->has_begun || first == KV_TLS_HANDSHAKE)
        return;
    session->is_failed = true;
    /* A request may follow an empty line, with which a binary PROXY header begins, too. */
    session->met_plain_http = (first >= 'A' && first <= 'Z') || first == '\r';
}

static void note_certificate(struct kv_tls_session *session)
{
    const struct kv_tls_codec *codec = &session->codec;
    if (codec->peer == NULL)
        return;
    session->certificate.name = kv_slice_of(codec->peer);
    session->certificate.ends_s = codec->peer_ends_s;
}

static void shake_hands(struct kv_tls_session *session, char first)
{
    check_beginning(session, first);
    session->has_begun = true;
    if (session->is_failed)
        return;
    enum kv_tls_progress progress = kv_tls_codec_shake_hands(&session->codec);
    session->is_open = progress == KV_TLS_IS_DONE;
    session->is_failed = progress == KV_TLS_HAS_FAILED;
    if (session->is_open)
        note_certificate(session);
}

static void take_arrived(struct kv_tls_session *session, struct kv_tls_bytes arrived)
{
    kv_tls_codec_feed(&session->codec, arrived);
    if (!session->is_open)
        shake_hands(session, arrived.bytes[0]);
    if (session->is_open && !session->is_failed)
        decrypt(session);
    send_bench(session);
    note_partial(session);
    count(session);
}

/* Explains a read that returned no data. Returns: false if there is no event. */
static bool explain_nothing(const struct kv_tls_session *session, ssize_t got,
                            enum kv_channel_event *ret_event)
{
    bool has_ended = got == 0 && session->is_open;
    *ret_event = has_ended ? KV_CHANNEL_ENDED : KV_CHANNEL_BROKEN;
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}

static bool fill_tls(struct kv_channel *channel, size_t most, enum kv_channel_event *ret_event)
{
    struct kv_tls_session *session = session_of(channel);
    bool was_open = session->is_open;
    size_t had = channel->sock->input->size, n_read = 0;
    while (n_read < most && !session->is_failed) {
        ssize_t got = receive(session, most - n_read);
        if (got <= 0 && n_read == 0)
            return explain_nothing(session, got, ret_event);
        if (got <= 0)
            break;
        take_arrived(session, (struct kv_tls_bytes){session->bench->in, (size_t)got});
        n_read += (size_t)got;
        if (got < READ_AT_ONCE)
            break;
    }
    *ret_event = session->is_failed ? KV_CHANNEL_BROKEN : KV_CHANNEL_READY;
    return session->is_failed || session->is_open != was_open || channel->sock->input->size != had;
}

/* ---- closing ---- */

/* Sends close_notify once, if the kernel takes it at once. */
static void farewell_tls(struct kv_channel *channel)
{
    struct kv_tls_session *session = session_of(channel);
    struct kv_buffer *out = &session->bench->out;
    if (!session->is_open || session->is_failed || session->flying.len != 0)
        return;
    if (kv_tls_codec_end(&session->codec) == 0)
        send(fd_of(session), out->bytes, out->len, 0);
    kv_buffer_trim(out, 2 * SENT_AT_ONCE);
}

static void shut_writing_tls(struct kv_channel *channel)
{
    farewell_tls(channel);
    shutdown(fd_of(session_of(channel)), SHUT_WR);
}

static void fini_tls(struct kv_channel *channel)
{
    struct kv_tls_session *session = session_of(channel);
    kv_tls_codec_fini(&session->codec);
    kv_buffer_fini(&session->flying);
    kv_buffer_fini(&session->waiting);
    give_back(session);
    kv_charge_set(&session->charge, 0);
    free(session);
    channel->tls = NULL;
}

/* ---- opening ---- */

static const struct kv_channel_ops tls_ops = {
    .fill = fill_tls,
    .write = write_tls,
    .is_writing = is_writing_tls,
    .farewell = farewell_tls,
    .shut_writing = shut_writing_tls,
    .fini = fini_tls,
};

/* Input from before the session is its beginning. */
static void take_early(struct kv_tls_session *session)
{
    struct kv_channel *channel = session->channel;
    h2o_buffer_t *early = channel->sock->input;
    if (early->size == 0)
        return;
    h2o_buffer_init(&channel->sock->input, &h2o_socket_buffer_prototype);
    take_arrived(session, (struct kv_tls_bytes){early->bytes, early->size});
    h2o_buffer_dispose(&early);
    kv_channel_count_input(channel);
    if (session->is_failed)
        channel->on_read(channel->user, KV_CHANNEL_BROKEN);
}

void kv_channel_secure(struct kv_channel *channel, struct kv_tls *tls, struct kv_tls_bench *bench)
{
    struct kv_tls_session *session = kv_calloc(1, sizeof(*session));
    session->channel = channel;
    session->bench = bench;
    session->charge.tally = channel->charge.tally;
    kv_tls_codec_init(&session->codec, tls, &bench->out);
    channel->tls = session;
    channel->ops = &tls_ops;
    count(session);
    take_early(session);
}

size_t kv_channel_session_memory(const struct kv_channel *channel)
{
    return session_of(channel)->charge.bytes;
}

bool kv_channel_met_plain_http(const struct kv_channel *channel)
{
    return channel->tls != NULL && session_of(channel)->met_plain_http;
}

void kv_channel_answer_plain(struct kv_channel *channel, struct kv_slice text)
{
    ssize_t sent = send(fd_of(session_of(channel)), text.bytes, text.len, 0);
    (void)sent; /* the socket's buffer, which is empty, has room for it, or the peer is gone */
}

const struct kv_peer_certificate *kv_channel_certificate(const struct kv_channel *channel)
{
    if (channel->tls == NULL || session_of(channel)->codec.peer == NULL)
        return NULL;
    return &session_of(channel)->certificate;
}

struct kv_tls_bench *kv_tls_bench_create(void)
{
    return kv_calloc(1, sizeof(struct kv_tls_bench));
}

void kv_tls_bench_destroy(struct kv_tls_bench *bench)
{
    if (bench == NULL)
        return;
    kv_buffer_fini(&bench->out);
    free(bench);
}
