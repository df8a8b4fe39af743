# Settings of all targets, and the function that declares components.

# Private to our targets: warnings must not apply to a consumer's code.
add_library(negpipe_warnings INTERFACE)
target_compile_options(negpipe_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Woverloaded-virtual -Wcast-align -Wformat=2
    # Designated initializers leave members at their defaults on purpose.
    -Wno-missing-field-initializers>
  # GCC 12 warns about its own std::string operator+ (GCC bug 105651).
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${NEGPIPE_WARNINGS_AS_ERRORS}>>:-Werror>)

# negpipe_component(NAME SOURCES file... [USES component...] [LINKS library...])
# Declares an object library. Only components that list it under USES can include its headers.
function(negpipe_component name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_library(negpipe_${name} OBJECT ${arg_SOURCES})
  target_compile_features(negpipe_${name} PUBLIC cxx_std_20)
  set_target_properties(negpipe_${name} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_include_directories(negpipe_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR})
  foreach(component IN LISTS arg_USES)
    target_include_directories(negpipe_${name} PRIVATE ${PROJECT_SOURCE_DIR}/host/${component})
  endforeach()
  target_link_libraries(negpipe_${name} PRIVATE negpipe_warnings Threads::Threads ${arg_LINKS})
  set_property(GLOBAL APPEND PROPERTY NEGPIPE_COMPONENTS negpipe_${name})
endfunction()
