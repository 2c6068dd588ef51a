kv_add_test(unit_outbound SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/ws/outbound_test.c USES kv_ws)
