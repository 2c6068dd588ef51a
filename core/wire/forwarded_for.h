/*
 * `X-Forwarded-For`: whom a request came from, as each proxy on its way has appended it.
 */
#ifndef KV_WIRE_FORWARDED_FOR_H
#define KV_WIRE_FORWARDED_FOR_H

#include "wire/address.h"

/* Takes the last element off the list: what the nearest proxy says. It may have a port. Returns:
 * false where there is none, or it is no address. */
bool kv_forwarded_for_take_last(struct kv_slice *list, struct kv_address *ret);

#endif
