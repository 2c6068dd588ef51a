/*
 * A child process and its folder. Its output goes to files, not pipes, so that it never blocks on
 * the test.
 */
#include "support/client/program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client/folder.h"
#include "support/client/fork.h"
#include "support/client/stream.h"

enum {
    MAX_ARGUMENTS = 16,
    RUN_LIMIT_MS = 20000,
    WAIT_STEP_MS = 2,
};

static char *path_in(const struct kv_test_program *program, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", program->folder, name) < 0)
        fail_msg("no memory");
    return path;
}

void kv_test_program_prepare(struct kv_test_program *program)
{
    *program = (struct kv_test_program){.folder = "/tmp/kvserver-test-XXXXXX"};
    if (mkdtemp(program->folder) == NULL)
        fail_msg("cannot make a folder: %s", strerror(errno));
}

void kv_test_program_remove(struct kv_test_program *program)
{
    kv_test_folder_remove(program->folder);
}

char *kv_test_program_write(const struct kv_test_program *program, const char *name,
                            const char *text)
{
    char *path = path_in(program, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

char *kv_test_program_read(const struct kv_test_program *program, const char *name)
{
    char *path = path_in(program, name);
    FILE *file = fopen(path, "r");
    free(path);
    struct kv_buffer text = {0};
    while (file != NULL && !feof(file) && !ferror(file))
        text.len += fread(kv_buffer_reserve(&text, 4096), 1, 4096, file);
    if (file != NULL)
        fclose(file);
    kv_buffer_append_char(&text, '\0');
    return text.bytes;
}

static void redirect(const char *path, int to)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || dup2(fd, to) < 0)
        _exit(127);
}

void kv_test_program_spawn(struct kv_test_program *program, const char *const arguments[])
{
    const char *argv[MAX_ARGUMENTS] = {KV_SERVER_PROGRAM};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(i + 2 < MAX_ARGUMENTS);
        argv[i + 1] = arguments[i];
    }
    char *out = path_in(program, "out");
    char *err = path_in(program, "err");
    const char *preload = getenv("KV_TEST_PRELOAD");
    program->pid = kv_test_fork();
    if (program->pid == 0) {
        redirect("/dev/null", STDIN_FILENO);
        redirect(out, STDOUT_FILENO);
        redirect(err, STDERR_FILENO);
        if (preload != NULL)
            setenv("LD_PRELOAD", preload, 1);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    free(out);
    free(err);
    assert_true(program->pid > 0);
}

bool kv_test_program_has_ended(struct kv_test_program *program, int *ret_exit_code)
{
    int status;
    if (waitpid(program->pid, &status, WNOHANG) != program->pid)
        return false;
    program->pid = 0;
    *ret_exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

int kv_test_program_wait(struct kv_test_program *program, int64_t limit_ms)
{
    int64_t deadline_ms = kv_test_now_ms() + limit_ms;
    int exit_code = -1;
    while (!kv_test_program_has_ended(program, &exit_code)) {
        if (kv_test_now_ms() >= deadline_ms) {
            kv_test_program_kill(program);
            return -1;
        }
        kv_test_sleep_ms(WAIT_STEP_MS);
    }
    return exit_code;
}

void kv_test_program_kill(struct kv_test_program *program)
{
    if (program->pid == 0)
        return;
    kill(program->pid, SIGKILL);
    waitpid(program->pid, NULL, 0);
    program->pid = 0;
}

void kv_test_program_stop(const struct kv_test_program *program)
{
    siginfo_t stopped;
    assert_int_equal(kill(program->pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)program->pid, &stopped, WSTOPPED), 0);
}

void kv_test_program_go_on(const struct kv_test_program *program)
{
    assert_int_equal(kill(program->pid, SIGCONT), 0);
}

/* A file of the program in /proc. */
static const char *proc_path(const struct kv_test_program *program, const char *entry)
{
    static char path[384];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)program->pid, entry);
    return path;
}

