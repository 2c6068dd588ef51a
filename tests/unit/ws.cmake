kv_add_test(unit_frames SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/ws/frames_test.c USES kv_ws)
