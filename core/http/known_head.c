/* A head ends with its first empty line, so no head is the beginning of another. */
#include "http/known_head.h"

#include <assert.h>

#include "base/swar.h"

static size_t count_digits(struct kv_slice text)
{
    size_t n = 0;
    while (n < text.len && text.bytes[n] >= '0' && text.bytes[n] <= '9')
        n++;
    return n;
}

static inline bool begins_with(struct kv_slice text, const char *bytes, size_t len)
{
    return text.len >= len && kv_swar_same(text.bytes, bytes, len);
}

static inline struct kv_slice skip(struct kv_slice text, size_t n)
{
    return (struct kv_slice){text.bytes + n, text.len - n};
}

/* Takes the content of a gap off the input. Returns: false if the token is another one. */
static inline bool take_gap(const struct kv_head_gap *gap, struct kv_slice token,
                            struct kv_slice *input, struct kv_plain_head *ret)
{
    if (gap->is_token && (token.len == 0 || !begins_with(*input, token.bytes, token.len)))
        return false;
    ret->is_usual_token |= gap->is_token;
    size_t len = gap->is_token ? token.len : count_digits(*input);
    struct kv_slice *what = gap->is_token ? &ret->token : &ret->length;
    *what = (struct kv_slice){input->bytes, len};
    *input = skip(*input, len);
    return true;
}

/* matches() for a head without gaps. */
static inline bool matches_as_it_is(const struct kv_known_head *known, struct kv_slice input,
                                    struct kv_plain_head *ret)
{
    if (known->len == 0 || !begins_with(input, known->bytes, known->len))
        return false;
    *ret = (struct kv_plain_head){.text = {input.bytes, known->len},
                                  .host = {input.bytes + known->host_at, known->host_len}};
    return true;
}

static inline bool has_token_only(const struct kv_known_head *known)
{
    return known->n_gaps == 1 && known->gaps[0].is_token;
}

/* matches() for the heads of requests without a body. */
static inline bool matches_with_token(const struct kv_known_head *known, struct kv_slice token,
                                      struct kv_slice input, struct kv_plain_head *ret)
{
    size_t before = known->gaps[0].at, len = known->len + token.len;
    const char *from = input.bytes + before, *behind = from + token.len;
    if (token.len == 0 || input.len < len || !kv_swar_same(input.bytes, known->bytes, before) ||
        !kv_swar_same(from, token.bytes, token.len) ||
        !kv_swar_same(behind, known->bytes + before, known->len - before))
        return false;
    size_t host_at = known->host_at + (known->host_at >= before ? token.len : 0);
    *ret = (struct kv_plain_head){.text = {input.bytes, len},
                                  .host = {input.bytes + host_at, known->host_len},
                                  .token = {from, token.len},
                                  .is_usual_token = true};
    return true;
}

/* *ret: valid only if it matches. */
static inline bool matches(const struct kv_known_head *known, struct kv_slice token,
                           struct kv_slice input, struct kv_plain_head *ret)
{
    const char *begin = input.bytes;
    size_t from = 0;
    if (known->len == 0)
        return false;
    *ret = (struct kv_plain_head){.host = {begin + known->host_at, known->host_len}};
    for (size_t i = 0; i < known->n_gaps; i++) {
        const struct kv_head_gap *gap = &known->gaps[i];
        if (!begins_with(input, known->bytes + from, gap->at - from))
            return false;
        input = skip(input, gap->at - from);
        const char *at = input.bytes;
        if (!take_gap(gap, token, &input, ret))
            return false;
        if (known->host_at >= gap->at)
            ret->host.bytes += input.bytes - at;
        from = gap->at;
    }
    if (!begins_with(input, known->bytes + from, known->len - from))
        return false;
    ret->text = (struct kv_slice){begin, (size_t)(input.bytes - begin) + known->len - from};
    return true;
}

static inline void shift(struct kv_slice *slice, ptrdiff_t distance)
{
    if (slice->bytes != NULL)
        slice->bytes += distance;
}

/* Need not take equally long for any two tokens: the client has sent both of them. */
static inline bool repeats(struct kv_plain_head *head, struct kv_slice input)
{
    if (head->text.len == 0 || !begins_with(input, head->text.bytes, head->text.len))
        return false;
    ptrdiff_t distance = input.bytes - head->text.bytes;
    head->text.bytes = input.bytes;
    head->host.bytes += distance;
    shift(&head->length, distance);
    shift(&head->token, distance);
    return true;
}

bool kv_head_memory_recall(struct kv_head_memory *memory, struct kv_slice input)
{
    const struct kv_known_head *usual = memory->usual;
    struct kv_plain_head *head = &memory->head;
    bool is_usual;
    if (usual->n_gaps == 0)
        is_usual = matches_as_it_is(usual, input, head);
    else if (repeats(head, input))
        return true;
    else if (has_token_only(usual))
        is_usual = matches_with_token(usual, memory->token, input, head);
    else
        is_usual = matches(usual, memory->token, input, head);
    if (!is_usual)
        *head = (struct kv_plain_head){0};
    return is_usual;
}

static const struct kv_known_head *find(const struct kv_known_heads *known,
                                        const struct kv_plain_head *head)
{
    struct kv_plain_head ignored;
    for (size_t i = 0; i < KV_MOST_KNOWN_HEADS; i++)
        if (matches(&known->all[i], head->token, head->text, &ignored))
            return &known->all[i];
    return NULL;
}

/* Copies the text up to a gap, and leaves out the gap's content. */
static void add_gap(struct kv_known_head *known, struct kv_slice *rest, struct kv_slice content,
                    bool is_token)
{
    size_t len = (size_t)(content.bytes - rest->bytes);
    memcpy(known->bytes + known->len, rest->bytes, len);
    known->len += len;
    known->gaps[known->n_gaps++] = (struct kv_head_gap){known->len, is_token};
    *rest = skip(*rest, len + content.len);
}

static void remember(struct kv_known_head *known, const struct kv_plain_head *head)
{
    const struct kv_slice length = head->length, token = head->token;
    struct kv_slice rest = head->text;
    size_t host_at = (size_t)(head->host.bytes - head->text.bytes);
    bool length_is_first = token.bytes == NULL || length.bytes < token.bytes;
    known->len = known->n_gaps = 0;
    if (length.bytes != NULL && length_is_first)
        add_gap(known, &rest, length, false);
    if (token.bytes != NULL)
        add_gap(known, &rest, token, true);
    if (length.bytes != NULL && !length_is_first)
        add_gap(known, &rest, length, false);
    memcpy(known->bytes + known->len, rest.bytes, rest.len);
    known->len += rest.len;
    known->host_at = host_at - (length.bytes < head->host.bytes ? length.len : 0) -
                     (token.bytes < head->host.bytes ? token.len : 0);
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

void kv_head_memory_learn(struct kv_head_memory *memory)
{
    const struct kv_plain_head *head = &memory->head;
    assert(memory->known != NULL);
    const struct kv_known_head *known = find(memory->known, head);
    if (known != NULL)
        memory->usual = known;
    else if (head->text.len - head->token.len <= KV_LONGEST_KNOWN_HEAD)
        memory->usual = add(memory->known, head);
}

void kv_known_heads_forget(struct kv_known_heads *known)
{
    for (size_t i = 0; i < KV_MOST_KNOWN_HEADS; i++)
        known->all[i].len = known->all[i].n_gaps = 0;
}