size_t kv_test_program_descriptors(const struct kv_test_program *program)
{
    size_t n = 0;
    DIR *folder = opendir(proc_path(program, "fd"));
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

static void read_line(const struct kv_test_program *program, const char *entry, char *line,
                      int room)
{
    FILE *file = fopen(proc_path(program, entry), "r");
    assert_non_null(file);
    assert_non_null(fgets(line, room, file));
    fclose(file);
}

size_t kv_test_program_resident(const struct kv_test_program *program)
{
    char line[256];
    size_t total, resident;
    read_line(program, "statm", line, sizeof(line));
    assert_int_equal(sscanf(line, "%zu %zu", &total, &resident), 2);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t kv_test_program_peak(const struct kv_test_program *program)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen(proc_path(program, "status"), "r");
    assert_non_null(file);
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmHWM: %zu kB", &kib) != 1)
            kib = 0;
    fclose(file);
    assert_true(kib != 0);
    return kib * 1024;
}

void kv_test_program_forget_peak(const struct kv_test_program *program)
{
    FILE *file = fopen(proc_path(program, "clear_refs"), "w");
    assert_non_null(file);
    assert_true(fputs("5", file) >= 0); /* see proc(5) */
    assert_int_equal(fclose(file), 0);
}

char kv_test_program_thread_state(pid_t program, pid_t thread)
{
    char path[64];
    char state;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", program, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 'X';
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state;
}

bool kv_test_program_thread_is(pid_t program, pid_t thread, const char *name)
{
    char path[64], line[32] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", program, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool is_read = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    return is_read && strcmp(line, name) == 0;
}

bool kv_test_program_is_asleep(const struct kv_test_program *program)
{
    bool is_asleep = true;
    DIR *threads = opendir(proc_path(program, "task"));
    assert_non_null(threads);
    for (struct dirent *entry; is_asleep && (entry = readdir(threads)) != NULL;) {
        pid_t thread = atoi(entry->d_name);
        char state = thread == 0 ? 'X' : kv_test_program_thread_state(program->pid, thread);
        is_asleep = state == 'S' || state == 'X';
    }
    closedir(threads);
    return is_asleep;
}

int64_t kv_test_program_processor_ms(const struct kv_test_program *program)
{
    char line[1024];
    unsigned long user, system;
    read_line(program, "stat", line, sizeof(line));
    assert_int_equal(sscanf(strrchr(line, ')') + 1,
                            " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
                     2);
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

/* Returns: whether a line was read. */
static bool read_thread(const struct kv_test_program *program, const char *thread,
                        const char *entry, char *line, int room)
{
    char name[300];
    snprintf(name, sizeof(name), "task/%s/%s", thread, entry);
    FILE *file = fopen(proc_path(program, name), "r");
    bool is_read = file != NULL && fgets(line, room, file) != NULL;
    if (file != NULL)
        fclose(file);
    return is_read;
}

int64_t kv_test_program_used_us(const struct kv_test_program *program, const char *thread)
{
    unsigned long long used_ns = 0;
    DIR *threads = opendir(proc_path(program, "task"));
    assert_non_null(threads);
    for (const struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        char line[128];
        if (entry->d_name[0] != '.' &&
            read_thread(program, entry->d_name, "comm", line, sizeof(line)) &&
            strncmp(line, thread, strlen(thread)) == 0 &&
            read_thread(program, entry->d_name, "schedstat", line, sizeof(line)) &&
            sscanf(line, "%llu", &used_ns) == 1)
            break;
    }
    closedir(threads);
    return (int64_t)(used_ns / 1000);
}

static void run_in_folder(struct kv_test_program *program, const char *const arguments[],
                          struct kv_test_outcome *ret)
{
    kv_test_program_spawn(program, arguments);
    ret->exit_code = kv_test_program_wait(program, RUN_LIMIT_MS);
    ret->out = kv_test_program_read(program, "out");
    ret->err = kv_test_program_read(program, "err");
    kv_test_program_remove(program);
}

void kv_test_program_run(const char *const arguments[], struct kv_test_outcome *ret)
{
    struct kv_test_program program;
    kv_test_program_prepare(&program);
    run_in_folder(&program, arguments, ret);
}

void kv_test_program_run_with_file(const char *argument, const char *yaml,
                                   struct kv_test_outcome *ret)
{
    struct kv_test_program program;
    kv_test_program_prepare(&program);
    char *path = kv_test_program_write(&program, "kvserver.yaml", yaml);
    run_in_folder(&program, (const char *[]){argument, "-c", path, NULL}, ret);
    free(path);
}

void kv_test_outcome_fini(struct kv_test_outcome *outcome)
{
    free(outcome->out);
    free(outcome->err);
    *outcome = (struct kv_test_outcome){0};
}
