kv_add_test(unit_module SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/module_test.c
            USES kv_module)
target_compile_definitions(test_unit_module PRIVATE
                           MODULES="${CMAKE_BINARY_DIR}/modules"
                           BAD_MODULES="${CMAKE_BINARY_DIR}/modules-bad")
add_dependencies(test_unit_module store_simple ttl_fixed bad_modules)

kv_add_test(unit_store_simple SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/module/simple_test.c
            USES kv_module)
target_compile_definitions(test_unit_store_simple PRIVATE MODULES="${CMAKE_BINARY_DIR}/modules")
add_dependencies(test_unit_store_simple store_simple)
