#include "format.hpp"

#include <fmt/core.h>

namespace negpipe::record {

std::string cycle_folder_name(std::uint64_t cycle) { return fmt::format("cycle_{:05}", cycle); }

std::string record_file_name(std::string_view prefix, std::uint32_t file) {
  return fmt::format("{}_{}.tfrecords", prefix, file);
}

}  // namespace negpipe::record
