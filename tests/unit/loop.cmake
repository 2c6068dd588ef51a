kv_add_test(unit_loop SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/loop/loop_test.c USES kv_loop
            LABELS threads)
kv_add_test(unit_workers SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/loop/workers_test.c USES kv_loop
            LABELS threads)
kv_add_test(unit_round SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/loop/round_test.c USES kv_loop)
