# Targets that use a socket: the server's core with the store memory linked in.
file(GLOB memory_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/modules/store/memory/*.c)
add_library(kv_fuzz_served STATIC served.c ${memory_sources})
target_include_directories(kv_fuzz_served PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(kv_fuzz_served PUBLIC kv_ws kv_http kv_keyspace kv_wire kv_loop kv_base)
foreach(target carriers http websocket)
  kv_add_fuzz(${target} SOURCES ${target}_fuzz.c USES kv_fuzz_served)
endforeach()
