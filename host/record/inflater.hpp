// Reads gzip members (RFC 1952). Unlike ingest's gzip_decompressor, refuses padding, which a record file must not have.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace negpipe::record {

/// Stream of the uncompressed bytes. Consecutive members are read as one stream, as gzip(1) does. Not thread-safe.
class inflater {
 public:
  /// next: returns the next part of the compressed bytes, valid until its next call; empty at their end.
  explicit inflater(std::function<std::span<const std::byte>()> next);
  ~inflater();

  /// Reads up to to.size() bytes. Returns the number of bytes read, less than to.size() only at the end of the stream.
  /// Throws format_error for damaged or truncated input, without a file's name, and what next throws.
  std::size_t read(std::span<std::byte> to);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace negpipe::record
