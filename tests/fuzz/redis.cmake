# The client for Redis.
kv_add_fuzz(resp SOURCES resp_fuzz.c ${PROJECT_SOURCE_DIR}/modules/redis_client/resp.c USES kv_base)
target_include_directories(fuzz_resp PRIVATE ${PROJECT_SOURCE_DIR}/modules/redis_client)
