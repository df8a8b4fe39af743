// Reads gzip members (RFC 1952) from memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace negpipe::record {

/// A stream of uncompressed bytes. Members that follow each other read as one, as gzip(1) has it.
class inflater {
 public:
  /// compressed must stay valid.
  explicit inflater(std::span<const std::byte> compressed);
  ~inflater();

  /// Fills `to` as far as the stream reaches and returns how many bytes were written: fewer than asked for only at
  /// the end. Throws format_error (what is wrong, without the file) for damaged or truncated input.
  std::size_t read(std::span<std::byte> to);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace negpipe::record
