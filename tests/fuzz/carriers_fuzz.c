/*
 * The two implementations of HTTP, the fast path and libh2o: the same bytes get the same answers,
 * byte for byte except for the time of day and revisions, and both end the connection or keep it.
 *
 * The first byte of an input determines the pieces in which the rest arrives.
 */
#include <ctype.h>
#include <stdlib.h>

#include "served.h"

enum {
    DATE_LEN = 29,
    MOST_REVISIONS = 4096
};

struct outcome {
    struct kv_buffer answers;
    bool is_ended;
};

/* Numbers revisions in the order of their first appearance. */
struct numbering {
    uint64_t seen[MOST_REVISIONS];
    size_t n;
};

static size_t number_of(struct numbering *numbering, uint64_t revision)
{
    size_t i = 0;
    while (i < numbering->n && numbering->seen[i] != revision)
        i++;
    if (i == numbering->n && i < MOST_REVISIONS)
        numbering->seen[numbering->n++] = revision;
    return i;
}

static bool begins_with(struct kv_slice text, size_t at, struct kv_slice what)
{
    return text.len - at > what.len && memcmp(text.bytes + at, what.bytes, what.len) == 0;
}

/* The text up to the start of a pattern. */
static struct kv_slice before(struct kv_slice text, const char *what)
{
    const char *found = text.len == 0 ? NULL : memmem(text.bytes, text.len, what, strlen(what));
    return found == NULL ? text : (struct kv_slice){text.bytes, (size_t)(found - text.bytes)};
}

/* The length of the text before a revision, if one follows; otherwise 0. */
static size_t introduces_revision(struct kv_slice text, size_t at)
{
    static const struct kv_slice before[] = {{"\r\netag: \"", 9}, {"\"revision\":", 11}};
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        if (begins_with(text, at, before[i]))
            return before[i].len;
    return 0;
}

/* Copies the answers without the parts in which two servers differ. */
static struct kv_buffer normalize(struct kv_slice text)
{
    struct kv_slice date = KV_SLICE("\r\nDate: ");
    struct kv_buffer out = {0};
    struct numbering numbering;
    numbering.n = 0;
    /* Frames and events belong to other protocols. */
    text = before(before(text, "HTTP/1.1 101 "), "retry: ");
    for (size_t at = 0; at < text.len;) {
        size_t n = introduces_revision(text, at);
        if (begins_with(text, at, date)) {
            kv_buffer_append(&out, date);
            at += date.len + DATE_LEN;
        } else if (n != 0) {
            kv_buffer_append(&out, (struct kv_slice){text.bytes + at, n});
            at += n;
            kv_buffer_append_u64(&out, number_of(&numbering, strtoull(text.bytes + at, NULL, 10)));
            while (at < text.len && isdigit((unsigned char)text.bytes[at]))
                at++;
        } else {
            kv_buffer_append_char(&out, text.bytes[at++]);
        }
    }
    return out;
}

static struct outcome serve(enum served_way way, struct kv_slice input, size_t piece)
{
    struct outcome outcome;
    served_open(way);
    served_send(input, piece);
    served_pass_time(0);
    outcome.is_ended = served_is_ended();
    outcome.answers = normalize(served_close());
    return outcome;
}

static void show(const char *who, const struct outcome *outcome)
{
    fprintf(stderr, "%s%s:\n%.*s\n", who, outcome->is_ended ? " (ended)" : "",
            (int)outcome->answers.len, outcome->answers.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct kv_slice input = fuzz_slice(bytes + 1, len - 1);
    struct outcome fast = serve(SERVED_BY_FAST_PATH, input, bytes[0]);
    struct outcome h2o = serve(SERVED_BY_H2O, input, bytes[0]);
    bool is_same = fast.is_ended == h2o.is_ended &&
                   kv_slice_equals(kv_buffer_slice(&fast.answers), kv_buffer_slice(&h2o.answers));
    if (!is_same) {
        show("the fast path", &fast);
        show("libh2o", &h2o);
        abort();
    }
    kv_buffer_fini(&fast.answers);
    kv_buffer_fini(&h2o.answers);
    return 0;
}
