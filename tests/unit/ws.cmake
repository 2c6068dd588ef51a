kv_add_test(unit_outgoing SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/ws/outgoing_test.c USES kv_ws)
