# cmake --install: the library, its headers, the program if it is built, and a package for find_package(negpipe).
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/negpipe)

install(TARGETS negpipe EXPORT negpipe-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
# Internal: the interface between host and CUDA is not installed.
install(DIRECTORY include/negpipe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} PATTERN backend_factory.hpp EXCLUDE
        PATTERN column_checks.hpp EXCLUDE)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(NEGPIPE_BUILD_CLI)
  install(TARGETS negpipe_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

install(EXPORT negpipe-targets NAMESPACE negpipe:: DESTINATION ${package_folder})
configure_package_config_file(cmake/negpipe-config.cmake.in ${PROJECT_BINARY_DIR}/negpipe-config.cmake
                              INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
# SemVer: until 1.0 a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/negpipe-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/negpipe-config.cmake ${PROJECT_BINARY_DIR}/negpipe-config-version.cmake
              cmake/FindISAL.cmake cmake/FindTableReaders.cmake
        DESTINATION ${package_folder})
