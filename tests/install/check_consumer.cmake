# cmake -D FROM=package|subdirectory|fetch -D SOURCE=... -D BUILD=... -D WORK=... -D VERSION=... -D COMPILER=...
#       [-D CUDA=ON] -P
# Builds and runs the consumer project, which uses the library in one of three ways. With CUDA=ON its points come from a
# device, such as ptxrun's.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed (${result}): ${ARGN}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

if(FROM STREQUAL "package")
  # Installed in one folder and moved to another: the package must be relocatable.
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
  file(RENAME ${WORK}/first ${WORK}/prefix)
  if(NOT EXISTS ${WORK}/prefix/bin/negpipe)
    message(FATAL_ERROR "the program was not installed")
  endif()
  if(EXISTS ${WORK}/prefix/include/negpipe/backend_factory.hpp OR
     EXISTS ${WORK}/prefix/include/negpipe/column_checks.hpp OR NOT EXISTS ${WORK}/prefix/include/negpipe/negpipe.hpp)
    message(FATAL_ERROR "the installed headers differ from the public headers of the tree")
  endif()
  run(${WORK}/prefix/bin/negpipe --version)
endif()

# Debug, and by default without CUDA, because that compiles fastest.
set(cuda_options -D NEGPIPE_CUDA=OFF)
set(device "cpu")
if(CUDA)
  set(cuda_options -D NEGPIPE_CUDA=ON -D NEGPIPE_CUDA_RUNTIME=Shared -D CMAKE_CUDA_ARCHITECTURES=90-virtual)
  set(device "cuda")
endif()
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install/consumer -B ${WORK}/build -G Ninja
    ${cuda_options} -D CMAKE_BUILD_TYPE=Debug -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_PREFIX_PATH=${WORK}/prefix
    -D NEGPIPE_FROM=${FROM} -D NEGPIPE_SOURCE=${SOURCE} -D NEGPIPE_VERSION=${VERSION})
run(${CMAKE_COMMAND} --build ${WORK}/build)
# Two users with 21 ratings each: 40 training positives, 200 points per cycle, three cycles.
set(ratings "userId,movieId,rating,timestamp\n")
foreach(user 1 2)
  foreach(item RANGE 1 21)
    math(EXPR movie "${user} * 10 + ${item}")
    string(APPEND ratings "${user},${movie},4.0,${item}\n")
  endforeach()
endforeach()
file(WRITE ${WORK}/ratings.csv "${ratings}")
run(${WORK}/build/consumer ${WORK}/ratings.csv)
if(NOT output MATCHES "(^|\n)${device} \\(")
  message(FATAL_ERROR "the consumer did not use the device ${device}:\n${output}")
endif()
string(REGEX MATCHALL "[0-9]+ [0-9]+ [01]\n" lines "${output}")
list(LENGTH lines count)
if(NOT count EQUAL 600)
  message(FATAL_ERROR "the consumer printed ${count} points; wanted 600:\n${output}")
endif()
file(REMOVE_RECURSE ${WORK})
