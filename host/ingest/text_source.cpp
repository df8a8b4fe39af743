#include "text_source.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "digest.hpp"
#include "files.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

support::file open_ratings(const input_file& input) {
  const std::filesystem::path& path = input.path();
  if (support::exists(path) && !support::is_file(path) && !support::is_folder(path)) {
    throw input_error(
        input.name() +
        ": it is a pipe, a terminal or a device, which can be read only once; ratings are read again if ids turn out "
        "to be text: write them to a file and give that, or give \"-\" and the ratings on standard input");
  }
  return support::file::open_read(path);
}

bool looks_like_utf16(std::string_view text) {
  const auto zeros = std::count(text.begin(), text.end(), '\0');
  return static_cast<std::size_t>(zeros) * 4 >= text.size() && zeros > 1;
}

}  // namespace

class text_source::file_stream final : public byte_stream {
 public:
  explicit file_stream(support::file file) : file_(std::move(file)), bytes_(file_.size()) {}

  std::size_t read(std::span<char> buffer) override {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      const ssize_t got = ::read(file_.descriptor(), buffer.data() + filled, buffer.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) support::throw_io_error("read", file_.path());
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    digest_.update(std::as_bytes(buffer.first(filled)));
    consumed_ += filled;
    return filled;
  }

  void read_to_end() {
    std::vector<char> buffer(block_reader::block_bytes);
    while (read(buffer) == buffer.size()) {
    }
  }

  int descriptor() const { return file_.descriptor(); }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t consumed() const { return consumed_; }
  std::string digest() const { return digest_.hex(); }

 private:
  support::file file_;
  std::uint64_t bytes_;
  std::uint64_t consumed_ = 0;
  support::md5 digest_;
};

/// Limits the decompressed size.
class text_source::limited_stream final : public byte_stream {
 public:
  limited_stream(std::string name, std::uint64_t file_bytes, std::unique_ptr<byte_stream> text)
      : name_(std::move(name)),
        file_bytes_(file_bytes),
        limit_(std::max(min_text_limit_bytes, max_expansion * file_bytes)),
        text_(std::move(text)) {}

  std::size_t read(std::span<char> buffer) override {
    const std::size_t filled = text_->read(buffer);
    read_ += filled;
    if (read_ <= limit_) return filled;
    throw input_error(
        fmt::format("{}: its {} bytes expand to more than {}, which ratings never do; if the file is correct, "
                    "decompress it and give the plain file",
                    name_, file_bytes_, limit_));
  }

 private:
  std::string name_;
  std::uint64_t file_bytes_;
  std::uint64_t limit_;
  std::uint64_t read_ = 0;
  std::unique_ptr<byte_stream> text_;
};

text_source::text_source(const input_file& input, const table_options& options) : name_(input.name()) {
  open(input, options);
  decode(options);
}

text_source::~text_source() = default;

std::uint64_t text_source::file_bytes() const { return file_->bytes(); }
std::uint64_t text_source::bytes_consumed() const { return file_->consumed(); }
std::string text_source::digest() const { return file_->digest(); }

void text_source::note(std::string_view what) {
  if (!wrapping_.empty()) wrapping_ += ", ";
  wrapping_ += what;
}

void text_source::open(const input_file& input, const table_options& options) {
  auto file = std::make_unique<file_stream>(open_ratings(input));
  file_ = file.get();
  text_ = std::move(file);
  constexpr int max_depth = 4;  // a gzip file in a zip archive is common; deep nesting is an attack
  for (int depth = 0;; ++depth) {
    auto peeked = std::make_unique<peeked_stream>(std::move(text_));
    const content kind = identify(name_, peeked->beginning());
    text_ = std::move(peeked);
    if (kind == content::text) break;
    if (depth == max_depth || (kind == content::zip && depth != 0)) {
      throw input_error(name_ + ": too many nested archives; unpack it and give the table");
    }
    if (kind == content::zip) {
      file_->read_to_end();
      kept_ = std::move(text_);
      text_ = open_zip_member(name_, file_->descriptor(), options.member);
      note("zip");
    } else {
      constexpr std::string_view names[] = {"text", "gzip", "zstd", "bzip2", "xz"};
      note(names[static_cast<std::size_t>(kind)]);
      text_ = decompress(kind, name_, std::move(text_));
    }
    text_ = std::make_unique<limited_stream>(name_, file_->bytes(), std::move(text_));
  }
  if (!options.member.empty() && kept_ == nullptr) throw input_error(name_ + ": it is not a zip archive; see `member`");
}

