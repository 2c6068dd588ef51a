/*
 * Eight bytes at a time in one 64-bit word. Each test marks bytes by their highest bit; the lowest
 * mark is exact (a borrow can only raise false marks above a true one), which is all that is asked
 * of it. (Lamport, "Multiple Byte Processing with Full-Word Instructions", 1975; Mycroft, 1987.)
 */
#ifndef KV_BASE_SWAR_H
#define KV_BASE_SWAR_H

#include <endian.h>
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

/* Marks the byte. */
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

/* Marks what a JSON string must escape: `"`, `\` and controls. */
static inline uint64_t kv_swar_specials(uint64_t word)
{
    return kv_swar_below(word, 0x20) | kv_swar_equal(word, '"') | kv_swar_equal(word, '\\');
}

/* Marks what is not ASCII. */
static inline uint64_t kv_swar_not_ascii(uint64_t word)
{
    return word & KV_SWAR_HIGH;
}

/* The place of the lowest mark. marks: not 0. */
static inline size_t kv_swar_first(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

#endif
