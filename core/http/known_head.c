/* A head ends with the first empty line, so none is the beginning of another. */
#include "http/known_head.h"

static size_t count_digits(struct kv_slice text)
{
    size_t n = 0;
    while (n < text.len && text.bytes[n] >= '0' && text.bytes[n] <= '9')
        n++;
    return n;
}

/* Where the digits end; for a head without a length, where it would have them. */
static size_t find_end_of_digits(const struct kv_known_head *known, struct kv_slice input)
{
    size_t at = known->length_at;
    if (!known->has_length)
        return at;
    return at + count_digits((struct kv_slice){input.bytes + at, input.len - at});
}

static inline void describe(const struct kv_known_head *known, const char *bytes, size_t n_digits,
                            struct kv_plain_head *ret)
{
    size_t shift = known->host_at < known->length_at ? 0 : n_digits;
    ret->text = (struct kv_slice){bytes, known->len + n_digits};
    ret->host = (struct kv_slice){bytes + known->host_at + shift, known->host_len};
    ret->length = known->has_length ? (struct kv_slice){bytes + known->length_at, n_digits}
                                    : (struct kv_slice){0};
}

static bool matches(const struct kv_known_head *known, struct kv_slice input,
                    struct kv_plain_head *ret)
{
    size_t at = known->length_at;
    if (known->len == 0 || input.len < known->len || memcmp(input.bytes, known->bytes, at) != 0)
        return false;
    size_t end = find_end_of_digits(known, input);
    size_t rest = known->len - at;
    if (input.len - end < rest ||
        (rest != 0 && memcmp(input.bytes + end, known->bytes + at, rest) != 0))
        return false;
    describe(known, input.bytes, end - at, ret);
    return true;
}

bool kv_head_memory_recall(const struct kv_head_memory *memory, struct kv_slice input,
                           struct kv_plain_head *ret)
{
    return matches(memory->usual, input, ret);
}

static const struct kv_known_head *find(const struct kv_known_heads *known, struct kv_slice text)
{
    struct kv_plain_head ignored;
    for (size_t i = 0; i < KV_MOST_KNOWN_HEADS; i++)
        if (matches(&known->all[i], text, &ignored))
            return &known->all[i];
    return NULL;
}

static void remember(struct kv_known_head *known, const struct kv_plain_head *head)
{
    const char *text = head->text.bytes;
    bool has_length = head->length.bytes != NULL;
    size_t at = has_length ? (size_t)(head->length.bytes - text) : head->text.len;
    size_t end = at + head->length.len;
    size_t host_at = (size_t)(head->host.bytes - text);
    memcpy(known->bytes, text, at);
    memcpy(known->bytes + at, text + end, head->text.len - end);
    known->len = head->text.len - head->length.len;
    known->length_at = at;
    known->has_length = has_length;
    known->host_at = host_at < at ? host_at : host_at - head->length.len;
    known->host_len = head->host.len;
}

static const struct kv_known_head *add(struct kv_known_heads *known,
                                       const struct kv_plain_head *head)
{
    struct kv_known_head *added = &known->all[known->next];
    known->next = (known->next + 1) % KV_MOST_KNOWN_HEADS;
    remember(added, head);
    return added;
}

void kv_head_memory_learn(struct kv_head_memory *memory, const struct kv_plain_head *head)
{
    const struct kv_known_head *known = find(memory->known, head->text);
    if (known != NULL)
        memory->usual = known;
    else if (head->text.len <= KV_LONGEST_KNOWN_HEAD)
        memory->usual = add(memory->known, head);
}
