#include "arrow_column.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::uint64_t second = 1'000'000'000'000'000'000;  // in the unit of instant::fraction

arrow_kind kind_of(std::string_view format) {
  constexpr std::string_view plain = "csilCSILfg";
  if (format == "u" || format == "z") return arrow_kind::text;
  if (format == "U" || format == "Z") return arrow_kind::large_text;
  if (format == "vu" || format == "vz") return arrow_kind::text_view;
  if (format == "tdD") return arrow_kind::int32;
  if (format == "tdm" || format.starts_with("ts")) return arrow_kind::int64;
  const std::size_t found = format.size() == 1 ? plain.find(format) : std::string_view::npos;
  return found == std::string_view::npos ? arrow_kind::other : static_cast<arrow_kind>(found);
}

std::int64_t ticks_of(std::string_view format) {
  if (format == "tdm" || format.starts_with("tsm")) return 1'000;
  if (format.starts_with("tss")) return 1;
  if (format.starts_with("tsu")) return 1'000'000;
  if (format.starts_with("tsn")) return 1'000'000'000;
  return 0;
}

template <typename T>
T value_at(const ArrowArray& array, int buffer, std::int64_t slot) {
  return static_cast<const T*>(array.buffers[buffer])[slot];
}

bool bit_at(const ArrowArray& array, std::int64_t slot) {
  if (array.n_buffers == 0 || array.buffers[0] == nullptr) return true;
  return (static_cast<const std::uint8_t*>(array.buffers[0])[slot / 8] >> (slot % 8) & 1) != 0;
}

std::int64_t integer_at(const ArrowArray& array, arrow_kind kind, std::int64_t slot) {
  switch (kind) {
    case arrow_kind::int8: return value_at<std::int8_t>(array, 1, slot);
    case arrow_kind::int16: return value_at<std::int16_t>(array, 1, slot);
    case arrow_kind::int32: return value_at<std::int32_t>(array, 1, slot);
    case arrow_kind::uint8: return value_at<std::uint8_t>(array, 1, slot);
    case arrow_kind::uint16: return value_at<std::uint16_t>(array, 1, slot);
    case arrow_kind::uint32: return value_at<std::uint32_t>(array, 1, slot);
    default: return value_at<std::int64_t>(array, 1, slot);
  }
}

template <typename Offset>
std::string_view text_between(const ArrowArray& array, std::int64_t slot) {
  const auto begin = value_at<Offset>(array, 1, slot);
  const auto size = static_cast<std::size_t>(value_at<Offset>(array, 1, slot + 1) - begin);
  return size == 0 ? std::string_view() : std::string_view(static_cast<const char*>(array.buffers[2]) + begin, size);
}

/// A view is its size and up to 12 bytes of text, or a prefix, the number of a buffer and an offset.
std::string_view text_of_view(const ArrowArray& array, std::int64_t slot) {
  const char* view = static_cast<const char*>(array.buffers[1]) + 16 * slot;
  std::int32_t fields[4];
  std::memcpy(fields, view, sizeof fields);
  const auto size = static_cast<std::size_t>(fields[0]);
  if (size <= 12) return {view + 4, size};
  return {static_cast<const char*>(array.buffers[2 + fields[2]]) + fields[3], size};
}

}  // namespace

arrow_type arrow_type::of(const ArrowSchema& schema) {
  const ArrowSchema& values = schema.dictionary != nullptr ? *schema.dictionary : schema;
  arrow_type type{.kind = kind_of(values.format),
                  .ticks_per_second = ticks_of(values.format),
                  .is_days = std::string_view(values.format) == "tdD",
                  .format = values.format};
  if (schema.dictionary != nullptr) type.indices = kind_of(schema.format);
  return type;
}

arrow_column::arrow_column(const ArrowArray& array, const arrow_type& type, std::int64_t first)
    : array_(&array), values_(array.dictionary != nullptr ? array.dictionary : &array), type_(type), first_(first) {}

std::int64_t arrow_column::slot(std::int64_t row) const {
  const std::int64_t own = array_->offset + first_ + row;
  if (values_ == array_) return own;
  const std::int64_t index = integer_at(*array_, type_.indices, own);
  if (index < 0 || index >= values_->length) {
    throw input_error(fmt::format("row {}: index {} is not in the column's dictionary, which has {} values; make the "
                                  "column again", row, index, values_->length));
  }
  return values_->offset + index;
}

bool arrow_column::is_valid(std::int64_t row) const {
  if (!bit_at(*array_, array_->offset + first_ + row)) return false;
  return values_ == array_ || bit_at(*values_, slot(row));
}

std::int64_t arrow_column::integer(std::int64_t row) const { return integer_at(*values_, type_.kind, slot(row)); }

double arrow_column::number(std::int64_t row) const {
  if (type_.kind == arrow_kind::float32) return static_cast<double>(value_at<float>(*values_, 1, slot(row)));
  if (type_.kind == arrow_kind::float64) return value_at<double>(*values_, 1, slot(row));
  const std::int64_t value = integer(row);
  return type_.kind == arrow_kind::uint64 ? static_cast<double>(static_cast<std::uint64_t>(value))
                                          : static_cast<double>(value);
}

std::string_view arrow_column::text(std::int64_t row) const {
  if (type_.kind == arrow_kind::text) return text_between<std::int32_t>(*values_, slot(row));
  if (type_.kind == arrow_kind::large_text) return text_between<std::int64_t>(*values_, slot(row));
  return text_of_view(*values_, slot(row));
}

bool arrow_column::time(std::int64_t row, instant& time) const {
  if (type_.kind == arrow_kind::float32 || type_.kind == arrow_kind::float64) {
    constexpr double limit = 9223372036854775808.0;  // 2^63
    const double value = number(row);
    const double whole = std::floor(value);
    if (!(whole >= -limit && whole < limit)) return false;
    time = {static_cast<std::int64_t>(whole),
            static_cast<std::uint64_t>((value - whole) * static_cast<double>(second))};
    return true;
  }
  const std::int64_t value = integer(row);
  if (type_.is_days) {
    time = {value * 86'400, 0};
  } else if (type_.ticks_per_second > 1) {
    const std::int64_t ticks = type_.ticks_per_second;
    const std::int64_t rest = (value % ticks + ticks) % ticks;
    time = {value / ticks - (value % ticks < 0 ? 1 : 0),
            static_cast<std::uint64_t>(rest) * (second / static_cast<std::uint64_t>(ticks))};
  } else {
    time = {value, 0};
    return type_.kind != arrow_kind::uint64 || value >= 0;
  }
  return true;
}

}  // namespace negpipe::ingest
