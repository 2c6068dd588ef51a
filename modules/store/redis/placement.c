/* With a seed the hash is SipHash-2-4 (Jean-Philippe Aumasson and Daniel J. Bernstein, 2012), as
 * its values cannot be foretold without the key. */
#include "placement.h"

#include <inttypes.h>

enum {
    WORD = 8, /* bytes */
};

/* ---- SipHash ---- */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t turn(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(struct sip *sip)
{
    sip->v0 += sip->v1;
    sip->v1 = turn(sip->v1, 13) ^ sip->v0;
    sip->v0 = turn(sip->v0, 32);
    sip->v2 += sip->v3;
    sip->v3 = turn(sip->v3, 16) ^ sip->v2;
    sip->v0 += sip->v3;
    sip->v3 = turn(sip->v3, 21) ^ sip->v0;
    sip->v2 += sip->v1;
    sip->v1 = turn(sip->v1, 17) ^ sip->v2;
    sip->v2 = turn(sip->v2, 32);
}

static void take_word(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    mix(sip);
    mix(sip);
    sip->v0 ^= word;
}

/* Up to 8 bytes, little-endian. */
static uint64_t read_word(const char *bytes, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    return word;
}

static uint64_t sip_hash(const unsigned char seed[SEED_BYTES], struct kv_slice text)
{
    uint64_t k0 = read_word((const char *)seed, WORD);
    uint64_t k1 = read_word((const char *)seed + WORD, WORD);
    struct sip sip = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                      k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    size_t at = 0;
    for (; text.len - at >= WORD; at += WORD)
        take_word(&sip, read_word(text.bytes + at, WORD));
    take_word(&sip, read_word(text.bytes + at, text.len - at) | (uint64_t)text.len << 56);
    sip.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        mix(&sip);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

/* ---- without a seed ---- */

/* FNV-1a, mixed. */
static uint64_t salted_hash(const char *salt, struct kv_slice text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *salt != '\0'; salt++)
        hash = (hash ^ (unsigned char)*salt) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.bytes[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    return hash * UINT64_C(0x9e3779b97f4a7c15);
}

uint32_t placement_part_of(const struct placement *placement, struct kv_slice key, uint32_t n_parts)
{
    uint64_t hash =
        placement->has_seed ? sip_hash(placement->seed, key) : salted_hash(placement->salt, key);
    return (uint32_t)((hash >> 32) * n_parts >> 32);
}

/* ---- what is stored ---- */

bool placement_make(struct placement *ret)
{
    *ret = (struct placement){.has_seed = true};
    return getrandom(ret->seed, SEED_BYTES, 0) == SEED_BYTES;
}

void placement_write(const struct placement *placement, struct placement_text *ret)
{
    ret->field = placement->has_seed ? "seed" : "salt";
    if (!placement->has_seed)
        memcpy(ret->value, placement->salt, KV_EPOCH_MAX);
    for (size_t i = 0; placement->has_seed && i < SEED_BYTES; i++)
        snprintf(ret->value + 2 * i, 3, "%02x", placement->seed[i]);
}

static int digit_of(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *at = digit == '\0' ? NULL : strchr(digits, digit);
    return at == NULL ? -1 : (int)(at - digits);
}

static bool read_seed(struct kv_slice text, unsigned char ret[SEED_BYTES])
{
    if (text.len != SEED_DIGITS)
        return false;
    for (size_t i = 0; i < SEED_BYTES; i++) {
        int high = digit_of(text.bytes[2 * i]), low = digit_of(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

bool placement_read(struct kv_slice seed, struct kv_slice salt, struct kv_slice epoch,
                    struct placement *ret)
{
    struct kv_slice text = salt.len != 0 ? salt : epoch;
    *ret = (struct placement){.has_seed = seed.len != 0};
    if (ret->has_seed)
        return read_seed(seed, ret->seed);
    if (text.len >= KV_EPOCH_MAX)
        return false;
    if (text.len != 0)
        memcpy(ret->salt, text.bytes, text.len);
    return true;
}

bool placement_equals(const struct placement *one, const struct placement *other)
{
    return one->has_seed == other->has_seed && memcmp(one->seed, other->seed, SEED_BYTES) == 0 &&
           strcmp(one->salt, other->salt) == 0;
}

void placement_next_epoch(const char *epoch, char ret[KV_EPOCH_MAX])
{
    static const unsigned char high[SEED_BYTES] = "after the loss 1";
    static const unsigned char low[SEED_BYTES] = "after the loss 2";
    snprintf(ret, KV_EPOCH_MAX, "%016" PRIx64 "%016" PRIx64, sip_hash(high, kv_slice_of(epoch)),
             sip_hash(low, kv_slice_of(epoch)));
}
