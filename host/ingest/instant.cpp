#include "instant.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <limits>
#include <string>

#include "fields.hpp"

namespace negpipe::ingest {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view take_digits(std::string_view& text) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  const std::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  return digits;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// Reads the digits after the point in units of 10^-18. Returns false if they need more precision.
bool parse_fraction(std::string_view digits, std::uint64_t& fraction) {
  constexpr std::size_t max_digits = 18;
  if (digits.size() > max_digits) {
    if (digits.find_first_not_of('0', max_digits) != std::string_view::npos) return false;
    digits = digits.substr(0, max_digits);
  }
  fraction = 0;
  for (std::size_t i = 0; i < max_digits; ++i) {
    fraction = fraction * 10 + (i < digits.size() ? static_cast<std::uint64_t>(digits[i] - '0') : 0);
  }
  return true;
}

/// Reads a number of exactly `width` digits.
bool take_fixed(std::string_view& text, std::size_t width, int& value) {
  if (text.size() < width || !std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(width), is_digit)) {
    return false;
  }
  std::from_chars(text.data(), text.data() + width, value);
  text.remove_prefix(width);
  return true;
}

/// Reads a number of one or two digits.
bool take_one_or_two(std::string_view& text, int& value) {
  return take_fixed(text, 2, value) || take_fixed(text, 1, value);
}

bool take_day(std::string_view& text, std::int64_t& seconds) {
  int year = 0;
  int month = 0;
  int day = 0;
  if (!take_fixed(text, 4, year)) return false;
  const char dash = text.starts_with('/') ? '/' : '-';
  if (!take(text, dash) || !take_one_or_two(text, month) || !take(text, dash) || !take_one_or_two(text, day)) {
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return false;
  seconds = std::int64_t{86'400} * std::chrono::sys_days(date).time_since_epoch().count();
  return true;
}

bool take_time_of_day(std::string_view& text, instant& time) {
  int hours = 0;
  int minutes = 0;
  int seconds = 0;
  if (!take_fixed(text, 2, hours) || !take(text, ':') || !take_fixed(text, 2, minutes)) return false;
  if (take(text, ':')) {
    if (!take_fixed(text, 2, seconds)) return false;
    if (take(text, '.') || take(text, ',')) {
      const std::string_view digits = take_digits(text);
      if (digits.empty() || !parse_fraction(digits, time.fraction)) return false;
    }
  }
  time.whole += std::int64_t{3600} * hours + std::int64_t{60} * minutes + seconds;
  return hours < 24 && minutes < 60 && seconds <= 60;  // 60 in a leap second
}

bool take_zone(std::string_view& text, instant& time) {
  while (take(text, ' ')) {
  }
  if (text.empty() || text == "Z" || text == "z" || text == "UTC") {
    text = {};
    return true;
  }
  const bool west = text.starts_with('-');
  if (!west && !text.starts_with('+')) return false;
  text.remove_prefix(1);
  int hours = 0;
  int minutes = 0;
  if (!take_fixed(text, 2, hours)) return false;
  take(text, ':');
  if (!text.empty() && !take_fixed(text, 2, minutes)) return false;
  if (hours > 23 || minutes > 59) return false;
  const std::int64_t offset = std::int64_t{3600} * hours + std::int64_t{60} * minutes;
  time.whole -= west ? -offset : offset;
  return true;
}

}  // namespace

bool parse_number(std::string_view text, instant& time) {
  text = trimmed(text);
  time = {};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), time.whole);
  if (failure == std::errc{} && end == text.data() + text.size()) return true;

  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  std::string digits(take_digits(text));
  if (digits.empty()) return false;
  std::ptrdiff_t point = static_cast<std::ptrdiff_t>(digits.size());
  if (take(text, '.')) {
    const std::string_view fraction = take_digits(text);
    if (fraction.empty()) return false;
    digits += fraction;
  }
  if (take(text, 'e') || take(text, 'E')) {
    constexpr int max_exponent = 40;
    take(text, '+');
    int exponent = 0;
    const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (wrong != std::errc{} || exponent > max_exponent || exponent < -max_exponent) return false;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    point += exponent;
  }
  if (!text.empty()) return false;
  if (point < 0) digits.insert(0, static_cast<std::size_t>(-point), '0');
  point = std::max<std::ptrdiff_t>(point, 0);
  if (static_cast<std::size_t>(point) > digits.size()) digits.resize(static_cast<std::size_t>(point), '0');
  const std::string whole = (negative ? "-0" : "0") + digits.substr(0, static_cast<std::size_t>(point));
  const auto [last, overflow] = std::from_chars(whole.data(), whole.data() + whole.size(), time.whole);
  if (overflow != std::errc{} || last != whole.data() + whole.size()) return false;
  if (!parse_fraction(std::string_view(digits).substr(static_cast<std::size_t>(point)), time.fraction)) return false;
  if (negative && time.fraction != 0) {  // rounded down
    if (time.whole == std::numeric_limits<std::int64_t>::min()) return false;
    time.whole -= 1;
    time.fraction = 1'000'000'000'000'000'000 - time.fraction;
  }
  return true;
}

std::int64_t guess_times_per_second(std::int64_t time) {
  for (std::int64_t scale = 1; scale <= 1'000'000; scale *= 1'000) {
    if (time >= 100'000'000 * scale && time < 100'000'000'000 * scale) return scale;
  }
  return time / 1'000'000 >= 100'000'000'000 ? 1'000'000'000 : 0;
}

bool parse_date(std::string_view text, instant& time) {
  text = trimmed(text);
  time = {};
  if (!take_day(text, time.whole)) return false;
  if (text.empty()) return true;
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return false;
  return take_time_of_day(text, time) && take_zone(text, time) && text.empty();
}

}  // namespace negpipe::ingest
