/* A shared object that is not a module: it lacks the entry function. */
int kv_no_module(void);

__attribute__((visibility("default"))) int kv_no_module(void)
{
    return 0;
}
