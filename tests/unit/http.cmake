kv_add_test(unit_outbound SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/http/outbound_test.c USES kv_http)
