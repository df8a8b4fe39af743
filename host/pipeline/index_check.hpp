// Compares the index file of a record file with the records.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "files.hpp"

namespace negpipe::pipeline {

/// Compares an index file with records as they are read. Constant memory. Not thread-safe.
class index_check {
 public:
  /// Throws io_error.
  explicit index_check(const std::filesystem::path& path) : file_(path) {}

  /// Returns whether all lines were correct so far and text is left.
  bool has_more() const { return is_right_ && compared_ < text().size(); }
  /// Compares the next line with the offset and size of the next record's frame.
  void expect(std::uint64_t offset, std::uint64_t frame_bytes) {
    const std::string line = fmt::format("{} {}\n", offset, frame_bytes);
    is_right_ = is_right_ && text().substr(compared_).starts_with(line);
    compared_ += line.size();
  }
  /// Returns whether the file has exactly one correct line per record.
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
