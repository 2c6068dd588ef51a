foreach(subject access issuer prefixes rates token)
  kv_add_test(unit_access_${subject} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/access/${subject}_test.c
              USES kv_access kv_test_jwt)
endforeach()
