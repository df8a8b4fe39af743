// Words that mean a missing value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::ingest {

/// Set of words that mean a missing value. An empty field always does. Surrounding spaces are ignored.
class missing_words {
 public:
  explicit missing_words(const std::vector<std::string>& words);

  /// Returns whether a word starts with a digit.
  bool has_numbers() const {
    for (char c = '0'; c <= '9'; ++c) {
      if (may_begin_[static_cast<unsigned char>(c)]) return true;
    }
    return false;
  }

  /// Returns whether a word is an integer, such as -1, which then is a missing value in columns of integers too.
  bool has_integers() const { return !integers_.empty(); }

  bool contains(std::int64_t value) const { return !integers_.empty() && find(value); }
  bool contains(std::string_view field) const {
    if (field.empty()) return true;
    return may_begin_[static_cast<unsigned char>(field.front())] && find(field);
  }

 private:
  bool find(std::string_view field) const;
  bool find(std::int64_t value) const;

  std::vector<std::string> words_;
  std::vector<std::int64_t> integers_;
  std::array<bool, 256> may_begin_{};
};

}  // namespace negpipe::ingest
