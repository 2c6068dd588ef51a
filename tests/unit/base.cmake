kv_add_test(unit_buffer SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/base/buffer_test.c USES kv_base)
kv_add_test(unit_clock SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/base/clock_test.c USES kv_base)
kv_add_test(unit_heap SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/base/heap_test.c USES kv_base)
kv_add_test(unit_table SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/base/table_test.c USES kv_base)
