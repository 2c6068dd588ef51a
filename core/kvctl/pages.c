/* A page lists its keys and its prefixes separately, each in byte order: they are merged here. */
#include "kvctl/pages.h"

#include "wire/json.h"
#include "wire/json_string.h"

enum {
    PAGE_KEYS = 1000 /* a page with values ends at 16 MiB anyway */
};

/* The elements of one of a page's two arrays. */
struct side {
    struct kv_slice array;
    size_t at;
    struct kv_slice element;
    struct kv_buffer name;
    struct kv_ctl_entry entry;
    bool is_there;
};

struct walk {
    struct kv_ctl_call *call;
    const struct kv_ctl_listing *listing;
    kv_ctl_entry_fn on_entry;
    void *context;
    uint64_t n_left; /* until the limit; UINT64_MAX: no limit */
    struct kv_buffer path, cursor;
    struct kv_ctl_answer answer;
    struct side keys, prefixes;
    const char *subject;
};

/* ---- reading a page ---- */

/* text: a scanned integer. */
static uint64_t read_u64(struct kv_slice text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len && text.bytes[i] >= '0' && text.bytes[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text.bytes[i] - '0');
    return number;
}

enum {
    KEY,
    REVISION,
    TTL,
    VALUE,
    N_MEMBERS
};

/* Returns: whether the element is valid. */
static bool read_key(struct side *side)
{
    static const struct kv_json_field fields[N_MEMBERS] = {
        [KEY] = {.name = {"key", 3}},
        [REVISION] = {.name = {"revision", 8}},
        [TTL] = {.name = {"ttl", 3}},
        [VALUE] = {.name = {"value", 5}},
    };
    struct kv_slice members[N_MEMBERS] = {0};
    struct kv_json_error error;
    if (kv_json_read_object(side->element, KV_JSON_MAX_DEPTH, fields, N_MEMBERS, members, &error) !=
            0 ||
        kv_json_type_of(members[KEY]) != KV_JSON_STRING ||
        kv_json_unescape(members[KEY], &side->name) != 0)
        return false;
    side->entry = (struct kv_ctl_entry){
        .value = members[VALUE],
        .revision = read_u64(members[REVISION]),
        .ttl_ms = members[TTL].bytes == NULL ? -1 : (int64_t)read_u64(members[TTL])};
    return true;
}

static bool read_prefix(struct side *side)
{
    side->entry = (struct kv_ctl_entry){.is_prefix = true};
    return kv_json_type_of(side->element) == KV_JSON_STRING &&
           kv_json_unescape(side->element, &side->name) == 0;
}

/* Moves to the next element. Returns: false if the page is invalid. */
static bool step(struct side *side, bool (*read)(struct side *side))
{
    struct kv_json_error error;
    side->name.len = 0;
    side->is_there = false;
    if (side->array.bytes == NULL)
        return true;
    int result =
        kv_json_read_array(side->array, KV_JSON_MAX_DEPTH, &side->at, &side->element, &error);
    if (result <= 0)
        return result == 0;
    side->is_there = read(side);
    side->entry.name = kv_buffer_slice(&side->name);
    return side->is_there;
}

static bool is_before(const struct side *side, const struct side *other)
{
    return side->is_there &&
           (!other->is_there || kv_slice_compare(side->entry.name, other->entry.name) <= 0);
}

/* Returns: 1 if the caller wants to stop, 0 at the end of the page, -1 if the page is invalid. */
static int hand_over(struct walk *walk)
{
    struct side *keys = &walk->keys, *prefixes = &walk->prefixes;
    bool is_page = step(keys, read_key) && step(prefixes, read_prefix);
    while (is_page && (keys->is_there || prefixes->is_there)) {
        bool is_key = is_before(keys, prefixes);
        if (walk->n_left == 0 ||
            !walk->on_entry(walk->context, is_key ? &keys->entry : &prefixes->entry))
            return 1;
        walk->n_left -= walk->n_left == UINT64_MAX ? 0 : 1;
        is_page = is_key ? step(keys, read_key) : step(prefixes, read_prefix);
    }
    return is_page ? 0 : -1;
}

/* ---- requesting a page ---- */

static void append_parameter(struct kv_buffer *path, const char *name, struct kv_slice value)
{
    kv_buffer_printf(path, "&%s=", name);
    kv_ctl_append_escaped(path, value);
}

