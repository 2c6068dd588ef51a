/*
 * Sources of an issuer's keys: a file, an https URL, or a secret. A source has the currently valid
 * keys, and a thread of its own that updates them (none for a secret).
 *
 * Key sets are immutable and reference-counted: the source replaces its set under a lock that is
 * held for a few instructions, and verifiers take a reference. That is rare, as verified tokens are
 * remembered.
 */
#ifndef KV_JWT_SOURCE_H
#define KV_JWT_SOURCE_H

#include "jwt/key_set.h"

enum {
    KV_JWT_FILE_MS = 1000,            /* between two checks of a file's time */
    KV_JWT_URL_MS = 600 * 1000,       /* between two fetches */
    KV_JWT_UNKNOWN_KEY_MS = 60 * 1000 /* between two fetches that unknown keys cause */
};

/* All sources of the process. */
struct kv_jwt_sources;
struct kv_jwt_source;

/* Is told when the keys of a source have changed. */
struct kv_jwt_watch {
    /* Threads: the source's, or the one that calls kv_jwt_sources_get(). */
    void (*changed)(struct kv_jwt_watch *self);
};

struct kv_jwt_place {
    struct kv_slice keys;    /* the path of a JWK Set, or its https URL; NUL-terminated */
    struct kv_slice ca_file; /* for the URL; empty: the authorities that the system trusts */
    struct kv_slice secret;  /* instead of keys */
};

bool kv_jwt_place_is_url(struct kv_slice keys);

/* Reads the key set of a file. Owns: the caller, one reference. Errors: -1. */
int kv_jwt_file_read(const char *path, struct kv_jwt_key_set **ret_set, struct kv_buffer *notes,
                     struct kv_error *reterr);

/* The sources that are not secrets, and how often they were loaded. */
struct kv_jwt_key_count {
    size_t n;
    size_t n_missing;            /* have no keys yet */
    size_t n_failing;            /* could not be used when they were loaded last */
    uint64_t n_loaded, n_failed; /* loads, by outcome, also of sources that are gone */
};

/* Threads: any. */
struct kv_jwt_key_count kv_jwt_sources_count(struct kv_jwt_sources *sources);

/* watch: lent until kv_jwt_sources_destroy(). Call before other threads exist. Owns: the caller. */
struct kv_jwt_sources *kv_jwt_sources_create(struct kv_jwt_watch *watch);

/* Call after the last source was released: waits for their threads, which end within a tenth of a
 * second. Accepts NULL. */
void kv_jwt_sources_destroy(struct kv_jwt_sources *sources);

/*
 * The source for that place: an existing one is shared, so its keys stay known. A file is read
 * here, which may block; if it cannot be used, the previous keys stay. A URL is fetched by the
 * thread. Owns: the caller, one reference. Threads: one, which may block.
 */
struct kv_jwt_source *kv_jwt_sources_get(struct kv_jwt_sources *sources,
                                         const struct kv_jwt_place *place);

/* Accepts NULL. Threads: any; does not block. */
void kv_jwt_source_unref(struct kv_jwt_source *source);

/* The currently valid keys. Owns: the caller, one reference. Returns: NULL while there are none.
 * Threads: any. */
struct kv_jwt_key_set *kv_jwt_source_keys(struct kv_jwt_source *source);

/* A token names an unknown key: has the source look for newer keys, at most once a minute.
 * Threads: any; does not block. */
void kv_jwt_source_miss(struct kv_jwt_source *source);

#endif
