#include "arrow_column.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

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

[[noreturn]] void refuse_text(std::int64_t slot) {
  throw input_error(fmt::format("the text in slot {} of an Arrow array ends before it begins or is in no buffer; make "
                                "the column again", slot));
}

template <typename Offset>
std::string_view text_between(const ArrowArray& array, std::int64_t slot) {
  const auto begin = value_at<Offset>(array, 1, slot);
  const auto end = value_at<Offset>(array, 1, slot + 1);
  if (begin == end) return {};
  if (begin < 0 || end < begin || array.buffers[2] == nullptr) refuse_text(slot);
  return {static_cast<const char*>(array.buffers[2]) + begin, static_cast<std::size_t>(end - begin)};
}

/// Returns whether offsets of texts ascend. Buffers have no sizes: only so can no text but the last reach beyond them.
template <typename Offset>
bool ascend(const ArrowArray& array, std::int64_t rows) {
  for (std::int64_t slot = array.offset; slot < array.offset + rows; ++slot) {
    if (value_at<Offset>(array, 1, slot + 1) < value_at<Offset>(array, 1, slot)) return false;
  }
  return true;
}

bool texts_ascend(const ArrowArray& array, arrow_kind kind, std::int64_t rows) {
  if (kind == arrow_kind::text) return ascend<std::int32_t>(array, rows);
  return kind != arrow_kind::large_text || ascend<std::int64_t>(array, rows);
}

/// A view is its size and up to 12 bytes of text, or a prefix, the number of a buffer and an offset.
std::string_view text_of_view(const ArrowArray& array, std::int64_t slot) {
  constexpr std::int64_t other_buffers = 3;  // validity, views, and the sizes at the end
  const char* view = static_cast<const char*>(array.buffers[1]) + 16 * slot;
  std::int32_t fields[4];
  std::memcpy(fields, view, sizeof fields);
  const std::int32_t size = fields[0];
  if (size < 0) refuse_text(slot);
  if (size <= 12) return {view + 4, static_cast<std::size_t>(size)};
  if (fields[2] < 0 || fields[2] >= array.n_buffers - other_buffers || fields[3] < 0) refuse_text(slot);
  return {static_cast<const char*>(array.buffers[2 + fields[2]]) + fields[3], static_cast<std::size_t>(size)};
}

}  // namespace

arrow_type arrow_type::of(const ArrowSchema& schema) {
  const ArrowSchema& values = schema.dictionary != nullptr ? *schema.dictionary : schema;
  arrow_type type{.kind = kind_of(values.format),
                  .ticks_per_second = ticks_of(values.format),
                  .is_days = std::string_view(values.format) == "tdD"};
  if (schema.dictionary != nullptr) type.indices = kind_of(schema.format);
  return type;
}

std::string find_damage(const ArrowArray& array, const arrow_type& type, std::int64_t rows) {
  if (array.offset < 0 || array.length < rows) return fmt::format("has {} rows of {}", array.length, rows);
  if ((array.dictionary != nullptr) != type.is_dictionary()) return "differs from its schema in its dictionary";
  if (type.is_dictionary()) {
    const arrow_type values{.kind = type.kind};
    const std::string damage = find_damage(*array.dictionary, values, array.dictionary->length);
    if (!damage.empty()) return "has a dictionary that " + damage;
  }
  const arrow_kind kind = type.is_dictionary() ? type.indices : type.kind;
  const std::int64_t wanted = kind >= arrow_kind::text ? 3 : 2;
  if (array.n_buffers < wanted) return fmt::format("has {} buffers of {}", array.n_buffers, wanted);
  if (array.length > 0 && array.buffers[1] == nullptr) return "has no values";
  return rows > 0 && !texts_ascend(array, kind, rows) ? "has a text that ends before it begins" : "";
}

bool has_nulls(const ArrowArray& array, std::int64_t begin, std::int64_t end) {
  if (array.null_count == 0 || array.n_buffers == 0 || array.buffers[0] == nullptr) return false;
  for (; begin < end && begin % 8 != 0; ++begin) {
    if (!is_valid_at(array, begin)) return true;
  }
  const auto* bits = static_cast<const std::uint8_t*>(array.buffers[0]);
  for (; begin + 8 <= end; begin += 8) {
    if (bits[begin / 8] != 0xff) return true;
  }
  for (; begin < end; ++begin) {
    if (!is_valid_at(array, begin)) return true;
  }
  return false;
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
  if (!is_valid_at(*array_, array_->offset + first_ + row)) return false;
  return values_ == array_ || is_valid_at(*values_, slot(row));
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
            static_cast<std::uint64_t>((value - whole) * 1e18)};
    return true;
  }
  const std::int64_t value = integer(row);
  if (type_.is_days) {
    time = {value * 86'400, 0};
  } else if (type_.ticks_per_second > 1) {
    time = instant_of_ticks(value, type_.ticks_per_second);
  } else {
    time = {value, 0};
    return type_.kind != arrow_kind::uint64 || value >= 0;
  }
  return true;
}

}  // namespace negpipe::ingest
