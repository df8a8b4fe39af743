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

#include "digest.hpp"
#include "fields.hpp"
#include "files.hpp"

namespace negpipe::ingest {

/// Reads a file from its beginning, plain or gzip-compressed (told by its first bytes; several members in a row are
/// one text). Not safe to share between threads.
class text_source {
 public:
  /// Throws io_error, and input_error for what cannot be read from its beginning again, such as a pipe.
  explicit text_source(const std::filesystem::path& path);
  ~text_source();
  text_source(const text_source&) = delete;
  text_source& operator=(const text_source&) = delete;

  /// Limit of decompression, against files made to fill memory: ratings shrink to a tenth at best. Small files may grow
  /// to min_text_limit_bytes.
  static constexpr std::uint64_t max_expansion = 50;
  static constexpr std::uint64_t min_text_limit_bytes = std::uint64_t{64} << 20;

  /// Fills the buffer as far as the text goes; fewer bytes than asked for mean its end. Throws io_error, and
  /// input_error for a compressed file that is truncated, damaged, or expands beyond the limit.
  std::size_t read(std::span<char> buffer);

  const std::filesystem::path& path() const { return file_.path(); }
  std::uint64_t file_bytes() const { return file_bytes_; }    ///< size of the file
  std::uint64_t bytes_consumed() const { return consumed_; }  ///< of the file, not of the text
  /// MD5 of the file's bytes read so far; all of them once read() met the end.
  std::string digest() const { return digest_.hex(); }

 private:
  struct inflater;

  std::size_t read_file(std::span<char> buffer);
  std::size_t read_inflated(std::span<char> buffer);
  bool refill();
  void check_expansion() const;

  support::file file_;
  std::uint64_t file_bytes_;
  std::uint64_t consumed_ = 0;
  std::uint64_t inflated_ = 0;
  support::md5 digest_;
  std::unique_ptr<inflater> inflater_;  // null for plain files
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
