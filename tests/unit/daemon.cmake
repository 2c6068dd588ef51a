kv_add_test(unit_daemon_cpus SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/daemon/cpus_test.c
            USES kv_daemon kv_test_client)
