kv_add_fuzz(conf SOURCES conf_fuzz.c USES kv_conf)
