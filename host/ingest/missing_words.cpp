#include "missing_words.hpp"

#include <algorithm>
#include <charconv>

#include "fields.hpp"

namespace negpipe::ingest {

missing_words::missing_words(const std::vector<std::string>& words) : words_(words) {
  may_begin_[' '] = true;  // a field of spaces is empty
  for (const std::string& word : words) {
    if (word.empty()) continue;
    may_begin_[static_cast<unsigned char>(word.front())] = true;
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool is_integer = failure == std::errc{} && end == word.data() + word.size();
    if (is_integer && std::to_string(value) == word) integers_.push_back(value);  // 007 is text in a file, too
  }
}

bool missing_words::find(std::int64_t value) const { return std::ranges::find(integers_, value) != integers_.end(); }

bool missing_words::find(std::string_view field) const {
  const std::string_view word = trimmed(field);
  return word.empty() || std::find(words_.begin(), words_.end(), word) != words_.end();
}

}  // namespace negpipe::ingest
