/*
 * Bytes from the socket are read into the loop's bench and decrypted from there at once, until
 * OpenSSL has taken them all: so it never holds input that polling the socket would not reveal, and
 * an idle connection has no buffers. Data to send is encrypted into the bench, some records at a
 * time, and sent; records that the kernel does not take belong to the channel, and the rest of the
 * text stays in place, unencrypted, until they are gone.
 *
 * Some records are not the user's (handshakes, answers to key updates, alerts): they have to keep
 * their place, so they wait after the data that is being sent.
 *
 * Handshakes are OpenSSL's, and so is everything of TLS 1.2. After a handshake of TLS 1.3, the
 * `SSL`, of which an idle connection would use most of its memory, is freed: the records that
 * follow need two ciphers only (tls_records.h, tls_input.h).
 */
#include "net/tls_channel.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "loop/evloop.h"
#include "net/intake.h"
#include "net/iovecs.h"
#include "net/tls_input.h"
#include "net/tls_name.h"
#include "net/tls_secrets.h"

enum {
    READ_AT_ONCE = 64 << 10,
    SENT_AT_ONCE = 64 << 10,     /* approximately: whole records */
    MOST_WAITING = 64 << 10,     /* bytes of records that are not the user's */
    MEMORY_OF_SSL = 14 << 10,    /* of an idle connection, approximately */
    MEMORY_OF_RECORDS = 3 << 10, /* likewise, after a handshake of TLS 1.3 */
};

/* The level of an alert, which tells nothing that its description does not. */
enum {
    WARNING = 1,
    FATAL = 2
};

struct kv_tls_bench {
    BIO_METHOD *method;
    struct kv_buffer out; /* records to send */
    char in[READ_AT_ONCE];
    char gathered[KV_TLS_MOST_TEXT]; /* short texts that share a record */
};

