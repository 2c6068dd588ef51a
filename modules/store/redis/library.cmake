# Writes the C file of library.h: cmake -D INPUT=library.lua -D OUTPUT=library.c -P library.cmake
file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(STRINGS "${INPUT}" version REGEX "^local VERSION = [0-9]+$")
string(REGEX REPLACE "^local VERSION = " "" version "${version}")
if(NOT version MATCHES "^[0-9]+$")
  message(FATAL_ERROR "${INPUT} has no line `local VERSION = NUMBER`")
endif()
file(WRITE "${OUTPUT}" "#include \"library.h\"

const int64_t library_version = ${version};

static const unsigned char text[] = {
${bytes}};

struct kv_slice library_text(void)
{
    return (struct kv_slice){(const char *)text, sizeof(text)};
}
")
