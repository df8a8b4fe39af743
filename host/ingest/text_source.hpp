// The bytes of a ratings file, decompressed where need be, in blocks of whole lines.
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

/// Reads a file from its beginning as UTF-8 with lines that end with LF: containers (gzip, zstd, bzip2, xz, zip) are
/// told by their first bytes, UTF-16 by its byte order mark; other encodings by the options. Not safe to share between
/// threads.
class text_source {
 public:
  /// Throws io_error, and input_error for what is no table and for what can be read only once, such as a pipe.
  explicit text_source(const input_file& input, const table_options& options = {});
  ~text_source();
  text_source(const text_source&) = delete;
  text_source& operator=(const text_source&) = delete;

  /// Limit of decompression, against files made to fill memory: ratings shrink to a tenth at best. Small files may grow
  /// to min_text_limit_bytes.
  static constexpr std::uint64_t max_expansion = 50;
  static constexpr std::uint64_t min_text_limit_bytes = std::uint64_t{64} << 20;

  /// Fills the buffer as far as the text goes; fewer bytes than asked for mean its end. Throws io_error, and
  /// input_error for a compressed file that is truncated, damaged, or expands beyond the limit.
  std::size_t read(std::span<char> buffer) { return text_->read(buffer); }

  const std::string& name() const { return name_; }
  /// What the text was made of, such as "gzip, UTF-16"; empty for plain UTF-8.
  const std::string& wrapping() const { return wrapping_; }
  std::uint64_t file_bytes() const;      ///< size of the file
  std::uint64_t bytes_consumed() const;  ///< of the file, not of the text
  /// MD5 of the file's bytes read so far; all of them once read() met the end.
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

/// Cuts a source into blocks of whole rows, so that each can be parsed by a thread of its own.
class block_reader {
 public:
  static constexpr std::size_t block_bytes = std::size_t{1} << 20;

  explicit block_reader(text_source& source) : source_(source) {}

  /// The whole lines at the beginning of the text, at most block_bytes of them, to find out what it is; call it before
  /// next. Throws as next does.
  std::string_view beginning();
  /// How rows are cut; the bytes before the first row are left out. comment is '\0' for none.
  void cut_rows(field_syntax syntax, char comment, std::size_t bytes_before);

  /// Replaces block by the next whole rows, at most block_bytes of them; only the last row of the file may lack its
  /// newline. False at the end. Throws as the source does, and input_error for a row that fills a block.
  bool next(std::vector<char>& block);

 private:
  void fill(std::vector<char>& block);
  std::size_t end_of_rows(std::string_view text) const;

  text_source& source_;
  field_syntax syntax_{.quotes = false};
  char comment_ = '\0';
  std::vector<char> rest_;  // what was read beyond the last block
  std::uint64_t offset_ = 0;
  bool at_end_ = false;
};

}  // namespace negpipe::ingest
