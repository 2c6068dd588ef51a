/*
 * Another process makes the restore, `kvserver --restore`, as a user could: a server that has run a
 * restore is no longer in its initial state.
 */
#include "daemon/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/export.h"
#include "daemon/restore.h"
#include "daemon/signals.h"
#include "daemon/unfinished.h"

enum {
    MOST_FOLDERS_OPEN = 16,
    LOOK_MS = 20,
    EXIT_NOT_RUN = 127
};

/* Paths. All NULL if the store is volatile, or does not have exactly one folder. */
struct paths {
    char *store;
    char *upload;
    char *restore;
    char *restoring;
    char *restored;
    char *incomplete;
    char *replaced;
    char *refused;
};

struct kv_staging {
    struct kv_upload_place place;
    const struct kv_config *config;
    struct paths paths;
};

/* ---- paths ---- */

static char *beside(struct kv_slice store, const char *suffix)
{
    char *path = NULL;
    if (asprintf(&path, "%.*s%s", (int)store.len, store.bytes, suffix) < 0)
        abort();
    return path;
}

/* Returns: an empty slice if there is none, or more than one. */
static struct kv_slice only_folder(const struct kv_config *config)
{
    const struct kv_module *identity = config->store.module->identity;
    struct kv_slice only = {0};
    for (size_t i = 0; i < identity->n_options; i++) {
        struct kv_slice folder = kv_store_folder(config, i);
        if (folder.len != 0 && only.len != 0)
            return (struct kv_slice){0};
        if (folder.len != 0)
            only = folder;
    }
    return (identity->capabilities & KV_STORE_DURABLE) != 0 ? only : (struct kv_slice){0};
}

static struct paths find_paths(const struct kv_config *config)
{
    struct kv_slice store = only_folder(config);
    if (store.len == 0)
        return (struct paths){0};
    return (struct paths){.store = beside(store, ""),
                          .upload = beside(store, ".upload"),
                          .restore = beside(store, ".restore"),
                          .restoring = beside(store, ".restoring"),
                          .restored = beside(store, ".restored"),
                          .incomplete = beside(store, ".incomplete"),
                          .replaced = beside(store, ".replaced"),
                          .refused = beside(store, ".refused")};
}

static void free_paths(struct paths *paths)
{
    free(paths->store);
    free(paths->upload);
    free(paths->restore);
    free(paths->restoring);
    free(paths->restored);
    free(paths->incomplete);
    free(paths->replaced);
    free(paths->refused);
}

/* ---- steps: each is on the disk when it returns; they return 0, or -1 and *reterr ---- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Keeps errno. */
static int fail(const char *path, struct kv_error *reterr)
{
    int fault = errno;
    kv_error_set(reterr, "%s: %s", path, strerror(fault));
    errno = fault;
    return -1;
}

static int move(const char *from, const char *to, struct kv_error *reterr)
{
    return rename(from, to) == 0 ? kv_sync_entry(to, reterr) : fail(from, reterr);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)place;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

