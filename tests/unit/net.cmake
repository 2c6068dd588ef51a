kv_add_test(unit_ebb SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/net/ebb_test.c USES kv_net)
kv_add_test(unit_outbound SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/net/outbound_test.c USES kv_net)
kv_add_test(unit_quantum SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/net/quantum_test.c USES kv_net)
kv_add_test(unit_tls_name SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/net/tls_name_test.c USES kv_net)
