#include "text_source.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

struct text_source::inflater {
  z_stream stream{};
  std::array<char, 256 * 1024> input;
  bool in_member = true;  // between members the file may end

  inflater() {
    constexpr int gzip_format = 16;  // zlib's way of saying "a gzip header and trailer, checked"
    if (inflateInit2(&stream, gzip_format + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~inflater() { inflateEnd(&stream); }
  inflater(const inflater&) = delete;
  inflater& operator=(const inflater&) = delete;
};

namespace {
support::file open_ratings(const std::filesystem::path& path) {
  if (support::exists(path) && !support::is_file(path) && !support::is_folder(path)) {
    throw input_error(
        path.string() +
        ": it is a pipe, a terminal or a device, which can be read only once; ratings are read again where ids turn "
        "out to be text: write them to a file and give that");
  }
  return support::file::open_read(path);
}
}  // namespace

text_source::text_source(const std::filesystem::path& path) : file_(open_ratings(path)), file_bytes_(file_.size()) {
  std::array<unsigned char, 2> magic{};
  const ssize_t found = ::pread(file_.descriptor(), magic.data(), magic.size(), 0);
  if (found < 0) support::throw_io_error("read", path);
  if (found == 2 && magic[0] == 0x1f && magic[1] == 0x8b) inflater_ = std::make_unique<inflater>();
}

text_source::~text_source() = default;

std::size_t text_source::read(std::span<char> buffer) { return inflater_ ? read_inflated(buffer) : read_file(buffer); }

std::size_t text_source::read_file(std::span<char> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t got = ::read(file_.descriptor(), buffer.data() + filled, buffer.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) support::throw_io_error("read", path());
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  digest_.update(std::as_bytes(buffer.first(filled)));
  consumed_ += filled;
  return filled;
}

// False at the end of the file.
bool text_source::refill() {
  z_stream& stream = inflater_->stream;
  if (stream.avail_in == 0) {
    stream.avail_in = static_cast<uInt>(read_file(inflater_->input));
    stream.next_in = reinterpret_cast<Bytef*>(inflater_->input.data());
  }
  return stream.avail_in != 0;
}

std::size_t text_source::read_inflated(std::span<char> buffer) {
  z_stream& stream = inflater_->stream;
  stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
  stream.avail_out = static_cast<uInt>(buffer.size());
  while (stream.avail_out != 0) {
    if (!refill()) {
      if (!inflater_->in_member) break;
      throw input_error(
          fmt::format("{}: the compressed file ends in the middle: it is truncated; fetch it again", path().string()));
    }
    if (!inflater_->in_member) {
      inflateReset(&stream);
      inflater_->in_member = true;
    }
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      inflater_->in_member = false;
    } else if (result != Z_OK) {
      throw input_error(fmt::format("{}: the compressed file is damaged before its byte {} ({}); fetch it again",
                                    path().string(), consumed_ - stream.avail_in,
                                    stream.msg != nullptr ? stream.msg : "not a gzip member"));
    }
  }
  const std::size_t filled = buffer.size() - stream.avail_out;
  inflated_ += filled;
  check_expansion();
  return filled;
}

void text_source::check_expansion() const {
  const std::uint64_t limit = std::max(min_text_limit_bytes, max_expansion * file_bytes_);
  if (inflated_ <= limit) return;
  throw input_error(
      fmt::format("{}: its {} bytes expand to more than {}, which no ratings do; if it is right all the same, "
                  "decompress it and give the plain file",
                  path().string(), file_bytes_, limit));
}

void block_reader::fill(std::vector<char>& block) {
  if (at_end_) return;
  const std::size_t carried = block.size();
  block.resize(block_bytes);
  const std::size_t got = source_.read(std::span(block).subspan(carried));
  at_end_ = carried + got < block_bytes;
  block.resize(carried + got);
}

// Past the last newline that is not in a quoted field; 0 if there is none.
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
      throw input_error(
          fmt::format("{}: the row that begins at byte {} of the text is longer than {} bytes; wanted "
                      "ratings, one a row{}",
                      source_.path().string(), offset_, block_bytes,
                      syntax_.quotes ? " (a quote that is never closed? see `quotes`)" : ""));
    }
    rest_.assign(block.begin() + static_cast<std::ptrdiff_t>(kept), block.end());
    block.resize(kept);
  }
  offset_ += block.size();
  return !block.empty();
}

}  // namespace negpipe::ingest
