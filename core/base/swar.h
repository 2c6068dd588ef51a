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

/* Marks what a JSON string must escape: `"`, `\` and controls. */
static inline uint64_t kv_swar_specials(uint64_t word)
{
    uint64_t quotes = word ^ KV_SWAR_EACH('"');
    uint64_t backslashes = word ^ KV_SWAR_EACH('\\');
    uint64_t marks = (word - KV_SWAR_EACH(0x20)) & ~word;
    marks |= (quotes - KV_SWAR_EACH(1)) & ~quotes;
    marks |= (backslashes - KV_SWAR_EACH(1)) & ~backslashes;
    return marks & KV_SWAR_HIGH;
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
