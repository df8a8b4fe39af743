// Words that mean a missing value.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::ingest {

/// Set of words that mean a missing value. An empty field always does. Surrounding spaces are ignored.
class missing_words {
 public:
  explicit missing_words(const std::vector<std::string>& words) : words_(words) {
    may_begin_[' '] = true;  // a field of spaces is empty
    for (const std::string& word : words) {
      if (word.empty()) continue;
      may_begin_[static_cast<unsigned char>(word.front())] = true;
    }
  }

  /// Returns whether a word starts with a digit.
  bool has_numbers() const {
    for (char c = '0'; c <= '9'; ++c) {
      if (may_begin_[static_cast<unsigned char>(c)]) return true;
    }
    return false;
  }

  bool contains(std::string_view field) const {
    if (field.empty()) return true;
    return may_begin_[static_cast<unsigned char>(field.front())] && find(field);
  }

 private:
  bool find(std::string_view field) const;

  std::vector<std::string> words_;
  std::array<bool, 256> may_begin_{};
};

}  // namespace negpipe::ingest
