foreach(subject budget gathering origin state)
  kv_add_test(unit_script_${subject}
              SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/script/${subject}_test.c USES kv_script)
endforeach()
