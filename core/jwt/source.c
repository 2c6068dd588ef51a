/*
 * A source is loaded by one thread at a time (`loading`). Its contents are changed under `lock`,
 * which is never held while something is read or fetched. The thread of a source frees it, so that
 * releasing one never waits. Threads that have ended are joined when the next one is created, and
 * at the end.
 */
#include "jwt/source.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "jwt/fetch.h"

enum {
    NS_PER_S = 1000000000,
    MOST_URL_SHOWN = 200,
    SETTLED_S = 2 /* a file changed more recently may change again without getting another time */
};

struct kv_jwt_sources {
    pthread_mutex_t lock; /* of the list `all`, and of the members of its sources that say so */
    struct kv_list all;
    struct kv_list workers;
    bool has_curl;
    struct kv_jwt_watch *watch;
    atomic_ullong n_loaded, n_failed;
};

/* The thread of a source, which may no longer exist. */
struct worker {
    struct kv_list in_all;
    pthread_t thread;
    struct kv_jwt_source *source;
    atomic_bool has_ended;
};

/* Identifies a version of a file. */
struct stamp {
    struct timespec changed;
    off_t size;
    ino_t inode;
    bool is_settled;
};

struct kv_jwt_source {
    struct kv_list in_all;
    struct kv_jwt_sources *sources;
    size_t n_refs; /* under the lock of the sources */
    atomic_bool is_ending;
    char *keys, *ca_file; /* ca_file: NULL for none */
    bool is_url;
    pthread_mutex_t loading; /* of the members below */
    struct stamp stamp;
    struct kv_buffer text;   /* of the present set */
    struct kv_error trouble; /* of the last load; empty: none */
    pthread_mutex_t lock;    /* of the members below */
    pthread_cond_t woken;
    struct kv_jwt_key_set *set; /* NULL: none yet */
    int64_t due_ms;             /* for the next load */
    bool is_loading;            /* the thread is loading */
    bool is_failing;            /* the last load has failed */
    int64_t missed_ms;          /* when an unknown key last caused a load */
};

bool kv_jwt_place_is_url(struct kv_slice keys)
{
    return keys.bytes != NULL && strstr(keys.bytes, "://") != NULL;
}

static int64_t now_ms(void)
{
    return kv_clock_now_ms(&kv_clock_boot);
}

/* ---- loading ---- */

/* Appends the file. Errors: -1. */
static int read_file(int file, struct kv_buffer *out, struct kv_error *reterr)
{
    ssize_t n;
    do {
        n = read(file, kv_buffer_reserve(out, 65536), 65536);
        if (n > 0)
            out->len += (size_t)n;
    } while ((n > 0 && out->len <= KV_JWT_LONGEST_SET) || (n < 0 && errno == EINTR));
    return n >= 0 ? 0 : kv_error_set(reterr, "it cannot be read: %s", strerror(errno));
}

static void take_stamp(int file, struct stamp *ret)
{
    struct stat found;
    *ret = (struct stamp){0};
    if (fstat(file, &found) != 0)
        return;
    *ret = (struct stamp){.changed = found.st_mtim,
                          .size = found.st_size,
                          .inode = found.st_ino,
                          .is_settled = time(NULL) - found.st_mtim.tv_sec > SETTLED_S};
}

static int open_and_read(const char *path, struct kv_buffer *out, struct stamp *ret_stamp,
                         struct kv_error *reterr)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *ret_stamp = (struct stamp){0};
    if (file < 0)
        return kv_error_set(reterr, "it cannot be opened: %s", strerror(errno));
    take_stamp(file, ret_stamp);
    int result = read_file(file, out, reterr);
    close(file);
    return result;
}

int kv_jwt_file_read(const char *path, struct kv_jwt_key_set **ret_set, struct kv_buffer *notes,
                     struct kv_error *reterr)
{
    struct kv_buffer text = {0};
    struct stamp stamp;
    int result = open_and_read(path, &text, &stamp, reterr);
    if (result == 0)
        result = kv_jwt_key_set_parse(kv_buffer_slice(&text), ret_set, notes, reterr);
    kv_buffer_fini(&text);
    return result;
}