void text_source::decode(const table_options& options) {
  auto peeked = std::make_unique<peeked_stream>(std::move(text_));
  const std::string_view beginning = peeked->beginning();
  const bool marked = beginning.starts_with("\xFF\xFE") || beginning.starts_with("\xFE\xFF");
  const bool utf16 =
      options.encoding == text_encoding::utf16 || (options.encoding == text_encoding::detected && marked);
  if (!utf16 && looks_like_utf16(beginning.substr(0, 512))) {
    throw input_error(name_ +
                      ": every second byte is 0: it is not UTF-8; set `encoding` to utf-16 if it is UTF-16, or give a "
                      "table as text");
  }
  text_ = std::move(peeked);
  if (utf16) {
    note("UTF-16");
    text_ = decode_utf16(name_, std::move(text_));
  } else if (options.encoding == text_encoding::latin1) {
    note("Latin-1");
    text_ = decode_latin1(std::move(text_));
  }
  peeked = std::make_unique<peeked_stream>(std::move(text_));
  const bool old_mac = peeked->beginning().find('\n') == std::string_view::npos &&
                       peeked->beginning().find('\r') + 1 < peeked->beginning().size();
  text_ = std::move(peeked);
  if (!old_mac) return;
  note("lines that end with CR");
  text_ = replace_line_ends(std::move(text_));
}

void block_reader::fill(std::vector<char>& block) {
  if (at_end_) return;
  const std::size_t carried = block.size();
  block.resize(block_bytes);
  const std::size_t got = source_.read(std::span(block).subspan(carried));
  at_end_ = carried + got < block_bytes;
  block.resize(carried + got);
}

// Returns the offset after the last newline outside of quoted fields; 0 if there is none.
std::size_t block_reader::end_of_rows(std::string_view text) const {
  std::size_t begin = 0;  // of a row
  while (syntax_.quotes) {
    const std::size_t quote = text.find('"', begin);
    if (quote == std::string_view::npos) break;
    const std::size_t newline = quote == begin ? std::string_view::npos : text.rfind('\n', quote - 1);
    if (newline != std::string_view::npos && newline >= begin) begin = newline + 1;
    const bool remark = comment_ != '\0' && text[begin] == comment_;
    const std::size_t length = row_length(text.substr(begin), remark ? field_syntax{.quotes = false} : syntax_);
    if (length == std::string_view::npos) return begin;
    begin += length;
  }
  const std::size_t newline = text.rfind('\n');
  return newline == std::string_view::npos || newline < begin ? begin : newline + 1;
}

std::string_view block_reader::beginning() {
  fill(rest_);
  const std::string_view text(rest_.data(), rest_.size());
  if (at_end_) return text;
  const std::size_t newline = text.rfind('\n');
  return newline == std::string_view::npos ? text : text.substr(0, newline + 1);
}

void block_reader::cut_rows(field_syntax syntax, char comment, std::size_t bytes_before) {
  syntax_ = syntax;
  comment_ = comment;
  rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(bytes_before));
  offset_ += bytes_before;
}

bool block_reader::next(std::vector<char>& block) {
  block.swap(rest_);
  rest_.clear();
  fill(block);
  if (!at_end_) {
    const std::size_t kept = end_of_rows({block.data(), block.size()});
    if (kept == 0) {
      throw input_error(fmt::format(
          "{}: the row that begins at byte {} of the text is longer than {} bytes; wanted "
          "ratings, one a row{}",
          source_.name(), offset_, block_bytes, syntax_.quotes ? " (a quote that is never closed? see `quotes`)" : ""));
    }
    rest_.assign(block.begin() + static_cast<std::ptrdiff_t>(kept), block.end());
    block.resize(kept);
  }
  offset_ += block.size();
  return !block.empty();
}

}  // namespace negpipe::ingest
