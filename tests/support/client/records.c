#include "support/client/records.h"

enum {
    CHANGE_CIPHER_SPEC = 20,
    APPLICATION = 23,
    LONGEST_PLAIN = 16384,
    MOST_ADDED_1_2 = 2048, /* by encryption */
    MOST_ADDED_1_3 = 256,
    LEAST_ENCRYPTED = 17 /* a tag of 16 bytes, and content: an alert in clear has 2 bytes */
};

static bool is_record(const struct kv_test_records *records, enum kv_test_keys keys)
{
    size_t most = LONGEST_PLAIN + (keys == KV_TEST_KEYS_1_3 ? MOST_ADDED_1_3 : MOST_ADDED_1_2);
    const unsigned char *header = records->header;
    return header[0] >= CHANGE_CIPHER_SPEC && header[0] <= APPLICATION && header[1] == 3 &&
           header[2] <= 3 && records->left != 0 && records->left <= most;
}

/* In TLS 1.3 every encrypted record has the type of application data; in TLS 1.2, only their length
 * tells them from others. */
static bool is_allowed(const struct kv_test_records *records, enum kv_test_keys keys)
{
    if (keys == KV_TEST_KEYS_1_3 && records->header[0] != APPLICATION)
        return false;
    if (keys == KV_TEST_NO_KEYS)
        return true;
    return records->header[0] != CHANGE_CIPHER_SPEC && records->left >= LEAST_ENCRYPTED;
}

static void take_header_byte(struct kv_test_records *records, char byte, enum kv_test_keys keys)
{
    const unsigned char *header = records->header;
    records->header[records->n_header++] = (unsigned char)byte;
    if (records->n_header < KV_TEST_RECORD_HEADER)
        return;
    records->left = (size_t)header[3] << 8 | header[4];
    records->n_header = 0;
    records->n++;
    records->has_fault |= !is_record(records, keys) || !is_allowed(records, keys);
}

void kv_test_records_add(struct kv_test_records *records, struct kv_slice bytes,
                         enum kv_test_keys keys)
{
    while (bytes.len != 0 && !records->has_fault) {
        size_t n = 1;
        if (records->left == 0) {
            take_header_byte(records, bytes.bytes[0], keys);
        } else {
            n = records->left < bytes.len ? records->left : bytes.len;
            records->left -= n;
        }
        bytes = (struct kv_slice){bytes.bytes + n, bytes.len - n};
    }
    if (records->left == 0 && records->n_header != 0) /* the type is known at once */
        records->has_fault |=
            records->header[0] < CHANGE_CIPHER_SPEC || records->header[0] > APPLICATION;
}
