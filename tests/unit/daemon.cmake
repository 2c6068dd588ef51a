foreach(part cpus difference liveness machine_memory)
  kv_add_test(unit_daemon_${part} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/daemon/${part}_test.c
              USES kv_daemon kv_test_client)
endforeach()
