/*
 * Members of JSON objects that strangers send, read strictly.
 */
#ifndef KV_JWT_JSON_H
#define KV_JWT_JSON_H

#include <jansson.h>

#include <kvserver/types.h>

/* The object that the text is, and nothing but it. A member that is given twice, at any depth,
 * makes it unreadable, and so do a number out of range and a string with U+0000. Owns: the caller,
 * by json_decref(). Returns: NULL where it is none; *reterr says why. */
json_t *kv_jwt_json_read(struct kv_slice text, struct kv_error *reterr);

enum kv_jwt_member {
    KV_JWT_MEMBER_THERE = 0,
    KV_JWT_MEMBER_MISSING = 1,
    KV_JWT_MEMBER_OTHER = -1 /* there, and no string */
};

/* The text stays as long as the object, and ends with a NUL. */
enum kv_jwt_member kv_jwt_json_text(const json_t *object, const char *name,
                                    struct kv_slice *ret_text);

#endif
