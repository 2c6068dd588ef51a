/*
 * The libh2o side of a loop (kv_loop_evloop), only for the folders that serve sockets (net, http).
 */
#ifndef KV_LOOP_EVLOOP_H
#define KV_LOOP_EVLOOP_H

#include <h2o.h>

#include "loop/loop.h"

#endif
