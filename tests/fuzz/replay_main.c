/*
 * Runs a fuzz target over the files of the given folders: replays a corpus as an ordinary test.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static void fail(const char *path)
{
    perror(path);
    exit(1);
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        fail(path);
    size_t len = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(len);
    if (fread(bytes, 1, len, file) != len)
        fail(path);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, len);
    free(bytes);
}

/* Returns: the number of files. */
static size_t replay_folder(const char *folder)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        fail(folder);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        printf("%s\n", path);
        fflush(stdout);
        replay_file(path);
        n++;
    }
    closedir(entries);
    return n;
}

int main(int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++)
        n += replay_folder(argv[i]);
    printf("%zu files\n", n);
    return n > 0 ? 0 : 1;
}
