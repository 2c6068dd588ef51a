/*
 * `pages`: the folder of an application's files.
 */
#ifndef KV_DAEMON_PAGE_FOLDER_H
#define KV_DAEMON_PAGE_FOLDER_H

#include "daemon/config.h"
#include "pages/pages.h"

/* Opens the folder. *ret_pages: NULL if none is configured. Owns: the caller, by kv_pages_close().
 * Returns: 0, or -1 with a fault noted. */
int kv_page_folder_open(const struct kv_config *config, struct kv_pages **ret_pages);

#endif
