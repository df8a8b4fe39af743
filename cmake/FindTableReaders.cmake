# Libraries that read tables: JSON lines, zstd, zip. Defines TableReaders::simdjson, TableReaders::zstd and
# TableReaders::zip. CMake has modules for zlib, bzip2 and liblzma. The packages' CMake files are not used: that of
# libzip in Debian fails if its programs are not installed.
include(FindPackageHandleStandardArgs)
set(_table_readers_variables)
foreach(_pair simdjson:simdjson.h zstd:zstd.h zip:zip.h)
  string(REPLACE ":" ";" _pair ${_pair})
  list(GET _pair 0 _name)
  list(GET _pair 1 _header)
  find_path(TableReaders_${_name}_INCLUDE_DIR ${_header})
  find_library(TableReaders_${_name}_LIBRARY ${_name})
  mark_as_advanced(TableReaders_${_name}_INCLUDE_DIR TableReaders_${_name}_LIBRARY)
  list(APPEND _table_readers_variables TableReaders_${_name}_LIBRARY TableReaders_${_name}_INCLUDE_DIR)
endforeach()
find_package_handle_standard_args(TableReaders REQUIRED_VARS ${_table_readers_variables}
  REASON_FAILURE_MESSAGE "install libsimdjson-dev, libzstd-dev and libzip-dev (Debian, Ubuntu) or run scripts/setup")
if(TableReaders_FOUND)
  foreach(_name simdjson zstd zip)
    if(NOT TARGET TableReaders::${_name})
      add_library(TableReaders::${_name} UNKNOWN IMPORTED)
      set_target_properties(TableReaders::${_name} PROPERTIES IMPORTED_LOCATION ${TableReaders_${_name}_LIBRARY}
                            INTERFACE_INCLUDE_DIRECTORIES ${TableReaders_${_name}_INCLUDE_DIR})
    endif()
  endforeach()
endif()
