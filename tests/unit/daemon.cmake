foreach(part cpus difference machine_memory rollouts)
  kv_add_test(unit_daemon_${part} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/daemon/${part}_test.c
              USES kv_daemon kv_test_client)
endforeach()
