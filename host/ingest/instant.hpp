// Reads the times of ratings: numbers or ISO 8601 dates.
#pragma once

#include <cstdint>
#include <string_view>

namespace negpipe::ingest {

/// Format of times. All rows of a column have the same format.
enum class time_format : std::uint8_t {
  number,  ///< any unit since any moment: 978300760, 978300760.25, 9.7830076e8
  date,    ///< such as 2020-01-31 or 2020-01-31T23:59:59.25+01:00
};

/// A time of a column. Compares like the pair (whole, fraction).
struct instant {
  std::int64_t whole = 0;      ///< the number rounded down, or seconds since 1970-01-01 UTC
  std::uint64_t fraction = 0;  ///< the rest, in units of 10^-18

  friend bool operator==(const instant&, const instant&) = default;
  friend auto operator<=>(const instant&, const instant&) = default;
};

/// Reads a decimal number exactly, with an optional fraction and exponent and surrounding spaces. Returns false for
/// other texts, for a whole part beyond 64 bits, and for nonzero digits after the 18th of the fraction.
bool parse_number(std::string_view text, instant& time);

/// Reads a date (YYYY-MM-DD, YYYY/MM/DD, or without leading zeros YYYY-M-D), optionally with a time of day (after "T"
/// or a space; seconds and their fraction are optional) and a zone (Z, UTC, +HH:MM, +HHMM or +HH; UTC by default).
/// Returns false for other texts.
bool parse_date(std::string_view text, instant& time);

/// Guesses the unit of a number since 1970 from its size: current seconds have nine or ten digits. Returns units per
/// second, or 0 if unknown.
std::int64_t guess_times_per_second(std::int64_t time);

inline bool parse_instant(time_format format, std::string_view text, instant& time) {
  return format == time_format::number ? parse_number(text, time) : parse_date(text, time);
}

}  // namespace negpipe::ingest
