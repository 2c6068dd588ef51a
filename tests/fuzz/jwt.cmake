kv_add_fuzz(jwt SOURCES jwt_fuzz.c USES kv_jwt)
