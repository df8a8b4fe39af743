// Reads a file of ratings as text, decompressed and converted to UTF-8, in blocks of complete rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "byte_stream.hpp"
#include "fields.hpp"
#include "input_file.hpp"
#include "negpipe/ingest.hpp"

namespace negpipe::ingest {

/// Reads a file as UTF-8 with LF line ends. Detects gzip, zstd, bzip2, xz and zip by the first bytes, and UTF-16 by its
/// byte order mark; options set other encodings. Not thread-safe.
class text_source {
 public:
  /// Throws io_error, and input_error for files that are not tables or can be read only once, such as a pipe.
  explicit text_source(const input_file& input, const table_options& options = {});
  ~text_source();
  text_source(const text_source&) = delete;
  text_source& operator=(const text_source&) = delete;

  /// Limit on the expansion of compressed files, as protection against decompression bombs: ratings compress to a tenth
  /// at best. Small files may expand to min_text_limit_bytes.
  static constexpr std::uint64_t max_expansion = 50;
  static constexpr std::uint64_t min_text_limit_bytes = std::uint64_t{64} << 20;

  /// Fills the buffer. Returns the number of bytes read, less than its size only at the end. Throws io_error, and
  /// input_error for a compressed file that is truncated, damaged, or expands beyond the limit.
  std::size_t read(std::span<char> buffer) { return text_->read(buffer); }

  const std::string& name() const { return name_; }
  /// Returns the compression and encoding, such as "gzip, UTF-16"; empty for plain UTF-8.
  const std::string& wrapping() const { return wrapping_; }
  std::uint64_t file_bytes() const;      ///< size of the file
  std::uint64_t bytes_consumed() const;  ///< bytes of the file, not of the text
  /// Returns the MD5 of the file's bytes read so far; of all bytes after read() has reached the end.
  std::string digest() const;

 private:
  class file_stream;
  class limited_stream;

  void open(const input_file& input, const table_options& options);
  void decode(const table_options& options);
  void note(std::string_view what);

  std::string name_;
  std::string wrapping_;
  file_stream* file_ = nullptr;  // at the bottom of text_, or kept_
  std::unique_ptr<byte_stream> kept_;
  std::unique_ptr<byte_stream> text_;
};

/// Splits a source into blocks of complete rows, which can be parsed in parallel. Not thread-safe.
class block_reader {
 public:
  static constexpr std::size_t block_bytes = std::size_t{1} << 20;

  explicit block_reader(text_source& source) : source_(source) {}

  /// Returns the complete lines in the first block_bytes of the text, for format detection. Must be called before
  /// next(). Throws like next().
  std::string_view beginning();
  /// Sets how rows are split, and skips the bytes before the first row. comment is '\0' for none.
  void cut_rows(field_syntax syntax, char comment, std::size_t bytes_before);

  /// Replaces block by the next complete rows, at most block_bytes. Only the last row of the file may lack its newline.
  /// Returns false at the end. Throws like text_source::read(), and input_error for a row longer than a block.
  bool next(std::vector<char>& block);

 private:
  void fill(std::vector<char>& block);
  std::size_t end_of_rows(std::string_view text) const;

  text_source& source_;
  field_syntax syntax_{.quotes = false};
  char comment_ = '\0';
  std::vector<char> rest_;  // bytes read after the last block
  std::uint64_t offset_ = 0;
  bool at_end_ = false;
};

}  // namespace negpipe::ingest
