kv_add_test(unit_frame SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/ws/frame_test.c USES kv_ws)