/* Removes a file, or a folder with its contents, if it exists. */
static int remove_all(const char *path, struct kv_error *reterr)
{
    if (nftw(path, remove_entry, MOST_FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return fail(path, reterr);
    return kv_sync_entry(path, reterr);
}

/* Removes the new store, of which there may be any part, or none. It gets another name first: a
 * store that lacks some of its files, as after an interrupted removal, is refused by its module. */
static int remove_incomplete(const struct paths *paths, struct kv_error *reterr)
{
    if (remove_all(paths->incomplete, reterr) != 0)
        return -1;
    if (!is_there(paths->store))
        return 0;
    if (move(paths->store, paths->incomplete, reterr) != 0)
        return -1;
    return remove_all(paths->incomplete, reterr);
}

/* ---- the restore ---- */

/* It is not the service that a manager waits for. */
static void become_restorer(const struct kv_config *config, const char *backup)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the next start continues from there */
    unsetenv("NOTIFY_SOCKET");
    execl("/proc/self/exe", "kvserver", "-c", config->path, "--restore", backup, (char *)NULL);
    perror("kvserver: /proc/self/exe");
    _exit(EXIT_NOT_RUN);
}

/* Ends this process as if by the signal. The first process of a container ignores it, and
 * continues. */
static void end_by(int signal_number)
{
    sigset_t none;
    sigemptyset(&none);
    signal(signal_number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    raise(signal_number);
}

static int fail_interrupted(const char *backup, struct kv_error *reterr)
{
    return kv_error_set(reterr, "the restore of %s was interrupted: start the server again",
                        backup);
}

/* A signal that ends this process may be sent to the restorer as well, whose end would then look
 * like a failure; and a script's background process ignores SIGINT. So both end at once, and the
 * next start continues. Returns: the status from waitpid(); -1 and *reterr. */
static int await_restorer(pid_t process, const char *backup, struct kv_error *reterr)
{
    int status = 0, ended_by = 0;
    pid_t ended;
    while ((ended = waitpid(process, &status, WNOHANG)) == 0) {
        int signal_number = kv_signals_await(LOOK_MS);
        if (!kv_signal_is_end(signal_number))
            continue;
        ended_by = signal_number;
        kill(process, SIGKILL);
    }
    for (int next; ended_by == 0 && (next = kv_signals_await(0)) != 0;)
        ended_by = kv_signal_is_end(next) ? next : 0; /* it came at the same time */
    if (ended_by != 0) {
        end_by(ended_by);
        return fail_interrupted(backup, reterr);
    }
    if (ended < 0)
        return kv_error_set(reterr, "cannot tell how the restore of %s ended: %s", backup,
                            strerror(errno));
    return status;
}

/* Returns: the status from waitpid(); -1 and *reterr. */
static int run_restorer(const struct kv_config *config, const char *backup, struct kv_error *reterr)
{
    kv_signals_block();
    signal(SIGCHLD, SIG_DFL); /* if it is ignored, the status of a child is lost */
    pid_t process = fork();
    if (process < 0)
        return kv_error_set(reterr, "cannot start the restore: %s", strerror(errno));
    if (process == 0)
        become_restorer(config, backup);
    return await_restorer(process, backup, reterr);
}

/* Restores the old store, if there was one. The mark of a complete store is removed before the
 * store. */
static int put_back(const struct paths *paths, struct kv_error *reterr)
{
    kv_log(KV_LOG_ERROR, "server",
           "%s cannot be restored (see above): it is put away as %s, and the store is as it was",
           paths->restore, paths->refused);
    if (remove_all(paths->restored, reterr) != 0 || remove_incomplete(paths, reterr) != 0 ||
        remove_all(paths->restoring, reterr) != 0 ||
        (is_there(paths->replaced) && move(paths->replaced, paths->store, reterr) != 0))
        return -1;
    return move(paths->restore, paths->refused, reterr);
}

/* The mark is removed last: without it, the backup would be restored once more. */
static int say_restored(const struct paths *paths, struct kv_error *reterr)
{
    kv_log(KV_LOG_INFO, "server", "restored%s%s",
           is_there(paths->replaced) ? "; the store before is kept as " : "",
           is_there(paths->replaced) ? paths->replaced : "");
    return remove_all(paths->restore, reterr) == 0 ? remove_all(paths->restored, reterr) : -1;
}

static int make_store(const struct kv_config *config, const struct paths *paths,
                      struct kv_error *reterr)
{
    kv_log(KV_LOG_INFO, "server", "restoring %s", paths->restore);
    int status = run_restorer(config, paths->restore, reterr);
    if (status < 0)
        return -1;
    if (WIFSIGNALED(status))
        return fail_interrupted(paths->restore, reterr);
    if (WEXITSTATUS(status) != 0)
        return put_back(paths, reterr);
    return say_restored(paths, reterr);
}

/* Refuses while another server has the store open. The store that an earlier restore
 * replaced is deleted. */
static int set_aside(const struct kv_config *config, const struct paths *paths,
                     struct kv_error *reterr)
{
    bool is_store;
    if (kv_export_looks_for_store(config, &is_store, reterr) != 0 ||
        remove_all(paths->replaced, reterr) != 0)
        return -1;
    return move(paths->store, paths->replaced, reterr);
}

/* Removes the remains of an interrupted restore; the old store is set aside only once. */
static int clear_place(const struct kv_config *config, const struct paths *paths,
                       struct kv_error *reterr)
{
    if (is_there(paths->restoring)) {
        kv_log(KV_LOG_WARN, "server", "the restore of %s was interrupted: it begins anew",
               paths->restore);
        if (remove_incomplete(paths, reterr) != 0 || remove_all(paths->restoring, reterr) != 0)
            return -1;
    }
    return is_there(paths->store) ? set_aside(config, paths, reterr) : 0;
}

static int apply(const struct kv_config *config, const struct paths *paths, struct kv_error *reterr)
{
    if (is_there(paths->restored) && !is_there(paths->restoring) && is_there(paths->store))
        return say_restored(paths, reterr); /* only that was missing */
    if (remove_all(paths->restored, reterr) != 0 || clear_place(config, paths, reterr) != 0)
        return -1;
    return make_store(config, paths, reterr);
}

/* If the backup was removed while it was being restored, the operator wants the previous store, not
 * an empty one. */
static int go_on_without_backup(const struct paths *paths, struct kv_error *reterr)
{
    if (is_there(paths->restored) && remove_all(paths->restored, reterr) != 0)
        return -1;
    if (is_there(paths->store) || is_there(paths->restoring) || !is_there(paths->replaced))
        return 0;
    return kv_error_set(reterr,
                        "there is no store at %s, but the one that a restore replaced is at %s: "
                        "rename it to be served, or delete it to begin with an empty store",
                        paths->store, paths->replaced);
}

/* Only one process at a time. The restorer inherits the lock, and keeps it if this process is
 * killed. */
static int apply_alone(const struct kv_config *config, const struct paths *paths,
                       struct kv_error *reterr)
{
    int fd = open(paths->restore, O_RDONLY); /* NOLINT(android-cloexec-open) */
    if (fd < 0)
        return errno == ENOENT ? go_on_without_backup(paths, reterr) : fail(paths->restore, reterr);
    int result = flock(fd, LOCK_EX) == 0 ? 0 : fail(paths->restore, reterr);
    if (result == 0 && is_there(paths->restore))
        result = apply(config, paths, reterr);
    close(fd);
    return result;
}

int kv_staging_apply(const struct kv_config *config, struct kv_error *reterr)
{
    struct paths paths = find_paths(config);
    int result = paths.store == NULL ? 0 : apply_alone(config, &paths, reterr);
    free_paths(&paths);
    return result;
}

static bool are_same(const char *path, const char *other)
{
    struct stat a, b;
    return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int kv_staging_refuse_others(const struct kv_config *config, const char *file,
                             struct kv_error *reterr)
{
    struct paths paths = find_paths(config);
    int result = 0;
    if (paths.store != NULL && is_there(paths.restore) && !are_same(file, paths.restore))
        result = kv_error_set(reterr,
                              "%s waits, and replaces the store when the server starts next: start "
                              "it first, or delete that file",
                              paths.restore);
    free_paths(&paths);
    return result;
}

int kv_staging_end_restore(const struct kv_config *config, const char *file,
                           struct kv_error *reterr)
{
    struct paths paths = find_paths(config);
    int result = paths.store != NULL && are_same(file, paths.restore)
                     ? move(paths.restoring, paths.restored, reterr)
                     : kv_unfinished_clear(config, reterr);
    free_paths(&paths);
    return result;
}

/* ---- the upload ---- */

static struct kv_staging *staging_of(struct kv_upload_place *place)
{
    return KV_CONTAINER(place, struct kv_staging, place);
}

/* Returns: the result of kv_restore_check(). */
static int check(const struct kv_config *config, int fd, const atomic_bool *is_stopped,
                 struct kv_error *reterr)
{
    const struct kv_line_limits limits = {.max_depth = config->http.limits.max_depth,
                                          .max_key_bytes = config->http.limits.max_key_bytes,
                                          .max_value_bytes = config->http.limits.max_value_bytes};
    struct kv_backup_touches touches = {0};
    int result = kv_restore_check(fd, "the backup", &limits, &touches, is_stopped, reterr);
    kv_backup_touches_fini(&touches);
    return result;
}

static int status_of_refusal(int refusal)
{
    switch (refusal) {
    case KV_RESTORE_STOPPED:
        return 503;
    case KV_RESTORE_FAILED:
        return 500;
    default:
        return 400;
    }
}

/* The upload is discarded, because the next sync would succeed although data is missing. */
static int discard_unsynced(const struct paths *paths, struct kv_error *reterr)
{
    int fault = errno;
    unlink(paths->upload);
    kv_error_set(reterr, "%s: %s: the backup has to be uploaded again", paths->upload,
                 strerror(fault));
    errno = fault;
    return -1;
}

/* A backup that waits already takes the place of the upload, if the file system can exchange files.
 * Returns: 0, or -1 and errno. */
static int exchange(const struct paths *paths)
{
    struct stat waiting;
    bool is_file = lstat(paths->restore, &waiting) == 0 && S_ISREG(waiting.st_mode);
    if (is_file &&
        renameat2(AT_FDCWD, paths->upload, AT_FDCWD, paths->restore, RENAME_EXCHANGE) == 0)
        return 0;
    return rename(paths->upload, paths->restore);
}

static void exchange_back(const struct paths *paths)
{
    if (is_there(paths->upload))
        renameat2(AT_FDCWD, paths->upload, AT_FDCWD, paths->restore, RENAME_EXCHANGE);
    else
        rename(paths->restore, paths->upload);
}

/* A backup that is answered with a failure must not replace the store, nor a backup that waited
 * before. That one is deleted when the new one is on the disk. */
static int let_wait(const struct paths *paths, struct kv_error *reterr)
{
    if (exchange(paths) != 0)
        return fail(paths->upload, reterr);
    if (kv_sync_entry(paths->restore, reterr) == 0) {
        unlink(paths->upload);
        return 0;
    }
    int fault = errno;
    exchange_back(paths);
    errno = fault;
    return -1;
}

/* The store that the previous restore replaced is removed to make room for the present one.
 * Returns: 0, or -1, *reterr and errno. */
static int keep(const struct paths *paths, int fd, struct kv_error *reterr)
{
    if (fsync(fd) != 0)
        return discard_unsynced(paths, reterr);
    return remove_all(paths->replaced, reterr) == 0 ? let_wait(paths, reterr) : -1;
}

static int finish(struct kv_upload_place *place, int fd, const atomic_bool *is_stopped,
                  struct kv_error *reterr)
{
    const struct kv_staging *staging = staging_of(place);
    int refusal = check(staging->config, fd, is_stopped, reterr);
    if (refusal != 0)
        return status_of_refusal(refusal);
    if (keep(&staging->paths, fd, reterr) != 0)
        return kv_upload_status_of(errno);
    kv_log(KV_LOG_WARN, "server", "%s waits: it replaces the store when the server starts next",
           staging->paths.restore);
    return 200;
}

static int discard(struct kv_upload_place *place, struct kv_error *reterr)
{
    const struct paths *paths = &staging_of(place)->paths;
    bool is_gone =
        remove_all(paths->restore, reterr) == 0 && remove_all(paths->upload, reterr) == 0;
    return is_gone ? 200 : kv_upload_status_of(errno);
}

/* Whether the store's folder, if it exists, can be renamed. */
static bool is_movable(const char *store)
{
    struct stat folder, around;
    if (lstat(store, &folder) != 0)
        return errno == ENOENT;
    char *copy = kv_strdup(store);
    bool is_known = stat(dirname(copy), &around) == 0;
    free(copy);
    return is_known && !S_ISLNK(folder.st_mode) && folder.st_dev == around.st_dev;
}

static const char *why_impossible(const struct kv_config *config, const struct paths *paths)
{
    if (kv_module_store_ops(config->store.module)->open_to_read == NULL && paths->store != NULL)
        return "the store was built for a module ABI before 1.3, so it cannot be looked at before "
               "it is replaced: write the keys (kvctl restore --live)";
    if (paths->store == NULL)
        return "the store has no folder of its own in which a backup could wait for the next "
               "start: write its keys (kvctl restore --live)";
    return is_movable(paths->store) ? NULL
                                    : "the folder of the store is a symbolic link or a file system "
                                      "of its own, so it cannot be replaced as a whole: write the "
                                      "keys (kvctl restore --live)";
}

struct kv_staging *kv_staging_create(const struct kv_config *config)
{
    struct kv_staging *staging = kv_calloc(1, sizeof(*staging));
    staging->config = config;
    staging->paths = find_paths(config);
    const char *why = why_impossible(config, &staging->paths);
    staging->place = (struct kv_upload_place){.path = why == NULL ? staging->paths.upload : NULL,
                                              .why = why,
                                              .finish = finish,
                                              .discard = discard};
    return staging;
}

void kv_staging_destroy(struct kv_staging *staging)
{
    if (staging == NULL)
        return;
    free_paths(&staging->paths);
    free(staging);
}

struct kv_upload_place *kv_staging_place(struct kv_staging *staging)
{
    return &staging->place;
}
