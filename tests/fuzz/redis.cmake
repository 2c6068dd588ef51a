# The client for Redis.
kv_add_fuzz(resp SOURCES resp_fuzz.c ${PROJECT_SOURCE_DIR}/modules/redis_client/resp.c USES kv_base)
target_include_directories(fuzz_resp PRIVATE ${PROJECT_SOURCE_DIR}/modules/redis_client)

# The store's input from Redis.
set(redis ${PROJECT_SOURCE_DIR}/modules/store/redis)
kv_add_fuzz(redis_answers
            SOURCES redis_answers_fuzz.c ${redis}/chain.c ${redis}/clock.c ${redis}/commands.c ${redis}/entry.c ${redis}/event.c
                    ${redis}/expiring.c
                    ${redis}/jobs.c ${redis}/lease.c ${redis}/login.c ${redis}/nodes.c ${redis}/recall.c ${redis}/record.c ${redis}/replies.c
                    ${redis}/report.c ${redis}/whole.c
            USES kv_base redis_client)
target_include_directories(fuzz_redis_answers PRIVATE ${redis})
