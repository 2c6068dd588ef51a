kv_add_test(unit_module SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/module_test.c
            USES kv_module)
target_compile_definitions(test_unit_module PRIVATE
                           MODULES="${CMAKE_BINARY_DIR}/modules"
                           BAD_MODULES="${CMAKE_BINARY_DIR}/modules-bad")
add_dependencies(test_unit_module store_simple ttl_fixed bad_modules)

foreach(store memory simple)
  set(name unit_store_limit_${store})
  kv_add_test(${name} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/limit_test.c
              USES kv_module ARGS ${store})
  target_compile_definitions(test_${name} PRIVATE MODULES="${CMAKE_BINARY_DIR}/modules")
  add_dependencies(test_${name} store_${store})
endforeach()

# The store memory from within. Every allocation of its sources can be made to fail.
file(GLOB memory_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/modules/store/memory/*.c)
foreach(theme memory tree wheel)
  set(name unit_store_${theme})
  kv_add_test(${name}
              SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/${theme}_test.c ${memory_sources}
              USES kv_base)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/memory)
  target_link_options(test_${name} PRIVATE -Wl,--wrap=malloc,--wrap=aligned_alloc
                      -Wl,--wrap=reallocarray)
endforeach()

# The durable stores from within.
foreach(theme deadlines journal overlay states)
  set(name unit_store_${theme})
  kv_add_test(${name} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/${theme}_test.c
              USES store_durable kv_test_client)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/durable)
endforeach()

# Their behaviour during a sync.
set(overlap ${PROJECT_SOURCE_DIR}/tests/unit/module/overlap)
foreach(theme order failures power)
  set(name unit_store_overlap_${theme})
  kv_add_test(${name} SOURCES ${overlap}/${theme}_test.c ${overlap}/disk.c ${overlap}/rig.c
                              ${overlap}/table.c ${overlap}/table_engine.c
              USES store_durable kv_test_client LABELS threads)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/durable)
  target_link_options(test_${name} PRIVATE -Wl,--wrap=pwrite -Wl,--wrap=fdatasync
                      -Wl,--wrap=queue_now_ns)
endforeach()

pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
foreach(store lmdb rocksdb)
  set(name unit_store_durable_${store})
  kv_add_test(${name} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/durable_test.c
              USES kv_module kv_conf PkgConfig::LMDB ARGS ${store})
  target_compile_definitions(test_${name} PRIVATE MODULES="${CMAKE_BINARY_DIR}/modules")
  add_dependencies(test_${name} store_${store})
endforeach()

kv_add_test(unit_ttl_policies SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/policies_test.c
            USES kv_test_module)
target_compile_definitions(test_unit_ttl_policies PRIVATE MODULES="${CMAKE_BINARY_DIR}/modules")
add_dependencies(test_unit_ttl_policies ttl_bounded ttl_jitter ttl_sliding)

# The client for Redis.
kv_add_test(unit_store_resp
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/resp_test.c ${PROJECT_SOURCE_DIR}/modules/redis_client/resp.c
            USES kv_base)
target_include_directories(test_unit_store_resp PRIVATE ${PROJECT_SOURCE_DIR}/modules/redis_client)

set(redis ${PROJECT_SOURCE_DIR}/modules/store/redis)
kv_add_test(unit_redis_chain
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_chain_test.c ${redis}/chain.c ${redis}/clock.c
                    ${redis}/event.c ${redis}/expiring.c ${redis}/jobs.c ${redis}/record.c ${redis}/report.c
            USES kv_base redis_client)
target_include_directories(test_unit_redis_chain PRIVATE ${redis})

kv_add_test(unit_redis_resolver
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_resolver_test.c ${PROJECT_SOURCE_DIR}/modules/redis_client/resolver.c
            USES kv_base)
target_include_directories(test_unit_redis_resolver PRIVATE ${PROJECT_SOURCE_DIR}/modules/redis_client)

# The partitions of a Redis Cluster, without one.
kv_add_test(unit_redis_placement
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_placement_test.c ${PROJECT_SOURCE_DIR}/modules/store/redis/placement.c
            USES kv_abi)
target_include_directories(test_unit_redis_placement PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)

# The order of the changes of a Redis Cluster, without one.
foreach(source jobs record telling)
  list(APPEND telling_sources ${PROJECT_SOURCE_DIR}/modules/store/redis/${source}.c)
endforeach()
kv_add_test(unit_redis_telling SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/telling_test.c ${telling_sources}
            USES redis_client)
target_include_directories(test_unit_redis_telling PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)
target_link_options(test_unit_redis_telling PRIVATE -Wl,--wrap=calloc)

# The order of a loop's writes to several partitions.
kv_add_test(unit_redis_turns
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_turns_test.c ${PROJECT_SOURCE_DIR}/modules/store/redis/jobs.c
                    ${PROJECT_SOURCE_DIR}/modules/store/redis/turns.c
            USES kv_abi)
target_include_directories(test_unit_redis_turns PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)
target_link_options(test_unit_redis_turns PRIVATE -Wl,--wrap=calloc)

# Its clock.
kv_add_test(unit_redis_clock
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_clock_test.c ${redis}/clock.c ${redis}/report.c
            USES redis_client)
target_include_directories(test_unit_redis_clock PRIVATE ${redis})

# Its known nodes.
kv_add_test(unit_redis_nodes
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_nodes_test.c ${PROJECT_SOURCE_DIR}/modules/store/redis/login.c
                    ${PROJECT_SOURCE_DIR}/modules/store/redis/nodes.c
            USES redis_client)
target_include_directories(test_unit_redis_nodes PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)

# The beginning of its sessions.
set(redis_client ${PROJECT_SOURCE_DIR}/modules/redis_client)
kv_add_test(unit_redis_session
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_session_test.c ${PROJECT_SOURCE_DIR}/modules/store/redis/session.c
                    ${PROJECT_SOURCE_DIR}/modules/store/redis/entry.c
                    ${redis_client}/buffer.c ${redis_client}/request.c ${redis_client}/resp.c
            USES kv_abi)
target_include_directories(test_unit_redis_session PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)

# What a node says of several partitions.
kv_add_test(unit_redis_claims
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_claims_test.c ${PROJECT_SOURCE_DIR}/modules/store/redis/telling.c
                    ${PROJECT_SOURCE_DIR}/modules/store/redis/jobs.c
            USES kv_base)
target_include_directories(test_unit_redis_claims PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)

# Its catch-ups that share a request.
kv_add_test(unit_redis_catch_ups
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_catch_ups_test.c ${PROJECT_SOURCE_DIR}/modules/store/redis/catch_ups.c
                    ${PROJECT_SOURCE_DIR}/modules/store/redis/jobs.c
            USES kv_abi)
target_include_directories(test_unit_redis_catch_ups PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)

# Answers to its looks.
foreach(source chain clock commands entry event expiring jobs lease login recall record replies report)
  list(APPEND look_sources ${PROJECT_SOURCE_DIR}/modules/store/redis/${source}.c)
endforeach()
kv_add_test(unit_redis_look SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_look_test.c ${look_sources}
            USES kv_base redis_client)
target_include_directories(test_unit_redis_look PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)

# Its survey of the partitions.
kv_add_test(unit_redis_survey
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/redis_survey_test.c ${PROJECT_SOURCE_DIR}/modules/store/redis/placement.c
                    ${PROJECT_SOURCE_DIR}/modules/store/redis/opening.c
                    ${PROJECT_SOURCE_DIR}/modules/store/redis/survey.c
            USES kv_abi)
target_include_directories(test_unit_redis_survey PRIVATE ${PROJECT_SOURCE_DIR}/modules/store/redis)
