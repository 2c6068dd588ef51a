/*
 * The server's program as a child process; its output is kept in files of a folder made for it.
 *
 * Errors: a child that cannot be started, or that does not end in time, fails the test.
 */
#ifndef KV_TEST_PROGRAM_H
#define KV_TEST_PROGRAM_H

#include "base/buffer.h"

#include <sys/types.h>

/* A child process with its folder. The child dies with the test program. */
struct kv_test_program {
    pid_t pid; /* 0: not running */
    char folder[64];
};

/* The result of a program run. Owns: the texts, by kv_test_outcome_fini(). */
struct kv_test_outcome {
    int exit_code; /* 128 + the signal if one ended it */
    char *out;
    char *err;
};

/* Makes a fresh, empty folder. Owns: the caller, by kv_test_program_remove(). */
void kv_test_program_prepare(struct kv_test_program *program);

/* Deletes the folder and its content. */
void kv_test_program_remove(struct kv_test_program *program);

/* Writes a file into the folder. Returns: its path. Owns: the caller, by free(). */
char *kv_test_program_write(const struct kv_test_program *program, const char *name,
                            const char *text);

/* The text of a file in the folder; empty if there is none. Owns: the caller, by free(). */
char *kv_test_program_read(const struct kv_test_program *program, const char *name);

/* Starts the server's program; stdout and stderr go to the files `out` and `err`.
 * arguments: without the program's name, NULL at the end. */
void kv_test_program_spawn(struct kv_test_program *program, const char *const arguments[]);

/* Returns: whether it ended; if so, *ret_exit_code is set. */
bool kv_test_program_has_ended(struct kv_test_program *program, int *ret_exit_code);

/* Waits for the end. Returns: the exit code, or -1 if the program had to be killed. */
int kv_test_program_wait(struct kv_test_program *program, int64_t limit_ms);

void kv_test_program_kill(struct kv_test_program *program);

/* Returns when all of its threads have stopped: the one that gets the signal stops the others, and
 * on a busy machine they run for a while until then. */
void kv_test_program_stop(const struct kv_test_program *program);
void kv_test_program_go_on(const struct kv_test_program *program);

/* Resources that the running program uses: open descriptors, memory in bytes, processor time so
 * far. */
size_t kv_test_program_descriptors(const struct kv_test_program *program);
size_t kv_test_program_resident(const struct kv_test_program *program);
size_t kv_test_program_peak(const struct kv_test_program *program); /* of memory */
int64_t kv_test_program_processor_ms(const struct kv_test_program *program);

/* The state of a thread of a process, as in proc(5); 'X' if it has ended. */
char kv_test_program_thread_state(pid_t program, pid_t thread);

/* Whether the thread has this name, as `top -H` shows it. */
bool kv_test_program_thread_is(pid_t program, pid_t thread, const char *name);

/* Whether all of its threads are waiting, for something other than the disk or a processor. */
bool kv_test_program_is_asleep(const struct kv_test_program *program);

/* The processor time used by its thread of that name; 0 if the kernel does not report it. */
int64_t kv_test_program_used_us(const struct kv_test_program *program, const char *thread);

/* Resets the peak of its memory to the current usage. */
void kv_test_program_forget_peak(const struct kv_test_program *program);

/* Runs the program to its end, in a folder of its own. */
void kv_test_program_run(const char *const arguments[], struct kv_test_outcome *ret);

/* Runs it with `-c FILE` after the first argument; FILE contains the text. */
void kv_test_program_run_with_file(const char *argument, const char *yaml,
                                   struct kv_test_outcome *ret);

void kv_test_outcome_fini(struct kv_test_outcome *outcome);

#endif
