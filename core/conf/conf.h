/*
 * The configuration: a YAML file, read into a tree that remembers lines and columns, and checked
 * block by block against the schemas of <kvserver/option.h>.
 *
 * The file is UTF-8 text of at most 1 MiB. In a value, `${VAR}` is replaced by the environment
 * variable VAR, `${VAR:-text}` by `text` if VAR is unset or empty, and `$${` by `${`. The result
 * stays one value, whatever it looks like. A value that is omitted, or is `~` or `null` without
 * quotes, means the default. Anchors, aliases, tags and second documents are refused.
 *
 * Reading continues after faults: each is noted in the configuration, so that all of them can be
 * reported at once. It ends only at text that is not YAML.
 *
 * Threads: a configuration belongs to one thread at a time. Values and nodes do not change once
 * they are handed out; many threads may read them.
 */
#ifndef KV_CONF_CONF_H
#define KV_CONF_CONF_H

#include "conf/check.h"
#include "conf/fault.h"
#include "conf/file_path.h"
#include "conf/findings.h"
#include "conf/load.h"
#include "conf/memory.h"
#include "conf/node.h"
#include "conf/parse.h"

#endif