static int get_text(struct kv_jwt_source *source, struct kv_buffer *out, struct kv_error *reterr)
{
    const struct kv_jwt_fetch fetch = {.url = source->keys,
                                       .ca_file = source->ca_file,
                                       .most = KV_JWT_LONGEST_SET,
                                       .is_ending = &source->is_ending};
    return source->is_url ? kv_jwt_fetch(&fetch, out, reterr)
                          : open_and_read(source->keys, out, &source->stamp, reterr);
}

static void log_notes(const struct kv_jwt_source *source, struct kv_buffer *notes)
{
    kv_buffer_append_char(notes, '\0');
    for (char *line = notes->bytes, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        kv_log(KV_LOG_WARN, "access", "%.*s: %.*s", MOST_URL_SHOWN, source->keys, (int)(end - line),
               line);
}

/* Takes the set over. Returns: whether there was one before. */
static bool swap(struct kv_jwt_source *source, struct kv_jwt_key_set *set)
{
    pthread_mutex_lock(&source->lock);
    struct kv_jwt_key_set *before = source->set;
    source->set = set;
    pthread_mutex_unlock(&source->lock);
    kv_jwt_key_set_unref(before);
    return before != NULL;
}

/* Takes the text over, if it is a key set. */
static int take_text(struct kv_jwt_source *source, struct kv_buffer *text, struct kv_error *reterr)
{
    struct kv_jwt_key_set *set;
    struct kv_buffer notes = {0};
    if (source->text.len != 0 &&
        kv_slice_equals(kv_buffer_slice(text), kv_buffer_slice(&source->text)))
        return 0;
    int result = kv_jwt_key_set_parse(kv_buffer_slice(text), &set, &notes, reterr);
    if (result == 0) {
        struct kv_buffer before = source->text;
        source->text = *text;
        *text = before;
        log_notes(source, &notes);
        kv_log(KV_LOG_INFO, "access", "%.*s: %zu key%s valid now", MOST_URL_SHOWN, source->keys,
               set->n, set->n == 1 ? " is" : "s are");
        if (swap(source, set))
            source->sources->watch->changed(source->sources->watch);
    }
    kv_buffer_fini(&notes);
    return result;
}

/* Logs each change of the trouble once. */
static void tell(struct kv_jwt_source *source, const struct kv_error *trouble)
{
    if (strcmp(source->trouble.text, trouble->text) == 0)
        return;
    if (trouble->text[0] != '\0')
        kv_log(KV_LOG_WARN, "access", "%.*s: %s; %s", MOST_URL_SHOWN, source->keys, trouble->text,
               source->text.len == 0 ? "there are no keys yet"
                                     : "the keys known before stay valid");
    else
        kv_log(KV_LOG_INFO, "access", "%.*s: it can be used again", MOST_URL_SHOWN, source->keys);
    source->trouble = *trouble;
}

static void count(struct kv_jwt_source *source, bool has_failed)
{
    struct kv_jwt_sources *sources = source->sources;
    atomic_fetch_add_explicit(has_failed ? &sources->n_failed : &sources->n_loaded, 1,
                              memory_order_relaxed);
    pthread_mutex_lock(&source->lock);
    source->is_failing = has_failed;
    pthread_mutex_unlock(&source->lock);
}

static void load(struct kv_jwt_source *source)
{
    struct kv_buffer text = {0};
    struct kv_error trouble = {0};
    pthread_mutex_lock(&source->loading);
    bool has_failed =
        get_text(source, &text, &trouble) != 0 || take_text(source, &text, &trouble) != 0;
    if (!has_failed)
        trouble.text[0] = '\0';
    if (!atomic_load(&source->is_ending)) {
        tell(source, &trouble);
        count(source, has_failed);
    }
    pthread_mutex_unlock(&source->loading);
    kv_buffer_fini(&text);
}

static bool has_changed(struct kv_jwt_source *source)
{
    struct stat found;
    pthread_mutex_lock(&source->loading);
    const struct stamp stamp = source->stamp;
    pthread_mutex_unlock(&source->loading);
    if (stat(source->keys, &found) != 0)
        return true; /* loading it fails, and reports that once */
    return !stamp.is_settled || found.st_size != stamp.size || found.st_ino != stamp.inode ||
           found.st_mtim.tv_sec != stamp.changed.tv_sec ||
           found.st_mtim.tv_nsec != stamp.changed.tv_nsec;
}

/* ---- the thread ---- */

static void destroy(struct kv_jwt_source *source)
{
    kv_jwt_key_set_unref(source->set);
    kv_buffer_fini(&source->text);
    pthread_mutex_destroy(&source->loading);
    pthread_mutex_destroy(&source->lock);
    pthread_cond_destroy(&source->woken);
    free(source->keys);
    free(source->ca_file);
    free(source);
}

static struct timespec later(struct timespec time, int64_t ms)
{
    int64_t ns = time.tv_nsec + ms % 1000 * KV_NS_PER_MS;
    return (struct timespec){.tv_sec = time.tv_sec + ms / 1000 + ns / NS_PER_S,
                             .tv_nsec = ns % NS_PER_S};
}

/* Waits until the next load is due. Returns: false if the source was released. */
static bool wait_until_due(struct kv_jwt_source *source)
{
    pthread_mutex_lock(&source->lock);
    for (int64_t left_ms;
         !atomic_load(&source->is_ending) && (left_ms = source->due_ms - now_ms()) > 0;) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until = later(until, left_ms);
        pthread_cond_timedwait(&source->woken, &source->lock, &until);
    }
    source->due_ms = now_ms() + (source->is_url ? KV_JWT_URL_MS : KV_JWT_FILE_MS);
    source->is_loading = true;
    pthread_mutex_unlock(&source->lock);
    return !atomic_load(&source->is_ending);
}

