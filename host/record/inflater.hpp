// Reads gzip members (RFC 1952) from memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace negpipe::record {

/// A stream of uncompressed bytes. Consecutive members are read as one stream, as gzip(1) does.
class inflater {
 public:
  /// compressed must stay valid.
  explicit inflater(std::span<const std::byte> compressed);
  ~inflater();

  /// Fills `to` and returns the number of bytes written, fewer than its size only at the end of the stream. Throws
  /// format_error (what is wrong, without the file) for damaged or truncated input.
  std::size_t read(std::span<std::byte> to);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace negpipe::record
