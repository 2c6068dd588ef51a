foreach(theme admission deadlines loader memory order subscriptions prefixes policies store_metrics)
  kv_add_test(unit_keyspace_${theme}
              SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/${theme}_test.c
                      ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/rig.c
              USES kv_keyspace kv_module)
  add_dependencies(test_unit_keyspace_${theme} store_simple)
  target_compile_definitions(test_unit_keyspace_${theme}
                             PRIVATE KV_MODULES="${CMAKE_BINARY_DIR}/modules"
                                     KV_TEST_MODULES="${CMAKE_BINARY_DIR}/modules-test")
endforeach()

foreach(theme scan syncs overlaps update update_at_once)
  foreach(store memory simple late)
    set(name unit_keyspace_${theme}_${store})
    string(REPLACE "_at_once" "" file ${theme})
    string(REGEX MATCH "at_once" how ${theme})
    kv_add_test(${name}
                SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/${file}_test.c
                        ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/rig.c
                USES kv_keyspace kv_module ARGS ${store} ${how} LABELS threads)
    add_dependencies(test_${name} store_${store})
    target_compile_definitions(test_${name} PRIVATE
                               KV_MODULES="${CMAKE_BINARY_DIR}/modules"
                               KV_TEST_MODULES="${CMAKE_BINARY_DIR}/modules-test")
  endforeach()
endforeach()

foreach(theme watermark change_log log_reads showing)
  kv_add_test(unit_keyspace_${theme}
              SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/${theme}_test.c
                      ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/told_store.c
                      ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/rig.c
              USES kv_keyspace kv_module)
  add_dependencies(test_unit_keyspace_${theme} store_simple)
  target_compile_definitions(test_unit_keyspace_${theme}
                             PRIVATE KV_MODULES="${CMAKE_BINARY_DIR}/modules"
                                     KV_TEST_MODULES="${CMAKE_BINARY_DIR}/modules-test")
endforeach()

kv_add_test(unit_keyspace_change_log_threads
            SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/change_log_threads_test.c
            USES kv_keyspace LABELS threads)

target_link_options(test_unit_keyspace_memory PRIVATE -Wl,--wrap=kv_try_alloc)

kv_add_test(unit_keyspace_counts SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/keyspace/counts_test.c
            USES kv_keyspace)