static void end_loading(struct kv_jwt_source *source)
{
    pthread_mutex_lock(&source->lock);
    source->is_loading = false;
    pthread_mutex_unlock(&source->lock);
}

static void *keep(void *context)
{
    struct worker *worker = context;
    struct kv_jwt_source *source = worker->source;
    while (wait_until_due(source)) {
        if (source->is_url || has_changed(source))
            load(source);
        end_loading(source);
    }
    destroy(source);
    atomic_store(&worker->has_ended, true);
    return NULL;
}

static void start(struct kv_jwt_source *source)
{
    struct worker *worker = kv_calloc(1, sizeof(*worker));
    worker->source = source;
    kv_list_append(&source->sources->workers, &worker->in_all);
    if (pthread_create(&worker->thread, NULL, keep, worker) != 0) {
        fprintf(stderr, "kvserver: no thread for the keys of tokens\n");
        abort();
    }
}

static void join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    kv_list_remove(&worker->in_all);
    free(worker);
}

static void join_ended(struct kv_jwt_sources *sources)
{
    KV_LIST_EACH(&sources->workers, node, after)
    {
        struct worker *worker = KV_CONTAINER(node, struct worker, in_all);
        if (atomic_load(&worker->has_ended))
            join(worker);
    }
}

/* ---- sources ---- */

struct kv_jwt_sources *kv_jwt_sources_create(struct kv_jwt_watch *watch)
{
    struct kv_jwt_sources *sources = kv_calloc(1, sizeof(*sources));
    pthread_mutex_init(&sources->lock, NULL);
    kv_list_init(&sources->all);
    kv_list_init(&sources->workers);
    sources->watch = watch;
    return sources;
}

void kv_jwt_sources_destroy(struct kv_jwt_sources *sources)
{
    if (sources == NULL)
        return;
    KV_LIST_EACH(&sources->workers, node, after)
    join(KV_CONTAINER(node, struct worker, in_all));
    if (sources->has_curl)
        curl_global_cleanup();
    pthread_mutex_destroy(&sources->lock);
    free(sources);
}

static char *copy(struct kv_slice text)
{
    return text.len == 0 ? NULL : kv_strdup(text.bytes);
}

static void init_woken(pthread_cond_t *woken)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static struct kv_jwt_source *make(struct kv_jwt_sources *sources, const struct kv_jwt_place *place)
{
    struct kv_jwt_source *source = kv_calloc(1, sizeof(*source));
    source->sources = sources;
    source->n_refs = 1;
    source->keys = copy(place->keys);
    source->ca_file = copy(place->ca_file);
    source->is_url = kv_jwt_place_is_url(place->keys);
    source->missed_ms = INT64_MIN / 2;
    pthread_mutex_init(&source->loading, NULL);
    pthread_mutex_init(&source->lock, NULL);
    init_woken(&source->woken);
    kv_list_init(&source->in_all);
    return source;
}

static bool is_same(const char *text, struct kv_slice other)
{
    return kv_slice_equals(kv_slice_of(text == NULL ? "" : text), other);
}

