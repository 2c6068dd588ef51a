/*
 * A sum over all files of a folder: names, lengths, and what is in them. Where it is the same,
 * nothing was changed.
 */
#ifndef KV_CONTRACT_SUM_H
#define KV_CONTRACT_SUM_H

#include <stdint.h>

uint64_t folder_sum(const char *folder);

#endif
