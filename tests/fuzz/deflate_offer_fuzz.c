/*
 * Offers of permessage-deflate: the server's answer, taken as an offer, is accepted with the same
 * terms.
 */
#include "fuzz.h"
#include "wire/deflate_offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char room[KV_DEFLATE_LONGEST_ANSWER];
    struct kv_deflate_terms terms = {0}, again = {0};
    int result = kv_deflate_offer_read(fuzz_slice(bytes, len), &terms);
    struct kv_slice answer = kv_deflate_offer_answer(&terms, room);
    assert(result == 0 || result == -1);
    assert((answer.len != 0) == (terms.window_bits != 0));
    assert(terms.window_bits == 0 || (terms.window_bits >= 8 && terms.window_bits <= 15));
    if (answer.len != 0) {
        assert(kv_deflate_offer_read(answer, &again) == 0);
        assert(again.window_bits == terms.window_bits);
        assert(again.names_window == terms.names_window);
    }
    return 0;
}
