foreach(subject key_set source token verify)
  kv_add_test(unit_jwt_${subject} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/jwt/${subject}_test.c
              USES kv_jwt kv_test_jwt)
endforeach()
