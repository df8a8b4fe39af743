#include "row_locations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace negpipe::ingest {

void row_locations::begin_part(std::string name, unit lines, std::uint64_t first_row, std::uint64_t lines_before) {
  const std::uint64_t blanks = blanks_.empty() ? 0 : blanks_.back().count;
  parts_.push_back({std::move(name), lines, first_row, lines_before, blanks});
}

void row_locations::add(std::uint64_t first_row, const std::vector<blank_lines>& blanks) {
  for (const blank_lines& some : blanks) {
    const std::uint64_t before = blanks_.empty() ? 0 : blanks_.back().count;
    blanks_.push_back({first_row + some.row, before + some.count});
  }
}

const row_locations::part& row_locations::part_of(std::uint64_t row) const {
  const auto after = std::upper_bound(parts_.begin(), parts_.end(), row,
                                      [](std::uint64_t value, const part& file) { return value < file.first_row; });
  return *std::prev(after);
}

// 1-based, like in editors.
std::uint64_t row_locations::line_of(const part& file, std::uint64_t row) const {
  const auto after = std::upper_bound(blanks_.begin(), blanks_.end(), row,
                                      [](std::uint64_t value, const blank_lines& some) { return value < some.row; });
  const std::uint64_t blanks = after == blanks_.begin() ? 0 : std::prev(after)->count;
  return file.lines_before + (row - file.first_row) + 1 + (blanks - file.blanks_before);
}

std::string row_locations::name_of(std::uint64_t row) const {
  const part& file = part_of(row);
  const std::uint64_t line = line_of(file, row);
  return file.lines == unit::line ? fmt::format("{}:{}", file.name, line)
                                  : fmt::format("{}, row {}", file.name, line - 1);
}

std::string row_locations::name_beside(std::uint64_t row, std::uint64_t other) const {
  const part& file = part_of(row);
  if (&file != &part_of(other)) return name_of(row);
  const std::uint64_t line = line_of(file, row);
  return file.lines == unit::line ? fmt::format("line {}", line) : fmt::format("row {}", line - 1);
}

}  // namespace negpipe::ingest
