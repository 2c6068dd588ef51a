set(wire_tests ${PROJECT_SOURCE_DIR}/tests/unit/wire)
kv_add_test(unit_duration SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/base/duration_test.c
            USES kv_base)
foreach(subject authority backup_line backup_sum backup_touches base64url byte_range chunked decimal deflate deflate_offer etag event_text frame framing host_pattern http_date integer json key_path line
                merge_patch message proxy_header query request_head ttl utf8)
  kv_add_test(unit_${subject} SOURCES ${wire_tests}/${subject}_test.c USES kv_wire)
endforeach()

# The suite of Nicolas Seriot, "Parsing JSON is a minefield"; the test skips where it is not there.
kv_add_test(unit_json_suite SOURCES ${wire_tests}/json_suite_test.c USES kv_wire)
target_compile_definitions(test_unit_json_suite PRIVATE
  KV_JSON_TEST_SUITE="${PROJECT_SOURCE_DIR}/../shared/data/json-test-suite/test_parsing")
