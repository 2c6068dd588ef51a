kv_add_test(unit_script_state SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/script/state_test.c
            USES kv_script)
