/* A shared object that is no module: it exports something else. */
int kv_no_module(void);

__attribute__((visibility("default"))) int kv_no_module(void)
{
    return 0;
}
