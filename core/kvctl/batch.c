#include "kvctl/batch.h"

#include <stdlib.h>

#include "kvctl/say.h"
#include "wire/json.h"
#include "wire/json_string.h"

enum {
    MOST_BYTES = 4 << 20 /* a batch of this size is full, even with few writes */
};

int kv_ctl_batch_init(struct kv_ctl_batch *batch, struct kv_ctl_call *call, const char *name,
                      uint64_t most, const char *verb)
{
    *batch = (struct kv_ctl_batch){.call = call, .name = name, .most = most};
    batch->numbers = calloc(most, sizeof(*batch->numbers));
    if (batch->numbers == NULL) {
        kv_ctl_say("there is no memory for such batches");
        return -1;
    }
    kv_ctl_meter_start(&batch->meter, call, verb);
    return 0;
}

void kv_ctl_batch_fini(struct kv_ctl_batch *batch)
{
    free(batch->numbers);
    kv_buffer_fini(&batch->text);
    kv_ctl_answer_fini(&batch->answer);
}

static void begin_message(struct kv_ctl_batch *batch, uint64_t number, const char *front,
                          struct kv_slice key)
{
    kv_buffer_append_char(&batch->text, batch->n == 0 ? '[' : ',');
    kv_buffer_append(&batch->text, kv_slice_of(front));
    kv_buffer_append(&batch->text, key);
    batch->numbers[batch->n++] = number;
}

void kv_ctl_batch_set(struct kv_ctl_batch *batch, uint64_t number, struct kv_slice key,
                      struct kv_slice value, struct kv_slice ttl)
{
    begin_message(batch, number, "{\"type\":\"set\",\"payload\":{\"key\":", key);
    kv_buffer_append(&batch->text, KV_SLICE(",\"value\":"));
    kv_buffer_append(&batch->text, value);
    if (ttl.bytes != NULL) {
        kv_buffer_append(&batch->text, KV_SLICE(",\"ttl\":"));
        kv_buffer_append(&batch->text, ttl);
    }
    kv_buffer_append(&batch->text, KV_SLICE("}}"));
}

void kv_ctl_batch_delete(struct kv_ctl_batch *batch, uint64_t number, struct kv_slice key)
{
    begin_message(batch, number, "{\"type\":\"delete\",\"payload\":{\"key\":", key);
    kv_buffer_append(&batch->text, KV_SLICE("}}"));
}

bool kv_ctl_batch_is_full(const struct kv_ctl_batch *batch)
{
    return batch->n == batch->most || batch->text.len >= MOST_BYTES;
}

/* Returns: the exit code; failures have been reported. */
static int judge_answer(const struct kv_ctl_batch *batch, uint64_t number, struct kv_slice answer)
{
    struct kv_slice type, payload;
    struct kv_buffer text = {0};
    if (kv_json_type_of(answer) != KV_JSON_OBJECT)
        return KV_CTL_DONE;
    type = kv_ctl_member(answer, KV_SLICE("type"));
    payload = kv_ctl_member(answer, KV_SLICE("payload"));
    if (kv_json_type_of(type) != KV_JSON_STRING || !kv_json_string_equals(type, KV_SLICE("error")))
        return KV_CTL_DONE;
    if (kv_json_type_of(payload) == KV_JSON_STRING)
        kv_json_unescape(payload, &text);
    kv_ctl_meter_erase(&batch->meter);
    kv_ctl_say("%s:%ju: %.*s", batch->name, (uintmax_t)number, (int)text.len, text.bytes);
    kv_buffer_fini(&text);
    return KV_CTL_REFUSED;
}

/* Returns: the most severe of the exit codes; failures have been reported. */
static int judge(const struct kv_ctl_batch *batch)
{
    struct kv_slice answers = kv_buffer_slice(&batch->answer.body), answer;
    struct kv_json_error error;
    size_t at = 0;
    int code = KV_CTL_DONE;
    for (uint64_t i = 0;
         i < batch->n && kv_json_read_array(answers, KV_JSON_MAX_DEPTH, &at, &answer, &error) == 1;
         i++) {
        int judged = judge_answer(batch, batch->numbers[i], answer);
        code = judged > code ? judged : code;
    }
    return code;
}

void kv_ctl_batch_tell_how_far(const struct kv_ctl_batch *batch)
{
    if (batch->n == 0)
        return;
    kv_ctl_meter_erase(&batch->meter);
    kv_ctl_say("%s: %ju keys were %s before that, and some of the %ju up to line %ju may have been",
               batch->name, (uintmax_t)batch->n_done, batch->meter.verb, (uintmax_t)batch->n,
               (uintmax_t)batch->numbers[batch->n - 1]);
}

int kv_ctl_batch_send(struct kv_ctl_batch *batch)
{
    if (batch->n == 0)
        return KV_CTL_DONE;
    kv_buffer_append_char(&batch->text, ']');
    int code =
        kv_ctl_ask_batch(batch->call, kv_buffer_slice(&batch->text), batch->name, &batch->answer);
    if (code == KV_CTL_DONE)
        code = judge(batch);
    else if (code != KV_CTL_REFUSED)
        kv_ctl_batch_tell_how_far(batch);
    kv_ctl_meter_add(&batch->meter, batch->n, batch->text.len);
    batch->n_done += batch->n;
    batch->n = 0;
    batch->text.len = 0;
    return code;
}
