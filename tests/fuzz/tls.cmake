kv_add_fuzz(tls SOURCES tls_fuzz.c USES kv_net)
