/*
 * The program's messages about an invalid configuration.
 */
#ifndef KV_TEST_FAULTS_H
#define KV_TEST_FAULTS_H

#include <stddef.h>

/* Checks a file from another working directory; the file's folder also contains a folder `dir`.
 * Returns: the program's messages, with `%s` for the file's folder; empty if the file is valid.
 * Owns: the caller, by free(). */
char *kv_test_faults_of(const char *yaml);

/* Fails the test unless these are the faults, in this order. Each is on the file's first line, and
 * starts with its column: `11: storage: …`. */
void kv_test_expect_faults(const char *yaml, const char *const faults[], size_t n);

#endif
