# Writes a C file that defines each of FILES as a slice of its bytes:
#   cmake -D OUTPUT=files.c -D FILES=folder/openapi.yaml;… -P embed.cmake
# openapi.yaml becomes `const struct kv_slice kv_web_openapi`.
set(text "#include \"web/web.h\"\n")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} bytes HEX)
  string(LENGTH "${bytes}" n_digits)
  math(EXPR length "${n_digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND text "\nstatic const unsigned char ${name}[] = {\n${bytes}};\n"
         "const struct kv_slice kv_web_${name} = {(const char *)${name}, ${length}};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
