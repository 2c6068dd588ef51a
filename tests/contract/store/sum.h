/*
 * A checksum over the names, lengths and contents of all files of a folder: if it is the same,
 * nothing was changed.
 */
#ifndef KV_CONTRACT_SUM_H
#define KV_CONTRACT_SUM_H

#include <stdint.h>

uint64_t folder_sum(const char *folder);

#endif
