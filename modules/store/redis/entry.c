#include "entry.h"

/* An entry is an array of its ID and an array of fields, in which names and values alternate. */
bool entry_next(struct kv_slice *reply, struct entry *ret)
{
    struct resp_value array, id, fields, name, value;
    if (!resp_next(reply, &array) || !resp_next(reply, &id) || !resp_next(reply, &fields) ||
        array.type != RESP_ARRAY || fields.type != RESP_ARRAY)
        return false;
    for (int64_t i = 0; i < fields.number; i += 2)
        if (!resp_next(reply, &name) || !resp_next(reply, &value))
            return false;
    bool has_events = fields.number == 2;
    *ret = (struct entry){.id = id.text, .has_events = has_events};
    if (has_events)
        ret->events = value.text;
    return true;
}
