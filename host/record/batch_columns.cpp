#include "batch_columns.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "negpipe/error.hpp"
#include "negpipe/tfrecord.hpp"

namespace negpipe::record {

std::vector<std::span<const std::byte>> batch_columns(std::span<const std::byte> payload,
                                                      std::span<const column_spec> columns) {
  const std::vector<feature> features = parse_example(payload);
  std::vector<std::span<const std::byte>> values;
  for (const auto& column : columns) {
    const auto found = std::ranges::find(features, column.name, &feature::name);
    if (found == features.end()) throw format_error(fmt::format("feature \"{}\" is missing", column.name));
    if (found->bytes.size() != column.byte_count) {
      throw format_error(fmt::format("feature \"{}\" has {} bytes, {} wanted", column.name, found->bytes.size(),
                                     column.byte_count));
    }
    values.push_back(found->bytes);
  }
  for (const auto& [name, bytes] : features) {
    if (std::ranges::find(columns, name, &column_spec::name) != columns.end()) continue;
    throw format_error(fmt::format("feature \"{}\" does not belong here", name));
  }
  return values;
}

}  // namespace negpipe::record
