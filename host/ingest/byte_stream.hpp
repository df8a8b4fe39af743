// Bytes that come from a file through what is stacked on it: decompression, another encoding.
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

  /// Fills the buffer as far as the stream goes; fewer bytes than asked for mean its end.
  virtual std::size_t read(std::span<char> buffer) = 0;
};

/// A stream whose beginning can be looked at before it is read.
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

/// What a file's first bytes say that it is.
enum class content : std::uint8_t { text, gzip, zstd, bzip2, xz, zip };

/// Throws input_error for a format that is known but not read, such as tar or Parquet, and names what reads it; `name`
/// is the file's.
content identify(const std::string& name, std::string_view beginning);

/// The text of a compressed stream: gzip, zstd, bzip2 or xz; several members in a row are one text. Reading throws
/// input_error, which begins with `name`, for data that is truncated or damaged.
std::unique_ptr<byte_stream> decompress(content kind, const std::string& name, std::unique_ptr<byte_stream> compressed);

/// A table in a zip archive: the member, or the only file that may be a table if member is empty. `name` begins
/// messages. Throws input_error, io_error.
std::unique_ptr<byte_stream> open_zip_member(const std::string& name, int descriptor, const std::string& member);

/// UTF-8 from Latin-1 or from UTF-16, whose byte order mark says which of its two orders it is (little-endian without).
std::unique_ptr<byte_stream> decode_latin1(std::unique_ptr<byte_stream> text);
std::unique_ptr<byte_stream> decode_utf16(const std::string& name, std::unique_ptr<byte_stream> text);

/// Lines that end with CR, as on old Macs, to lines that end with LF.
std::unique_ptr<byte_stream> replace_line_ends(std::unique_ptr<byte_stream> text);

}  // namespace negpipe::ingest
