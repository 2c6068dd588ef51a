/*
 * Processes eight bytes at a time in one 64-bit word. Each test marks bytes by their highest bit;
 * only the lowest mark is exact, which suffices (a borrow can cause false marks above a true one).
 * (Lamport, "Multiple Byte Processing with Full-Word Instructions", 1975; Mycroft, 1987.)
 */
#ifndef KV_BASE_SWAR_H
#define KV_BASE_SWAR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KV_SWAR_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define KV_SWAR_HIGH       KV_SWAR_EACH(0x80)

/* The first byte is the lowest of the word. */
static inline uint64_t kv_swar_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

/* Marks bytes equal to `byte`. */
static inline uint64_t kv_swar_equal(uint64_t word, unsigned char byte)
{
    uint64_t differences = word ^ KV_SWAR_EACH(byte);
    return (differences - KV_SWAR_EACH(1)) & ~differences & KV_SWAR_HIGH;
}

/* Marks the bytes below `limit`, which is at most 0x80. */
static inline uint64_t kv_swar_below(uint64_t word, unsigned char limit)
{
    return (word - KV_SWAR_EACH(limit)) & ~word & KV_SWAR_HIGH;
}

/* Marks the characters that a JSON string must escape: `"`, `\` and controls. With one bit
 * inverted, `"` comes directly after the controls, and one test finds both (Lemire, "Detect control
 * characters, quotes and backslashes efficiently using 'SWAR'", 2025). */
static inline uint64_t kv_swar_specials(uint64_t word)
{
    uint64_t below = (word ^ KV_SWAR_EACH('"' ^ 0x20)) - KV_SWAR_EACH(0x21);
    uint64_t equal = (word ^ KV_SWAR_EACH('\\')) - KV_SWAR_EACH(1);
    return (below | equal) & ~word & KV_SWAR_HIGH;
}

/* Marks bytes that are not ASCII. */
static inline uint64_t kv_swar_not_ascii(uint64_t word)
{
    return word & KV_SWAR_HIGH;
}

static inline uint32_t kv_swar_load_half(const char *at)
{
    uint32_t half;
    memcpy(&half, at, sizeof(half));
    return half;
}

/* Whether `len` bytes are the same: without a call if they are few, as in names. The first and the
 * last word overlap. Always inline, as a call would cost more than most comparisons. */
__attribute__((always_inline)) static inline bool kv_swar_same(const char *a, const char *b,
                                                               size_t len)
{
    if (len > 16)
        return memcmp(a, b, len) == 0;
    if (len >= 8)
        return kv_swar_load(a) == kv_swar_load(b) &&
               kv_swar_load(a + len - 8) == kv_swar_load(b + len - 8);
    if (len >= 4)
        return kv_swar_load_half(a) == kv_swar_load_half(b) &&
               kv_swar_load_half(a + len - 4) == kv_swar_load_half(b + len - 4);
    return len == 0 || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
}

/* The index of the lowest mark. marks: not 0. */
static inline size_t kv_swar_first(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

#endif
