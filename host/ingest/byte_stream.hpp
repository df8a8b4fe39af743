// Streams of bytes from a file, through stacked filters: decompression, conversion of encodings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::ingest {

class byte_stream {
 public:
  virtual ~byte_stream() = default;

  /// Fills the buffer. Returns the number of bytes read, less than its size only at the end of the stream.
  virtual std::size_t read(std::span<char> buffer) = 0;
};

/// A stream whose first bytes can be inspected before they are read.
class peeked_stream : public byte_stream {
 public:
  static constexpr std::size_t beginning_bytes = 64 * 1024;

  explicit peeked_stream(std::unique_ptr<byte_stream> rest);

  std::string_view beginning() const { return {beginning_.data() + taken_, beginning_.size() - taken_}; }
  std::size_t read(std::span<char> buffer) override;

 private:
  std::unique_ptr<byte_stream> rest_;
  std::vector<char> beginning_;
  std::size_t taken_ = 0;
};

/// Type of a file according to its first bytes.
enum class content : std::uint8_t { text, gzip, zstd, bzip2, xz, zip };

/// Returns the type of the file `name`. Throws input_error for a known format that is not supported, such as tar or
/// Parquet; the message has a command that converts it.
content identify(const std::string& name, std::string_view beginning);

/// Returns the text of a gzip, zstd, bzip2 or xz stream. Consecutive members are one text. Reading throws input_error,
/// whose message starts with `name`, for truncated or damaged data.
std::unique_ptr<byte_stream> decompress(content kind, const std::string& name, std::unique_ptr<byte_stream> compressed);

/// Returns a table in a zip archive: the member, or if member is empty the only file that can be a table. Messages
/// start with `name`. Throws input_error, io_error.
std::unique_ptr<byte_stream> open_zip_member(const std::string& name, int descriptor, const std::string& member);

/// Convert Latin-1 or UTF-16 to UTF-8. The byte order mark of UTF-16 gives its order; little-endian without one.
std::unique_ptr<byte_stream> decode_latin1(std::unique_ptr<byte_stream> text);
std::unique_ptr<byte_stream> decode_utf16(const std::string& name, std::unique_ptr<byte_stream> text);

/// Replaces line ends CR, as on old Macs, by LF.
std::unique_ptr<byte_stream> replace_line_ends(std::unique_ptr<byte_stream> text);

}  // namespace negpipe::ingest
