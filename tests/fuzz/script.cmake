kv_add_fuzz(script_value SOURCES script_value_fuzz.c USES kv_script PkgConfig::JANSSON)
kv_add_fuzz(script_pattern SOURCES script_pattern_fuzz.c USES kv_script)
