foreach(subject arguments events spread)
  kv_add_test(unit_kvctl_${subject} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/kvctl/${subject}_test.c USES kv_kvctl)
endforeach()
