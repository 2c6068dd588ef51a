/*
 * The libh2o side of a loop (kv_loop_evloop), for the folders that serve sockets (net, http) and
 * for nobody else.
 */
#ifndef KV_LOOP_EVLOOP_H
#define KV_LOOP_EVLOOP_H

#include <h2o.h>

#include "loop/loop.h"

#endif
