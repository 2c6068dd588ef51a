kv_add_fuzz(kvctl_events SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/kvctl_events_fuzz.c USES kv_kvctl)
