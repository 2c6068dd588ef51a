/*
 * The server's program as a child process, with its output kept in files of a folder that is made
 * for it.
 *
 * Errors: a child that cannot be made, or that does not end in time, fails the test.
 */
#ifndef KV_TEST_PROGRAM_H
#define KV_TEST_PROGRAM_H

#include "base/buffer.h"

#include <sys/types.h>

/* A child with its folder. The child dies with the test program. */
struct kv_test_program {
    pid_t pid; /* 0: not running */
    char folder[64];
};

/* What a program left behind. Owns: the texts, by kv_test_outcome_fini(). */
struct kv_test_outcome {
    int exit_code; /* 128 + the signal where one ended it */
    char *out;
    char *err;
};

/* Makes a fresh, empty folder. Owns: the caller, by kv_test_program_remove(). */
void kv_test_program_prepare(struct kv_test_program *program);

/* Deletes the folder and all that is in it. */
void kv_test_program_remove(struct kv_test_program *program);

/* Writes a file into the folder. Returns: its path, owned by the caller, by free(). */
char *kv_test_program_write(const struct kv_test_program *program, const char *name,
                            const char *text);

/* The text of a file in the folder; empty where there is none. Owns: the caller, by free(). */
char *kv_test_program_read(const struct kv_test_program *program, const char *name);

/* Starts the server's program; stdout and stderr go to the files `out` and `err`.
 * arguments: without the program's name, NULL at the end. */
void kv_test_program_spawn(struct kv_test_program *program, const char *const arguments[]);

/* Returns: whether it ended; then *ret_exit_code. */
bool kv_test_program_has_ended(struct kv_test_program *program, int *ret_exit_code);

/* Waits for the end. Returns: the exit code, or -1 where it had to be killed. */
int kv_test_program_wait(struct kv_test_program *program, int64_t limit_ms);

void kv_test_program_kill(struct kv_test_program *program);

/* What the running program has: open descriptors, memory in bytes, processor time so far. */
size_t kv_test_program_descriptors(const struct kv_test_program *program);
size_t kv_test_program_resident(const struct kv_test_program *program);
size_t kv_test_program_peak(const struct kv_test_program *program); /* of memory */
int64_t kv_test_program_processor_ms(const struct kv_test_program *program);

/* Of a thread of a process: as in proc(5), or 'X' where it has ended. */
char kv_test_program_thread_state(pid_t program, pid_t thread);

/* Whether it has this name, as `top -H` shows it. */
bool kv_test_program_thread_is(pid_t program, pid_t thread, const char *name);

/* Whether all of its threads wait for something, other than the disk or a processor. */
bool kv_test_program_is_asleep(const struct kv_test_program *program);

/* The processor time that its thread of that name has used; 0 where the kernel does not say. */
int64_t kv_test_program_used_us(const struct kv_test_program *program, const char *thread);

/* The peak of its memory is what it has now. */
void kv_test_program_forget_peak(const struct kv_test_program *program);

/* Runs the program to its end, with a folder of its own. */
void kv_test_program_run(const char *const arguments[], struct kv_test_outcome *ret);

/* Runs it with `-c FILE` behind the first argument, FILE holding the text. */
void kv_test_program_run_with_file(const char *argument, const char *yaml,
                                   struct kv_test_outcome *ret);

void kv_test_outcome_fini(struct kv_test_outcome *outcome);

#endif