static void write_path(struct walk *walk)
{
    struct kv_buffer *path = &walk->path;
    const struct kv_ctl_listing *listing = walk->listing;
    path->len = 0;
    kv_buffer_printf(path, "/storage?limit=%ju",
                     (uintmax_t)(walk->n_left < PAGE_KEYS ? walk->n_left : PAGE_KEYS));
    append_parameter(path, "prefix", listing->prefix);
    if (listing->delimiter.len != 0)
        append_parameter(path, "delimiter", listing->delimiter);
    if (listing->with_values)
        kv_buffer_append(path, KV_SLICE("&values=true"));
    if (walk->cursor.len != 0)
        append_parameter(path, "cursor", kv_buffer_slice(&walk->cursor));
}

/* Picks the arrays and the cursor. Returns: whether it is a page. */
static bool read_page(struct walk *walk)
{
    static const struct kv_json_field fields[] = {
        {.name = {"keys", 4}}, {.name = {"prefixes", 8}}, {.name = {"cursor", 6}}};
    struct kv_slice members[3] = {0};
    struct kv_json_error error;
    if (kv_json_read_object(kv_buffer_slice(&walk->answer.body), KV_JSON_MAX_DEPTH, fields, 3,
                            members, &error) != 0 ||
        members[0].bytes == NULL)
        return false;
    walk->keys.array = members[0];
    walk->prefixes.array = members[1];
    walk->keys.at = walk->prefixes.at = 0;
    walk->cursor.len = 0;
    return members[2].bytes == NULL || (kv_json_type_of(members[2]) == KV_JSON_STRING &&
                                        kv_json_unescape(members[2], &walk->cursor) == 0);
}

/* Returns: the exit code; failures have been reported. *ret_goes_on: there is another page to
 * request. */
static int take_page(struct walk *walk, bool *ret_goes_on)
{
    write_path(walk);
    struct kv_ctl_request request = {.method = "GET", .path = kv_buffer_slice(&walk->path)};
    int code = kv_ctl_ask(walk->call, &request, walk->subject, 0, &walk->answer);
    *ret_goes_on = false;
    if (code != KV_CTL_DONE)
        return code;
    int result = read_page(walk) ? hand_over(walk) : -1;
    if (result < 0)
        return kv_ctl_tell_strange(walk->call, walk->subject);
    *ret_goes_on = result == 0 && walk->cursor.len != 0 && walk->n_left != 0;
    return KV_CTL_DONE;
}

int kv_ctl_pages_walk(struct kv_ctl_call *call, const struct kv_ctl_listing *listing,
                      kv_ctl_entry_fn on_entry, void *context)
{
    struct walk walk = {.call = call,
                        .listing = listing,
                        .on_entry = on_entry,
                        .context = context,
                        .n_left = listing->limit == 0 ? UINT64_MAX : listing->limit,
                        .subject = call->verb->name};
    int code;
    bool goes_on;
    do {
        code = take_page(&walk, &goes_on);
    } while (goes_on);
    kv_buffer_fini(&walk.path);
    kv_buffer_fini(&walk.cursor);
    kv_buffer_fini(&walk.keys.name);
    kv_buffer_fini(&walk.prefixes.name);
    kv_ctl_answer_fini(&walk.answer);
    return code;
}

int kv_ctl_pages_count(struct kv_ctl_call *call, struct kv_slice prefix, uint64_t *ret_n)
{
    struct kv_buffer path = {0};
    struct kv_ctl_answer answer = {0};
    kv_buffer_append(&path, KV_SLICE("/storage?count=true"));
    append_parameter(&path, "prefix", prefix);
    struct kv_ctl_request request = {.method = "GET", .path = kv_buffer_slice(&path)};
    int code = kv_ctl_ask(call, &request, call->verb->name, 0, &answer);
    struct kv_slice count = {0};
    if (code == KV_CTL_DONE)
        count = kv_ctl_member(kv_buffer_slice(&answer.body), KV_SLICE("count"));
    if (code == KV_CTL_DONE && kv_json_type_of(count) != KV_JSON_NUMBER)
        code = kv_ctl_tell_strange(call, call->verb->name);
    *ret_n = read_u64(count);
    kv_ctl_answer_fini(&answer);
    kv_buffer_fini(&path);
    return code;
}
