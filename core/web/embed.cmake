# Writes a C file with the table of web.h:
#   cmake -D OUTPUT=files.c -D FOLDER=core/web "-DFILES=/openapi.yaml=openapi.yaml;…" -P embed.cmake
# Each file of FOLDER is embedded as it is and, where that is shorter, compressed; programs and pages without
# indentation, empty lines and lines of comment, which nobody reads there; Markdown with links to where the other files
# are served, which may lie elsewhere in the source tree.
set(type_.css "text/css; charset=utf-8")
set(type_.html "text/html; charset=utf-8")
set(type_.js "text/javascript; charset=utf-8")
set(type_.md "text/markdown; charset=utf-8")
set(type_.svg "image/svg+xml")
set(type_.txt "text/plain; charset=utf-8")
set(type_.yaml "application/yaml")

set(arrays "")
set(entries "")

# Adds an array of the bytes; slice becomes an initializer of it.
function(add_array name bytes slice)
  string(LENGTH "${bytes}" n_digits)
  math(EXPR length "${n_digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  set(arrays "${arrays}static const unsigned char ${name}[] = {\n${bytes}};\n\n" PARENT_SCOPE)
  set(${slice} "{(const char *)${name}, ${length}}" PARENT_SCOPE)
endfunction()

# The path of a file, relative to the folder of another one.
function(relative_path from to result)
  get_filename_component(folder "${from}" DIRECTORY)
  file(RELATIVE_PATH path "${folder}" "${to}")
  set(${result} "${path}" PARENT_SCOPE)
endfunction()

# Replaces the targets of links in a page. page: PATH=FILE; name: of the variable with its text.
function(serve_links page name)
  string(REGEX MATCH "^([^=]*)=(.*)$" page "${page}")
  set(page_path "${CMAKE_MATCH_1}")
  set(page_file "${FOLDER}/${CMAKE_MATCH_2}")
  set(served "${${name}}")
  foreach(pair ${FILES})
    string(REGEX MATCH "^([^=]*)=(.*)$" pair "${pair}")
    relative_path("${page_path}" "${CMAKE_MATCH_1}" path)
    relative_path("${page_file}" "${FOLDER}/${CMAKE_MATCH_2}" file)
    string(REPLACE "](${file})" "](${path})" served "${served}")
    string(REPLACE "](${file}#" "](${path}#" served "${served}")
  endforeach()
  set(${name} "${served}" PARENT_SCOPE)
endfunction()

set(n 0)
foreach(pair ${FILES})
  string(REGEX MATCH "^([^=]*)=(.*)$" pair "${pair}")
  set(path "${CMAKE_MATCH_1}")
  set(file "${FOLDER}/${CMAKE_MATCH_2}")
  get_filename_component(extension "${file}" LAST_EXT)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${file}: its type is not known here")
  endif()
  string(LENGTH "${path}" path_length)
  string(LENGTH "${type_${extension}}" type_length)

  file(READ "${file}" plain HEX)
  if(extension MATCHES "^\\.(js|css|html|md)$")
    file(READ "${file}" text)
    if(extension STREQUAL ".js")
      string(REGEX REPLACE "\n *//[^\n]*" "" text "${text}")
      if(text MATCHES "\n[^`\n]*`([^`\n]*`[^`\n]*`)*[^`\n]*\n")
        message(FATAL_ERROR "${file}: a template of several lines would lose its blanks")
      endif()
    endif()
    if(extension STREQUAL ".md")
      serve_links("${pair}" text)
    else()
      string(REGEX REPLACE "\n[ \n]+" "\n" text "${text}")
    endif()
    set(file "${OUTPUT}.served")
    file(WRITE "${file}" "${text}")
    file(READ "${file}" plain HEX)
  endif()
  string(SHA256 hash "${plain}")
  string(SUBSTRING "${hash}" 0 16 hash)
  file(ARCHIVE_CREATE OUTPUT "${OUTPUT}.gz" PATHS "${file}" FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
  file(READ "${OUTPUT}.gz" zipped HEX)
  file(REMOVE "${OUTPUT}.gz" "${OUTPUT}.served")
  string(SUBSTRING "${zipped}" 0 8 zipped_head)
  string(SUBSTRING "${zipped}" 16 -1 zipped_tail)
  set(zipped "${zipped_head}00000000${zipped_tail}") # without the time

  add_array(plain_${n} "${plain}" plain_slice)
  set(zipped_slice "{NULL, 0}")
  string(LENGTH "${plain}" plain_digits)
  string(LENGTH "${zipped}" zipped_digits)
  if(zipped_digits LESS plain_digits)
    add_array(zipped_${n} "${zipped}" zipped_slice)
  endif()
  string(APPEND entries
         "    {.path = {\"${path}\", ${path_length}},\n"
         "     .type = {\"${type_${extension}}\", ${type_length}},\n"
         "     .plain = {${plain_slice}, {\"\\\"${hash}\\\"\", 18}},\n"
         "     .zipped = {${zipped_slice}, {\"\\\"${hash}z\\\"\", 19}}},\n")
  math(EXPR n "${n} + 1")
endforeach()

file(WRITE ${OUTPUT} "#include \"web/web.h\"\n\n${arrays}"
     "const struct kv_web_file kv_web_files[] = {\n${entries}};\n"
     "const size_t kv_web_n_files = ${n};\n")
