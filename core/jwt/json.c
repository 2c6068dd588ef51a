#include "jwt/json.h"

json_t *kv_jwt_json_read(struct kv_slice text, struct kv_error *reterr)
{
    json_error_t error;
    json_t *json = json_loadb(text.bytes, text.len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        kv_error_set(reterr, "line %d, column %d: %s", error.line, error.column, error.text);
        return NULL;
    }
    if (json_is_object(json))
        return json;
    kv_error_set(reterr, "it is no JSON object");
    json_decref(json);
    return NULL;
}

enum kv_jwt_member kv_jwt_json_text(const json_t *object, const char *name,
                                    struct kv_slice *ret_text)
{
    const json_t *member = json_object_get(object, name);
    if (member == NULL)
        return KV_JWT_MEMBER_MISSING;
    if (!json_is_string(member))
        return KV_JWT_MEMBER_OTHER;
    *ret_text = (struct kv_slice){json_string_value(member), json_string_length(member)};
    return KV_JWT_MEMBER_THERE;
}
