/*
 * Reads JSON objects from untrusted sources strictly.
 */
#ifndef KV_JWT_JSON_H
#define KV_JWT_JSON_H

#include <jansson.h>

#include <kvserver/types.h>

/* Reads a text that is one object. A repeated member, at any depth, makes it invalid, and so do a
 * number out of range and a string with U+0000. Owns: the caller, by json_decref(). Returns: NULL
 * if it is invalid; *reterr gives the reason. */
json_t *kv_jwt_json_read(struct kv_slice text, struct kv_error *reterr);

enum kv_jwt_member {
    KV_JWT_MEMBER_THERE = 0,
    KV_JWT_MEMBER_MISSING = 1,
    KV_JWT_MEMBER_OTHER = -1 /* present, but not a string */
};

/* The text is NUL-terminated and lives as long as the object. */
enum kv_jwt_member kv_jwt_json_text(const json_t *object, const char *name,
                                    struct kv_slice *ret_text);

#endif
