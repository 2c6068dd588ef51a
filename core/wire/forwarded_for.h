/*
 * `X-Forwarded-For`: the addresses that a request came from, to which each proxy on its way
 * appends.
 */
#ifndef KV_WIRE_FORWARDED_FOR_H
#define KV_WIRE_FORWARDED_FOR_H

#include "wire/address.h"

/* Removes the last element from the list: the address that the nearest proxy saw. It may have a
 * port. Returns: false if there is none, or it is no address. */
bool kv_forwarded_for_take_last(struct kv_slice *list, struct kv_address *ret);

#endif
