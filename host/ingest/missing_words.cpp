#include "missing_words.hpp"

#include <algorithm>

#include "fields.hpp"

namespace negpipe::ingest {

bool missing_words::find(std::string_view field) const {
  const std::string_view word = trimmed(field);
  return word.empty() || std::find(words_.begin(), words_.end(), word) != words_.end();
}

}  // namespace negpipe::ingest
