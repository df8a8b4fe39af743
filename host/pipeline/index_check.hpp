// The index file of a record file against the records themselves.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "files.hpp"

namespace negpipe::pipeline {

/// Compares an index file, line by line, with the records that are read: memory does not grow with their number.
class index_check {
 public:
  /// Throws io_error.
  explicit index_check(const std::filesystem::path& path) : file_(path) {}

  void expect(std::uint64_t offset, std::uint64_t frame_bytes) {
    const std::string line = fmt::format("{} {}\n", offset, frame_bytes);
    is_right_ = is_right_ && text().substr(compared_).starts_with(line);
    compared_ += line.size();
  }
  /// Whether the file held a line for each record, and no more.
  bool is_right() const { return is_right_ && compared_ == text().size(); }

 private:
  std::string_view text() const {
    return {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
  }

  support::mapped_file file_;
  std::size_t compared_ = 0;
  bool is_right_ = true;
};

}  // namespace negpipe::pipeline
