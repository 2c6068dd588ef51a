#include "contract/store/sum.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>

#include "contract/store/fixture.h"

static uint64_t sum;

static void add(const void *bytes, size_t len)
{
    for (const unsigned char *at = bytes; len != 0; at++, len--)
        sum = (sum ^ *at) * UINT64_C(1099511628211);
}

static int add_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    char bytes[4096];
    uint64_t before = sum;
    (void)walk;
    sum = UINT64_C(14695981039346656037);
    add(path, strlen(path));
    FILE *file = type == FTW_F ? fopen(path, "re") : NULL;
    for (size_t n; file != NULL && (n = fread(bytes, 1, sizeof(bytes), file)) != 0;)
        add(bytes, n);
    if (file != NULL) {
        fclose(file);
        add(&status->st_size, sizeof(status->st_size));
    }
    sum += before; /* readdir() has no order */
    return 0;
}

uint64_t folder_sum(const char *folder)
{
    sum = 0;
    assert_int_equal(nftw(folder, add_file, 16, FTW_PHYS), 0);
    return sum;
}
