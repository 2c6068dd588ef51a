/* Requests for some seconds, after a warm-up of a fifth of them, and the filling of a store. */
#include <stdlib.h>

#include "load.h"
#include "base/mem.h"

enum {
    PREPARED = 1 << 20,
    WARM_UP_SHARE = 5,
    FAILURES_SHOWN = 3
};

/* All requests, concatenated. */
struct prepared {
    struct kv_buffer bytes;
    size_t *ends; /* of each */
    size_t n;
    size_t next;
};

struct channel {
    struct conn conn;
    int64_t *sent_us; /* a ring of `depth`: when the requests in flight were sent */
    size_t first, n;
};

static struct run {
    const struct protocol *protocol;
    struct load_options options;
    struct prepared prepared;
    struct channel *channels;
    struct poller poller;
    struct histogram histogram;
    int64_t now_us;
    bool is_measuring;
    bool is_ending;     /* an answer triggers no further request */
    uint64_t n_answers; /* while measuring */
    uint64_t n_all_answers, n_failed, n_in_flight;
} run;

static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* is_random: keys in random order; otherwise each once. */
static void prepare(size_t n, bool is_random)
{
    uint64_t state = (uint64_t)time_us();
    run.prepared.ends = kv_alloc(n * sizeof(size_t));
    run.prepared.n = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t key = is_random ? draw(&state) % run.options.workload.n_keys : i;
        run.protocol->append_request(&run.prepared.bytes, &run.options.workload, key);
        run.prepared.ends[i] = run.prepared.bytes.len;
    }
}

/* The next n requests, which are contiguous except where they wrap around. */
static void send_requests(struct channel *channel, size_t n)
{
    struct prepared *prepared = &run.prepared;
    for (size_t i = 0; i < n; i++) {
        channel->sent_us[(channel->first + channel->n) % run.options.depth] = run.now_us;
        channel->n++;
    }
    run.n_in_flight += n;
    while (n > 0) {
        size_t many = prepared->n - prepared->next < n ? prepared->n - prepared->next : n;
        size_t from = prepared->next == 0 ? 0 : prepared->ends[prepared->next - 1];
        size_t to = prepared->ends[prepared->next + many - 1];
        kv_buffer_append(&channel->conn.out,
                         (struct kv_slice){prepared->bytes.bytes + from, to - from});
        prepared->next = (prepared->next + many) % prepared->n;
        n -= many;
    }
}

static void note_failure(struct kv_slice answer)
{
    if (run.n_failed++ < FAILURES_SHOWN)
        fprintf(stderr, "kv_load: a request failed: %.*s\n", (int)answer.len, answer.bytes);
}

static size_t take_answers(struct channel *channel)
{
    size_t n = 0;
    for (;;) {
        struct kv_slice unread = conn_unread(&channel->conn);
        bool has_failed = false;
        size_t len =
            unread.len == 0 ? 0 : run.protocol->answer_len(unread.bytes, unread.len, &has_failed);
        if (len == 0)
            return n;
        if (has_failed)
            note_failure((struct kv_slice){unread.bytes, len});
        conn_use(&channel->conn, len);
        if (run.is_measuring)
            histogram_add(&run.histogram,
                          (uint64_t)(run.now_us - channel->sent_us[channel->first]));
        channel->first = (channel->first + 1) % run.options.depth;
        channel->n--;
        n++;
    }
}

static void on_ready(struct conn *conn)
{
    struct channel *channel = conn->owner;
    run.now_us = time_us(); /* not the start of the turn, which may have waited for this since */
    size_t n = take_answers(channel);
    run.n_answers += run.is_measuring ? n : 0;
    run.n_all_answers += n;
    run.n_in_flight -= n;
    if (!run.is_ending)
        send_requests(channel, n);
}

static void open_channels(void)
{
    poller_open(&run.poller);
    run.channels = kv_calloc(run.options.n_connections, sizeof(*run.channels));
    for (size_t i = 0; i < run.options.n_connections; i++) {
        struct channel *channel = &run.channels[i];
        conn_open(&channel->conn, run.options.port, run.protocol->hello, run.protocol->hello_end);
        channel->conn.owner = channel;
        channel->sent_us = kv_calloc(run.options.depth, sizeof(int64_t));
        poller_add(&run.poller, &channel->conn);
    }
}

