/*
 * The Damerau-Levenshtein distance in its restricted form, "optimal string alignment" (Damerau,
 * "A technique for computer detection and correction of spelling errors", 1964). Three rows of
 * the table suffice, as a swap looks two rows back.
 */
#include "base/distance.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum {
    LONGEST = 64
};

static int min(int a, int b)
{
    return a < b ? a : b;
}

static bool is_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Three rows of the table, the oldest first. */
struct rows {
    int before[LONGEST + 1], last[LONGEST + 1], now[LONGEST + 1];
};

/* Fills the row for the i-th letter of a, counted from 1. */
static void fill_row(struct rows *rows, const char *a, int i, const char *b, int b_len)
{
    rows->now[0] = i;
    for (int j = 1; j <= b_len; j++) {
        int mistaken = rows->last[j - 1] + !is_same(a[i - 1], b[j - 1]);
        int least = min(mistaken, min(rows->last[j], rows->now[j - 1]) + 1);
        if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1]))
            least = min(least, rows->before[j - 2] + 1);
        rows->now[j] = least;
    }
}

int kv_name_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > LONGEST || b_len > LONGEST)
        return KV_DISTANCE_FAR;
    struct rows rows = {0};
    for (int j = 0; j <= (int)b_len; j++)
        rows.now[j] = j;
    for (int i = 1; i <= (int)a_len; i++) {
        memcpy(rows.before, rows.last, sizeof(rows.before));
        memcpy(rows.last, rows.now, sizeof(rows.last));
        fill_row(&rows, a, i, b, (int)b_len);
    }
    int distance = rows.now[b_len];
    int longer = (int)(a_len > b_len ? a_len : b_len);
    return distance <= longer / 3 || (distance == 1 && longer > 1) ? distance : KV_DISTANCE_FAR;
}

void kv_name_offer(const char *name, const char *known, const char **nearest)
{
    int distance = kv_name_distance(name, known);
    if (distance != KV_DISTANCE_FAR &&
        (*nearest == NULL || distance < kv_name_distance(name, *nearest)))
        *nearest = known;
}
