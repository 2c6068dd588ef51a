#include "daemon/page_folder.h"

#include "daemon/given.h"
#include "daemon/schema.h"

int kv_page_folder_open(const struct kv_config *config, struct kv_pages **ret_pages)
{
    const struct kv_option_value *pages = &config->values[CONFIG_PAGES];
    struct kv_slice folder = kv_given_field(pages, PAGES_FOLDER)->string;
    struct kv_error why;
    *ret_pages = NULL;
    if (folder.len == 0)
        return 0;
    *ret_pages = kv_pages_open(folder.bytes, &why);
    if (*ret_pages != NULL)
        return 0;
    kv_conf_fault(config->conf, kv_conf_node_find(kv_given_node(config, "pages"), "folder"),
                  "pages.folder: %s", why.text);
    return -1;
}
