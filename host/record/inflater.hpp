// Reads gzip members (RFC 1952) from memory. ingest's gzip_decompressor would copy the mapped file, and accepts padding
// that a record file must not have.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace negpipe::record {

/// Stream of the uncompressed bytes. Consecutive members are read as one stream, as gzip(1) does. Not thread-safe.
class inflater {
 public:
  /// Does not copy: compressed must outlive the object.
  explicit inflater(std::span<const std::byte> compressed);
  ~inflater();

  /// Reads up to to.size() bytes. Returns the number of bytes read, less than to.size() only at the end of the stream.
  /// Throws format_error for damaged or truncated input; the message does not name a file.
  std::size_t read(std::span<std::byte> to);
  /// Returns the number of compressed bytes that were not used yet.
  std::size_t unused() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace negpipe::record
