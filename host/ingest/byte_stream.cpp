#include "byte_stream.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace negpipe::ingest {

peeked_stream::peeked_stream(std::unique_ptr<byte_stream> rest) : rest_(std::move(rest)), beginning_(beginning_bytes) {
  beginning_.resize(rest_->read(beginning_));
}

std::size_t peeked_stream::read(std::span<char> buffer) {
  const std::size_t from_beginning = std::min(buffer.size(), beginning_.size() - taken_);
  if (from_beginning != 0) std::memcpy(buffer.data(), beginning_.data() + taken_, from_beginning);
  taken_ += from_beginning;
  if (from_beginning == buffer.size()) return from_beginning;
  return from_beginning + rest_->read(buffer.subspan(from_beginning));
}

}  // namespace negpipe::ingest
