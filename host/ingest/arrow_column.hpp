// Values of one column of an Arrow array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "arrow_abi.hpp"
#include "instant.hpp"

namespace negpipe::ingest {

/// Physical type of Arrow values.
enum class arrow_kind : std::uint8_t {
  int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, text, large_text, text_view, other,
};

/// Type of a column.
struct arrow_type {
  arrow_kind kind = arrow_kind::other;     ///< of the values
  arrow_kind indices = arrow_kind::other;  ///< of a dictionary-encoded column, else other
  std::int64_t ticks_per_second = 0;       ///< of timestamps and date64; 0 for others
  bool is_days = false;                    ///< date32

  static arrow_type of(const ArrowSchema& schema);

  bool is_integer() const { return kind <= arrow_kind::uint64 && !is_time(); }
  bool is_number() const { return kind <= arrow_kind::float64 && !is_time(); }
  bool is_text() const { return kind >= arrow_kind::text && kind <= arrow_kind::text_view; }
  bool is_time() const { return ticks_per_second != 0 || is_days; }
  bool is_dictionary() const { return indices != arrow_kind::other; }
};

/// Returns the name of a type as pyarrow writes it: "int64", "timestamp[ms, UTC]", "dictionary of string".
std::string name_of_type(const ArrowSchema& schema);

/// Checks what the interface lets a reader check. Returns what is wrong with an array that must hold `rows` rows of a
/// type, empty if nothing is.
std::string find_damage(const ArrowArray& array, const arrow_type& type, std::int64_t rows);

/// Returns a bit of the validity bitmap: true if there is none.
inline bool is_valid_at(const ArrowArray& array, std::int64_t slot) {
  if (array.n_buffers == 0 || array.buffers[0] == nullptr) return true;
  return (static_cast<const std::uint8_t*>(array.buffers[0])[slot / 8] >> (slot % 8) & 1) != 0;
}

/// Returns whether any of the slots [begin, end) is null.
bool has_nulls(const ArrowArray& array, std::int64_t begin, std::int64_t end);

/// The number of whole ticks in seconds, rounded down, and the rest.
inline instant instant_of_ticks(std::int64_t value, std::int64_t ticks_per_second) {
  constexpr std::int64_t unit = 1'000'000'000'000'000'000;  // of instant::fraction, in a second
  const std::int64_t rest = value % ticks_per_second;
  const bool below = rest < 0;
  return {value / ticks_per_second - (below ? 1 : 0),
          static_cast<std::uint64_t>(below ? rest + ticks_per_second : rest) *
              static_cast<std::uint64_t>(unit / ticks_per_second)};
}

/// The values of a column in one array. Non-owning. Rows are those of the table: offsets are added here.
class arrow_column {
 public:
  /// first: offset of the parent array.
  arrow_column(const ArrowArray& array, const arrow_type& type, std::int64_t first);

  bool is_valid(std::int64_t row) const;
  /// The type must be that of the value. row must be valid.
  std::int64_t integer(std::int64_t row) const;  ///< uint64 modulo 2^64
  double number(std::int64_t row) const;
  std::string_view text(std::int64_t row) const;
  /// Reads a timestamp, a date or a number. Returns false for a float that is not finite or beyond 64 bits.
  bool time(std::int64_t row, instant& time) const;

 private:
  /// Position of a row's value in the values array. Throws input_error for an index beyond the dictionary.
  std::int64_t slot(std::int64_t row) const;

  const ArrowArray* array_;
  const ArrowArray* values_;  // the dictionary, or array_
  arrow_type type_;
  std::int64_t first_;
};

}  // namespace negpipe::ingest
