foreach(subject fast_request)
  kv_add_test(unit_${subject} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/http/${subject}_test.c
              USES kv_http)
endforeach()
