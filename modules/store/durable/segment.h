/*
 * A file of the journal: its name, its head, and its creation. journal.h describes its content and
 * the set of segments.
 *
 * The name is written and parsed by the same rule: the number in decimal with at least six digits,
 * then `.journal`. `000001.journal`, `999999.journal` and `1000000.journal` are names; `1.journal`,
 * `+00001.journal` and `000001.journal.bak` are foreign files.
 */
#ifndef KV_DURABLE_SEGMENT_H
#define KV_DURABLE_SEGMENT_H

#include <kvserver/types.h>

enum {
    SEGMENT_NAME_MAX = 32, /* bytes of any name, with the zero at its end */
    SEGMENT_HEAD = 64,     /* bytes of a file ahead of its records, */
    SEGMENT_COPY = 64      /* and at its end, where a copy of the head stands */
};

struct segment {
    struct segment *next; /* the one before, in time */
    uint64_t number;      /* of its file */
    int fd;
    size_t size;
    uint64_t generation;  /* 0: never started, or to be reused */
    uint64_t first, last; /* valid records; `last` of the current segment is not kept */
    uint64_t base;        /* the last revision before those of its records; 0: not known */
    int64_t ended_ms;     /* CLOCK_MONOTONIC: when its last write ended, or it was opened */
    uint32_t n_pins;      /* pages of the log that are being read from it */
    bool is_forgotten;    /* the engine has all of it: it is kept only for the log */
    bool is_cut;          /* the file's length is not the one in its head */
    bool lacks_start;     /* its first record is damaged, as its head is */
};

void segment_name_write(uint64_t number, char name[SEGMENT_NAME_MAX]);

/* Returns: whether the name is valid; if so, *ret_number is set. */
bool segment_name_read(const char *name, uint64_t *ret_number);

/* Opens an existing file. Returns: NULL and errno. Owns: the caller, by segment_close(). */
struct segment *segment_open(const char *folder, uint64_t number);

/* Creates a file of `size` zeros, with an unused number above `above`. Returns: NULL and errno.
 * Owns: the caller, by segment_close() or segment_delete(). */
struct segment *segment_make(const char *folder, uint64_t above, size_t size);

void segment_close(struct segment *segment);
void segment_delete(struct segment *segment, const char *folder);

/* The end of the room for records. */
static inline size_t segment_end(const struct segment *segment)
{
    return segment->size - SEGMENT_COPY;
}

/* Writes its generation, first record, size and base, twice. Returns: false and errno. */
bool segment_write_head(const struct segment *segment);

/* Reads the head. A segment that was never started, which may be short, gets no generation.
 * Returns: false if the head is damaged: it is in one sector of the disk, which is written
 * completely or not at all. */
bool segment_read_head(struct segment *segment);

/* The same from the copy at the end. Returns: false if there is none: it is damaged, or the segment
 * was started by a version that wrote none. */
bool segment_read_copy(struct segment *segment);

/* The generation in the head, which may be damaged. */
uint64_t segment_head_generation(const char head[SEGMENT_HEAD]);

bool segment_write(const struct segment *segment, const char *bytes, size_t len, size_t at);

/* Reads `len` bytes. Returns: false and errno. */
bool segment_read_at(const struct segment *segment, char *bytes, size_t len, size_t at);

/* Returns: all bytes of the file, for free(); NULL and errno. */
char *segment_read(const struct segment *segment);

/* ---- numbers and sums of the file ---- */

void segment_put_u64(char *at, uint64_t number);
uint64_t segment_get_u64(const char *at);

/* The sum of the bytes after it: the first 8 of `len` bytes are its place. */
uint64_t segment_sum(const char *bytes, size_t len, uint64_t generation);

#endif