/* Under the lock. Returns: NULL if there is none. */
static struct kv_jwt_source *find(struct kv_jwt_sources *sources, const struct kv_jwt_place *place)
{
    for (struct kv_list *at = sources->all.next; at != &sources->all; at = at->next) {
        struct kv_jwt_source *source = KV_CONTAINER(at, struct kv_jwt_source, in_all);
        if (is_same(source->keys, place->keys) && is_same(source->ca_file, place->ca_file))
            return source;
    }
    return NULL;
}

struct kv_jwt_key_count kv_jwt_sources_count(struct kv_jwt_sources *sources)
{
    struct kv_jwt_key_count found = {
        .n_loaded = atomic_load_explicit(&sources->n_loaded, memory_order_relaxed),
        .n_failed = atomic_load_explicit(&sources->n_failed, memory_order_relaxed)};
    pthread_mutex_lock(&sources->lock);
    for (struct kv_list *at = sources->all.next; at != &sources->all; at = at->next) {
        struct kv_jwt_source *source = KV_CONTAINER(at, struct kv_jwt_source, in_all);
        pthread_mutex_lock(&source->lock);
        found.n++;
        found.n_missing += source->set == NULL;
        found.n_failing += source->is_failing;
        pthread_mutex_unlock(&source->lock);
    }
    pthread_mutex_unlock(&sources->lock);
    return found;
}

static void wake(struct kv_jwt_source *source)
{
    pthread_mutex_lock(&source->lock);
    source->due_ms = now_ms();
    pthread_cond_signal(&source->woken);
    pthread_mutex_unlock(&source->lock);
}

static struct kv_jwt_source *make_of_secret(struct kv_jwt_sources *sources,
                                            const struct kv_jwt_place *place)
{
    struct kv_jwt_source *source = make(sources, place);
    if (kv_jwt_key_set_from_secret(place->secret, &source->set, NULL) != 0)
        source->set = NULL; /* does not happen: the secret has been checked */
    return source;
}

struct kv_jwt_source *kv_jwt_sources_get(struct kv_jwt_sources *sources,
                                         const struct kv_jwt_place *place)
{
    if (place->keys.len == 0)
        return make_of_secret(sources, place);
    join_ended(sources);
    pthread_mutex_lock(&sources->lock);
    struct kv_jwt_source *source = find(sources, place);
    bool is_new = source == NULL;
    if (is_new) {
        source = make(sources, place);
        if (source->is_url && !sources->has_curl)
            sources->has_curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
        kv_list_append(&sources->all, &source->in_all);
    } else {
        source->n_refs++;
    }
    pthread_mutex_unlock(&sources->lock);
    if (!source->is_url)
        load(source);
    if (is_new)
        start(source);
    else if (source->is_url)
        wake(source);
    return source;
}

void kv_jwt_source_unref(struct kv_jwt_source *source)
{
    if (source == NULL)
        return;
    pthread_mutex_lock(&source->sources->lock);
    bool is_last = --source->n_refs == 0;
    if (is_last)
        kv_list_remove(&source->in_all);
    pthread_mutex_unlock(&source->sources->lock);
    if (!is_last)
        return;
    if (source->keys == NULL) {
        destroy(source);
        return;
    }
    pthread_mutex_lock(&source->lock);
    atomic_store(&source->is_ending, true);
    pthread_cond_signal(&source->woken);
    pthread_mutex_unlock(&source->lock);
}

struct kv_jwt_key_set *kv_jwt_source_keys(struct kv_jwt_source *source)
{
    pthread_mutex_lock(&source->lock);
    struct kv_jwt_key_set *set = source->set == NULL ? NULL : kv_jwt_key_set_ref(source->set);
    pthread_mutex_unlock(&source->lock);
    return set;
}

void kv_jwt_source_miss(struct kv_jwt_source *source)
{
    int64_t now = now_ms();
    if (!source->is_url)
        return; /* files are checked every second anyway */
    pthread_mutex_lock(&source->lock);
    bool is_under_way = source->is_loading || source->due_ms <= now;
    if (!is_under_way && now - source->missed_ms >= KV_JWT_UNKNOWN_KEY_MS) {
        source->missed_ms = now;
        source->due_ms = now;
        pthread_cond_signal(&source->woken);
    }
    pthread_mutex_unlock(&source->lock);
}
