kv_add_test(unit_linear SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/linear_test.c USES kv_test_linear)
kv_add_test(unit_records SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/records_test.c USES kv_test_client)

# ThreadSanitizer's own functions come before those that are preloaded.
if(NOT KV_SANITIZE STREQUAL "thread")
  kv_add_test(unit_power SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/power_test.c USES kv_test_disk)
  add_dependencies(test_unit_power kv_power)
  set_property(TEST unit_power APPEND PROPERTY ENVIRONMENT
               "KV_TEST_PRELOAD=$<TARGET_FILE:kv_power>;ASAN_OPTIONS=verify_asan_link_order=0")
endif()
