kv_add_test(unit_linear SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/linear_test.c USES kv_test_linear)
kv_add_test(unit_records SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/records_test.c USES kv_test_client)

# ThreadSanitizer's own functions come before those that are preloaded.
if(NOT KV_SANITIZE STREQUAL "thread")
  kv_add_test(unit_power SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/power_test.c USES kv_test_disk)
  add_dependencies(test_unit_power kv_power)
  set_property(TEST unit_power APPEND PROPERTY ENVIRONMENT
               "KV_TEST_PRELOAD=$<TARGET_FILE:kv_power>;ASAN_OPTIONS=verify_asan_link_order=0")
endif()

# The support of tests in Python.
if(KV_PYTHON AND KV_SANITIZE STREQUAL "" AND NOT KV_FUZZ)
  add_executable(reserve_ports ${CMAKE_CURRENT_SOURCE_DIR}/support/reserve_ports.c)
  target_link_libraries(reserve_ports PRIVATE kv_test_client)
  set_target_properties(reserve_ports PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  foreach(theme ports processes)
    add_test(NAME unit_${theme} COMMAND ${KV_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/support/${theme}_test.py)
    set_tests_properties(unit_${theme} PROPERTIES LABELS "unit;quick" TIMEOUT ${KV_TEST_TIMEOUT}
                         ENVIRONMENT "KV_RESERVE_PORTS=$<TARGET_FILE:reserve_ports>")
  endforeach()
endif()
