// Names of Arrow types, for messages.
// Source: https://arrow.apache.org/docs/format/CDataInterface.html, "Data type description"
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "arrow_column.hpp"

namespace negpipe::ingest {

namespace {

using name = std::pair<std::string_view, std::string_view>;

constexpr std::array whole_formats = {
    name{"n", "null"},         name{"b", "bool"},          name{"c", "int8"},          name{"C", "uint8"},
    name{"s", "int16"},        name{"S", "uint16"},        name{"i", "int32"},         name{"I", "uint32"},
    name{"l", "int64"},        name{"L", "uint64"},        name{"e", "float16"},       name{"f", "float"},
    name{"g", "double"},       name{"z", "binary"},        name{"Z", "large_binary"},  name{"vz", "binary_view"},
    name{"u", "string"},       name{"U", "large_string"},  name{"vu", "string_view"},  name{"tdD", "date32"},
    name{"tdm", "date64"},     name{"+l", "list"},         name{"+L", "large_list"},   name{"+vl", "list_view"},
    name{"+vL", "large_list_view"}, name{"+s", "struct"},  name{"+m", "map"},          name{"+r", "run_end_encoded"},
    name{"tiM", "month_interval"},  name{"tiD", "day_time_interval"},  name{"tin", "month_day_nano_interval"},
};

/// Types with parameters, which follow the prefix.
constexpr std::array prefixes = {
    name{"d:", "decimal"}, name{"w:", "fixed_size_binary"}, name{"+w:", "fixed_size_list"}, name{"+u", "union"},
};

constexpr std::array timed = {name{"ts", "timestamp"}, name{"tt", "time"}, name{"tD", "duration"}};

std::string name_of_format(std::string_view format) {
  const auto* whole = std::ranges::find(whole_formats, format, &name::first);
  if (whole != whole_formats.end()) return std::string(whole->second);
  for (const auto& [prefix, type] : timed) {
    if (!format.starts_with(prefix) || format.size() < 3) continue;
    const std::string unit = format[2] == 's' ? "s" : fmt::format("{}s", format[2]);
    const std::string_view zone = format.size() > 4 ? format.substr(4) : "";
    return fmt::format("{}[{}{}{}]", type, unit, zone.empty() ? "" : ", ", zone);
  }
  for (const auto& [prefix, type] : prefixes) {
    if (format.starts_with(prefix)) return fmt::format("{}({})", type, format.substr(prefix.size()));
  }
  return fmt::format("with the format \"{}\"", format);
}

}  // namespace

std::string name_of_type(const ArrowSchema& schema) {
  if (schema.dictionary != nullptr) return "dictionary of " + name_of_type(*schema.dictionary);
  return name_of_format(schema.format);
}

}  // namespace negpipe::ingest
