# The CUDA backend: AUTO builds it if a toolkit is found, ON requires one, OFF omits it. The resulting program starts
# without a driver and without a device.
#
# NEGPIPE_CUDA_RUNTIME  Static (default) or Shared: which libcudart is linked.
# NEGPIPE_CUDA_REQUIRE_DEVICE  ON: a test that finds no device fails instead of being skipped; for GPU runners.
# CMAKE_CUDA_ARCHITECTURES  as CMake has it ("native" for the device of this machine); chosen below when not given.
set(NEGPIPE_CUDA AUTO CACHE STRING "Build the CUDA backend: AUTO, ON or OFF")
set_property(CACHE NEGPIPE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(NEGPIPE_CUDA_RUNTIME Static CACHE STRING "The CUDA runtime that is linked: Static or Shared")
option(NEGPIPE_CUDA_REQUIRE_DEVICE "Let the CUDA tests fail, not skip, if there is no device" OFF)
set(NEGPIPE_HAS_CUDA OFF)
set(NEGPIPE_CUDART)
if(NEGPIPE_CUDA STREQUAL "OFF")
  return()
endif()

# nvcc is often not in PATH; scripts/setup --cuda installs a toolkit into .venv.
include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  file(GLOB wheel_toolkits ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu1[0-9]/bin)
  find_program(NEGPIPE_NVCC nvcc HINTS ENV CUDA_PATH PATH_SUFFIXES bin PATHS /usr/local/cuda/bin ${wheel_toolkits})
  mark_as_advanced(NEGPIPE_NVCC)
  if(NEGPIPE_NVCC)
    set(CMAKE_CUDA_COMPILER ${NEGPIPE_NVCC} CACHE FILEPATH "The CUDA compiler")
  endif()
endif()
if(CMAKE_CUDA_COMPILER OR DEFINED ENV{CUDACXX})
  check_language(CUDA)
endif()
if(NOT CMAKE_CUDA_COMPILER)
  if(NEGPIPE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "NEGPIPE_CUDA=ON, but no nvcc was found in PATH, CUDA_PATH, /usr/local/cuda or .venv: "
                        "install a CUDA toolkit, run scripts/setup --cuda, or set CMAKE_CUDA_COMPILER")
  endif()
  message(STATUS "CUDA backend: omitted, no toolkit found (NEGPIPE_CUDA=${NEGPIPE_CUDA})")
  return()
endif()

# A Release build has code for each generation from Turing on that the toolkit supports, and PTX for two: 9.0, which
# drivers can compile for all later devices, and the newest. Other builds have one architecture.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known_codes)
    set(CMAKE_CUDA_ARCHITECTURES 90-virtual)
    foreach(architecture 75 80 86 87 89 90 100 103 110 120 121)
      if(known_codes MATCHES "sm_${architecture}\n")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
        set(newest ${architecture})
      endif()
    endforeach()
    if(NOT newest EQUAL 90)
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${newest}-virtual)
    endif()
  else()
    set(CMAKE_CUDA_ARCHITECTURES 90)
  endif()
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
# The CCCL of the compiler's toolkit, not of another in the search path; wheels have it in cccl.
find_package(CCCL CONFIG REQUIRED NO_DEFAULT_PATH
             PATHS ${CUDAToolkit_LIBRARY_DIR}/cmake ${CUDAToolkit_TARGET_DIR}/lib/cmake ${CUDAToolkit_LIBRARY_ROOT}
                   ${CUDAToolkit_LIBRARY_ROOT}/cccl ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_TARGET_DIR}/cccl)
set(NEGPIPE_HAS_CUDA ON)
message(STATUS "CUDA backend: ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION}, "
               "architectures ${CMAKE_CUDA_ARCHITECTURES}, CCCL ${CCCL_VERSION}")

# Settings of all targets with CUDA sources.
add_library(negpipe_cuda_options INTERFACE)
# As a flag, because CMake 3.25 does not know C++20 for nvcc.
target_compile_options(negpipe_cuda_options INTERFACE
  $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 -lineinfo -Xcompiler=-Wall,-Wextra,-Wshadow,-Wno-unused-parameter>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${NEGPIPE_WARNINGS_AS_ERRORS}>>:-Werror=all-warnings>)
target_link_libraries(negpipe_cuda_options INTERFACE CCCL::CCCL)
if(NEGPIPE_CUDA_RUNTIME STREQUAL "Shared")
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  set(NEGPIPE_CUDART CUDA::cudart)
else()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  set(NEGPIPE_CUDART CUDA::cudart_static)
endif()
