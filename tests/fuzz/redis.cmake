# The store redis from within.
kv_add_fuzz(resp SOURCES resp_fuzz.c ${PROJECT_SOURCE_DIR}/modules/store/redis/resp.c USES kv_base)
target_include_directories(fuzz_resp PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)
