kv_add_test(unit_linear SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/linear_test.c USES kv_test_linear)