/* Sends the requests that are due, spread over the connections; a request for which a connection
 * has no room goes to the next one. The program ends if no connection has room. */
static void send_due(int64_t begin_us, uint64_t *n_sent)
{
    uint64_t n_due = (uint64_t)((double)(run.now_us - begin_us) * 1e-6 * (double)run.options.pace);
    for (; *n_sent < n_due; ++*n_sent) {
        struct channel *channel = &run.channels[*n_sent % run.options.n_connections];
        if (channel->n == run.options.depth)
            die("%ju requests wait for their answers: the server is slower than the pace",
                (uintmax_t)run.n_in_flight);
        send_requests(channel, 1);
        conn_flush(&channel->conn);
    }
}

static void turn_until(int64_t begin_us, int64_t until_us, uint64_t *n_sent)
{
    while ((run.now_us = time_us()) < until_us) {
        if (run.options.pace != 0)
            send_due(begin_us, n_sent);
        poller_wait(&run.poller, run.options.pace != 0 ? 1 : 10, on_ready);
    }
}

static void close_channels(void)
{
    for (size_t i = 0; i < run.options.n_connections; i++) {
        conn_close(&run.channels[i].conn);
        free(run.channels[i].sent_us);
    }
    free(run.channels);
    free(run.prepared.ends);
    kv_buffer_fini(&run.prepared.bytes);
}

void load_requests(const struct protocol *protocol, const struct load_options *options)
{
    run.protocol = protocol;
    run.options = *options;
    prepare(PREPARED, true);
    open_channels();
    int64_t lasting_us = (int64_t)(options->seconds * 1e6);
    int64_t first_us = run.now_us = time_us();
    uint64_t n_sent = 0;
    run.is_ending = options->pace != 0; /* on_ready() sends nothing: turn_until() does */
    for (size_t i = 0; i < options->n_connections && options->pace == 0; i++) {
        send_requests(&run.channels[i], options->depth);
        conn_flush(&run.channels[i].conn);
    }
    turn_until(first_us, first_us + lasting_us / WARM_UP_SHARE, &n_sent);
    run.is_measuring = true;
    int64_t begin_us = run.now_us;
    turn_until(first_us, begin_us + lasting_us, &n_sent);
    double seconds = (double)(run.now_us - begin_us) / 1e6;
    printf("{\"load\":\"%s\",\"connections\":%zu,\"depth\":%zu,\"rate\":%.0f,\"answers\":%ju,"
           "\"failed\":%ju,"
           "\"p50_us\":%ju,\"p99_us\":%ju,\"p999_us\":%ju}\n",
           protocol->name, options->n_connections, options->depth, (double)run.n_answers / seconds,
           (uintmax_t)run.n_all_answers, (uintmax_t)run.n_failed,
           (uintmax_t)histogram_at(&run.histogram, 0.5),
           (uintmax_t)histogram_at(&run.histogram, 0.99),
           (uintmax_t)histogram_at(&run.histogram, 0.999));
    close_channels();
}

/* Sends remaining requests, as far as the channel may have more in flight. Returns: their
 * number. */
static size_t refill(struct channel *channel, size_t n_left)
{
    size_t room = run.options.depth - channel->n;
    size_t n = n_left < room ? n_left : room;
    send_requests(channel, n);
    conn_flush(&channel->conn);
    return n;
}

void load_fill(const struct protocol *protocol, const struct load_options *options)
{
    run.protocol = protocol;
    run.options = *options;
    prepare(options->workload.n_keys, false);
    open_channels();
    run.is_ending = true; /* on_ready() sends nothing: this loop does */
    int64_t begin_us = run.now_us = time_us();
    size_t n_left = run.prepared.n;
    while (n_left > 0 || run.n_in_flight > 0) {
        for (size_t i = 0; n_left > 0 && i < options->n_connections; i++)
            n_left -= refill(&run.channels[i], n_left);
        poller_wait(&run.poller, 10, on_ready);
    }
    printf("{\"load\":\"fill\",\"keys\":%zu,\"failed\":%ju,\"seconds\":%.2f}\n", run.prepared.n,
           (uintmax_t)run.n_failed, (double)(time_us() - begin_us) / 1e6);
    close_channels();
}