struct kv_tls_session {
    SSL *ssl;                       /* NULL: `records` has taken over */
    struct kv_tls_secrets *secrets; /* during the handshake */
    struct kv_tls_records *records;
    struct kv_tls_input input; /* for `records` */
    struct kv_channel *channel;
    struct kv_tls_bench *bench;
    struct kv_tls_bytes arrived; /* in the bench, to be decrypted */
    struct kv_buffer flying;     /* lent to the socket until it has sent them */
    struct kv_buffer waiting;    /* to be sent after `flying` */
    struct iovec *lent, *next; /* the user's write, and the part of it that is not encrypted yet */
    size_t n_next;
    struct kv_charge charge;
    char *name; /* in the peer's certificate; NULL: none */
    struct kv_peer_certificate certificate;
    bool has_begun;
    bool is_open;
    bool is_writing; /* a write of the user is in progress */
    bool is_failed;
    bool has_said_end; /* close_notify has been sent */
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

static void count(struct kv_tls_session *session)
{
    size_t own = session->ssl != NULL ? MEMORY_OF_SSL : MEMORY_OF_RECORDS;
    kv_charge_set(&session->charge, own + session->flying.capacity + session->waiting.capacity +
                                        session->input.partial.capacity);
}

/* ---- OpenSSL's input and output: the bench ---- */

static int bio_read(BIO *bio, char *bytes, int len)
{
    struct kv_tls_session *session = BIO_get_data(bio);
    struct kv_tls_bytes *arrived = &session->arrived;
    size_t n = arrived->len < (size_t)len ? arrived->len : (size_t)len;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(bytes, arrived->bytes, n);
    *arrived = (struct kv_tls_bytes){arrived->bytes + n, arrived->len - n};
    return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct kv_tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    kv_buffer_append(&session->bench->out, (struct kv_slice){bytes, (size_t)len});
    return len;
}

static long bio_control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH;
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

/* Appends a record to the bench. Returns: -1 if the session has failed. */
static int encrypt(struct kv_tls_session *session, struct kv_slice text)
{
    if (session->records != NULL)
        return kv_tls_records_seal(session->records, KV_TLS_TEXT, text, &session->bench->out);
    ERR_clear_error();
    return SSL_write(session->ssl, text.bytes, (int)text.len) > 0 ? 0 : -1;
}

/* Encrypts some of the text, and removes it from the iovecs. Returns: -1 if the session has
 * failed. */
static int encrypt_some(struct kv_tls_session *session, struct iovec **iovecs, size_t *n)
{
    while (*n != 0 && session->bench->out.len < SENT_AT_ONCE) {
        struct kv_slice text = next_text(session, iovecs, n);
        if (text.len != 0 && encrypt(session, text) != 0)
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
    char *in = session->bench->in;
    ssize_t got = recv(fd_of(session), in, most < READ_AT_ONCE ? most : READ_AT_ONCE, 0);
    session->arrived = (struct kv_tls_bytes){in, got > 0 ? (size_t)got : 0};
    return got;
}

/* The peer may end its side of the session without ending that of the socket: this is reported as
 * an end once the input has been read. */
static void note_end(struct kv_tls_session *session)
{
    shutdown(fd_of(session), SHUT_RD);
}

/* Decrypts everything that has arrived. */
static void decrypt_by_openssl(struct kv_tls_session *session)
{
    h2o_buffer_t **input = &session->channel->sock->input;
    int got;
    do {
        size_t room;
        char *to = kv_intake_reserve(input, &room);
        session->is_failed |= to == NULL;
        if (to == NULL)
            return;
        got = SSL_read(session->ssl, to, room < INT_MAX ? (int)room : INT_MAX);
        if (got > 0) {
            (*input)->size += (size_t)got;
            kv_counter_add(&session->channel->traffic->received, (size_t)got);
        }
    } while (got > 0);
    int error = SSL_get_error(session->ssl, got);
    if (error == SSL_ERROR_ZERO_RETURN)
        note_end(session);
    else
        session->is_failed |= error != SSL_ERROR_WANT_READ;
}

/* Adds text to the user's input. */
static void add_input(struct kv_tls_session *session, struct kv_slice text)
{
    h2o_buffer_t **input = &session->channel->sock->input;
    kv_counter_add(&session->channel->traffic->received, text.len);
    while (text.len != 0) {
        size_t room;
        char *to = kv_intake_reserve(input, &room);
        session->is_failed |= to == NULL;
        if (to == NULL)
            return;
        size_t n = text.len < room ? text.len : room;
        memcpy(to, text.bytes, n);
        (*input)->size += n;
        text = (struct kv_slice){text.bytes + n, text.len - n};
    }
}

/* Sends records that the peer's require: one KeyUpdate, however often it has asked for it, or an
 * alert. There are none after close_notify. */
static void answer_records(struct kv_tls_session *session)
{
    struct kv_tls_input *input = &session->input;
    const char alert[] = {FATAL, (char)input->alert};
    struct kv_buffer *out = &session->bench->out;
    if (session->has_said_end)
        return;
    if (input->owes_update)
        session->is_failed |= kv_tls_records_renew_own(session->records, out) != 0;
    input->owes_update = false;
    if (input->alert != 0)
        kv_tls_records_seal(session->records, KV_TLS_ALERT, (struct kv_slice){alert, sizeof(alert)},
                            out);
}

static void decrypt_records(struct kv_tls_session *session)
{
    enum kv_tls_came came = KV_TLS_CAME_TEXT;
    struct kv_slice text;
    kv_tls_input_begin(&session->input);
    while (came == KV_TLS_CAME_TEXT && !session->is_failed) {
        came = kv_tls_input_next(&session->input, session->records, &session->arrived, &text);
        if (came == KV_TLS_CAME_TEXT)
            add_input(session, text);
    }
    session->is_failed |= came == KV_TLS_CAME_BROKEN;
    answer_records(session);
    if (came == KV_TLS_CAME_END)
        note_end(session);
    count(session);
}

static void decrypt(struct kv_tls_session *session)
{
    if (session->records != NULL)
        decrypt_records(session);
    else
        decrypt_by_openssl(session);
}

/* A session begins with a handshake; any other beginning is another protocol. */
static void check_beginning(struct kv_tls_session *session)
{
    char first = session->arrived.bytes[0];
    if (session->has_begun || first == KV_TLS_HANDSHAKE)
        return;
    session->is_failed = true;
    /* A request may follow an empty line, with which a binary PROXY header begins, too. */
    session->met_plain_http = (first >= 'A' && first <= 'Z') || first == '\r';
}

static void note_certificate(struct kv_tls_session *session)
{
    session->name = kv_tls_name_of(session->ssl);
    if (session->name == NULL)
        return;
    session->certificate.name = kv_slice_of(session->name);
    session->certificate.ends_s = kv_tls_end_of(session->ssl);
}

static void free_ssl(struct kv_tls_session *session)
{
    SSL_free(session->ssl);
    session->ssl = NULL;
}

/* The handshake is complete: from now on, OpenSSL is used only if it has to be. */
static void begin_text(struct kv_tls_session *session)
{
    note_certificate(session);
    session->records = kv_tls_secrets_take_over(session->secrets, session->ssl);
    kv_tls_secrets_destroy(session->secrets, session->ssl);
    session->secrets = NULL;
    if (session->records != NULL)
        free_ssl(session);
    count(session);
}

static void shake_hands(struct kv_tls_session *session)
{
    check_beginning(session);
    session->has_begun = true;
    if (session->is_failed)
        return;
    int result = SSL_do_handshake(session->ssl);
    session->is_open = result == 1;
    if (session->is_open)
        begin_text(session);
    else
        session->is_failed = SSL_get_error(session->ssl, result) != SSL_ERROR_WANT_READ;
}

static void take_arrived(struct kv_tls_session *session)
{
    ERR_clear_error();
    if (!session->is_open)
        shake_hands(session);
    if (session->is_open && !session->is_failed)
        decrypt(session);
    session->arrived.len = 0;
    send_bench(session);
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
        take_arrived(session);
        n_read += (size_t)got;
        if (got < READ_AT_ONCE)
            break;
    }
    *ret_event = session->is_failed ? KV_CHANNEL_BROKEN : KV_CHANNEL_READY;
    return session->is_failed || session->is_open != was_open || channel->sock->input->size != had;
}

/* ---- closing ---- */

/* Appends close_notify to the bench. Returns: -1 if the session has failed. */
static int encrypt_end(struct kv_tls_session *session)
{
    static const char end[] = {WARNING, KV_TLS_CLOSE_NOTIFY};
    if (session->records != NULL)
        return kv_tls_records_seal(session->records, KV_TLS_ALERT,
                                   (struct kv_slice){end, sizeof(end)}, &session->bench->out);
    ERR_clear_error();
    return SSL_shutdown(session->ssl) >= 0 ? 0 : -1;
}

/* Sends close_notify once, if the kernel takes it at once. */
static void farewell_tls(struct kv_channel *channel)
{
    struct kv_tls_session *session = session_of(channel);
    struct kv_buffer *out = &session->bench->out;
    if (!session->is_open || session->is_failed || session->has_said_end ||
        session->flying.len != 0)
        return;
    session->has_said_end = true;
    if (encrypt_end(session) == 0)
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
    kv_tls_secrets_destroy(session->secrets, session->ssl);
    free_ssl(session);
    kv_tls_records_destroy(session->records);
    kv_tls_input_fini(&session->input);
    kv_buffer_fini(&session->flying);
    kv_buffer_fini(&session->waiting);
    give_back(session);
    kv_charge_set(&session->charge, 0);
    free(session->name);
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

static SSL *create_ssl(struct kv_tls_session *session, struct kv_tls *tls)
{
    SSL_CTX *context = kv_tls_fetch(tls);
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(session->bench->method);
    SSL_CTX_free(context);
    if (ssl == NULL || bio == NULL)
        abort(); /* out of memory, as everywhere */
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* Input from before the session is its beginning. */
static void take_early(struct kv_tls_session *session)
{
    struct kv_channel *channel = session->channel;
    h2o_buffer_t *early = channel->sock->input;
    if (early->size == 0)
        return;
    h2o_buffer_init(&channel->sock->input, &h2o_socket_buffer_prototype);
    session->arrived = (struct kv_tls_bytes){early->bytes, early->size};
    take_arrived(session);
    h2o_buffer_dispose(&early);
    if (session->is_failed)
        channel->on_read(channel->user, KV_CHANNEL_BROKEN);
}

void kv_channel_secure(struct kv_channel *channel, struct kv_tls *tls, struct kv_tls_bench *bench)
{
    struct kv_tls_session *session = kv_calloc(1, sizeof(*session));
    session->channel = channel;
    session->bench = bench;
    session->charge.tally = channel->charge.tally;
    session->ssl = create_ssl(session, tls);
    session->secrets = kv_tls_secrets_watch(session->ssl);
    channel->tls = session;
    channel->ops = &tls_ops;
    count(session);
    take_early(session);
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
    if (channel->tls == NULL || session_of(channel)->name == NULL)
        return NULL;
    return &session_of(channel)->certificate;
}

struct kv_tls_bench *kv_tls_bench_create(void)
{
    struct kv_tls_bench *bench = kv_calloc(1, sizeof(*bench));
    bench->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bench");
    if (bench->method == NULL)
        abort(); /* out of memory, as everywhere */
    BIO_meth_set_read(bench->method, bio_read);
    BIO_meth_set_write(bench->method, bio_write);
    BIO_meth_set_ctrl(bench->method, bio_control);
    return bench;
}

void kv_tls_bench_destroy(struct kv_tls_bench *bench)
{
    if (bench == NULL)
        return;
    BIO_meth_free(bench->method);
    kv_buffer_fini(&bench->out);
    free(bench);
}
