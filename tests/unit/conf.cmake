foreach(part check expand file_path findings parse print schema server units)
  kv_add_test(unit_conf_${part} SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/conf/${part}_test.c
              USES kv_conf)
endforeach()
