/*
 * A file of the journal: its name, its head, and how it is made. What is in it, and which segments
 * there are, journal.h says.
 *
 * The name is written and read by the same rule: the number in decimal with at least six digits,
 * then `.journal`. `000001.journal`, `999999.journal` and `1000000.journal` are names; `1.journal`,
 * `+00001.journal` and `000001.journal.bak` are files of somebody else.
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
    uint64_t generation;  /* 0: it never began, or is to be used again */
    uint64_t first, last; /* records that count; `last` of the current one is not kept */
    uint64_t base;        /* the last revision before those of its records; 0: not known */
    int64_t ended_ms;     /* CLOCK_MONOTONIC: when it was no more written to, or was opened */
    uint32_t n_pins;      /* pages of the log that are being read from it */
    bool is_forgotten;    /* the engine has all of it: it is kept for the log alone */
    bool is_cut;          /* the file has not the length that its head says */
    bool lacks_start;     /* its first record is damaged, as its head is */
};

void segment_name_write(uint64_t number, char name[SEGMENT_NAME_MAX]);

/* Returns: whether it is a name; then *ret_number. */
bool segment_name_read(const char *name, uint64_t *ret_number);

/* Opens a file that is there. Returns: NULL and errno. Owns: the caller, by segment_close(). */
struct segment *segment_open(const char *folder, uint64_t number);

/* Makes a file of `size` zeros, with a number above `above` that no file has. Returns: NULL and
 * errno. Owns: the caller, by segment_close() or segment_delete(). */
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

/* A segment that never began, which may be short, has no generation then. Returns: false if the
 * head is damaged: it is in one sector of the disk, which is written wholly or not at all. */
bool segment_read_head(struct segment *segment);

/* The same from the copy at the end. Returns: false if there is none: it is damaged, or the segment
 * was begun by a version that made none. */
bool segment_read_copy(struct segment *segment);

/* The generation that a head names, be it damaged or not. */
uint64_t segment_head_generation(const char head[SEGMENT_HEAD]);

bool segment_write(const struct segment *segment, const char *bytes, size_t len, size_t at);

/* Reads `len` bytes. Returns: false and errno. */
bool segment_read_at(const struct segment *segment, char *bytes, size_t len, size_t at);

/* Returns: all bytes of the file, for free(); NULL and errno. */
char *segment_read(const struct segment *segment);

/* ---- numbers and sums of the file ---- */

void segment_put_u64(char *at, uint64_t number);
uint64_t segment_get_u64(const char *at);

/* The sum of what follows it: the first 8 of `len` bytes are its place. */
uint64_t segment_sum(const char *bytes, size_t len, uint64_t generation);

#endif
