/* Assertions for the tests, one line each at the call site. */
#include "contract/store/fixture.h"

uint64_t put(struct fixture *fixture, struct kv_slice key, struct kv_slice value)
{
    return put_until(fixture, key, value, KV_NEVER);
}

uint64_t put_until(struct fixture *fixture, struct kv_slice key, struct kv_slice value,
                   int64_t deadline_ms)
{
    struct call call = run(fixture, call_set_until(key, value, deadline_ms));
    assert_int_equal(call.cmd.status, KV_OK);
    return call.cmd.revision;
}

void assert_status(struct fixture *fixture, struct call call, enum kv_status expected)
{
    struct call done = run(fixture, call);
    release(fixture, &done.cmd.item);
    assert_int_equal(done.cmd.status, expected);
}

void assert_slice(struct kv_slice actual, struct kv_slice expected)
{
    assert_int_equal(actual.len, expected.len);
    assert_true(kv_slice_equals(actual, expected));
}

void assert_holds(struct fixture *fixture, struct kv_slice key, struct kv_slice value)
{
    struct call call = run(fixture, call_get(key));
    assert_int_equal(call.cmd.status, KV_OK);
    assert_slice(call.cmd.item.value, value);
    release(fixture, &call.cmd.item);
}

void assert_missing(struct fixture *fixture, struct kv_slice key)
{
    assert_status(fixture, call_get(key), KV_MISSING);
}

void forget_changes(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->n_told; i++) {
        if (fixture->told[i].key_copy != NULL) {
            free(fixture->told[i].key_copy);
            continue;
        }
        release(fixture, &fixture->told[i].change.before);
        release(fixture, &fixture->told[i].change.after);
    }
    fixture->n_told = 0;
}

void assert_n_told(struct fixture *fixture, size_t n)
{
    assert_int_equal(fixture->n_told, n);
}

static void assert_state(const struct kv_item *item, const char *value)
{
    if (value == NULL) {
        assert_int_equal(item->revision, 0);
        return;
    }
    assert_int_not_equal(item->revision, 0);
    assert_slice(item->value, kv_slice_of(value));
}

const struct kv_change *assert_told(struct fixture *fixture, size_t i, enum kv_reason reason,
                                    struct kv_slice key, const char *before, const char *after)
{
    assert_true(i < fixture->n_told);
    const struct kv_change *change = &fixture->told[i].change;
    assert_int_equal(change->reason, reason);
    assert_slice(change->key, key);
    assert_state(&change->before, before);
    assert_state(&change->after, after);
    return change;
}
