// Decompression by zlib, libzstd, libbz2 and liblzma.
#include <bzlib.h>
#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "byte_stream.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

/// Common base: reads compressed bytes in pieces, and consecutive members as one stream.
class decompressor : public byte_stream {
 public:
  decompressor(std::string name, std::unique_ptr<byte_stream> from) : name_(std::move(name)), from_(std::move(from)) {}

  std::size_t read(std::span<char> buffer) final {
    std::size_t filled = 0;
    while (filled < buffer.size() && !at_end_) {
      if (used_ == size_ && !from_ended_) refill();
      if (used_ == size_ && !in_member_) break;
      if (!in_member_ && !begin_member()) break;
      const std::size_t used = used_;
      const std::size_t made = step(buffer.subspan(filled));
      filled += made;
      if (made == 0 && used_ == used && in_member_ && from_ended_ && used_ == size_) {
        throw input_error(name_ + ": the compressed file ends early: it is truncated; fetch it again");
      }
    }
    return filled;
  }

 protected:
  /// Decompresses a part of input() to the buffer. Returns the bytes written, passes the bytes read to use(), and calls
  /// end_member() at the end of a member.
  virtual std::size_t step(std::span<char> buffer) = 0;
  virtual void restart() = 0;
  /// Returns whether zeros between members are padding, as for gzip(1).
  virtual bool pads_with_zeros() const { return false; }

  std::span<char> input() { return std::span(input_).subspan(used_, size_ - used_); }
  bool input_ended() const { return from_ended_; }
  void use(std::size_t bytes) { used_ += bytes; }
  void end_member() { in_member_ = false; }

  [[noreturn]] void refuse(std::string_view reason) const {
    throw input_error(fmt::format("{}: the compressed file is damaged before its byte {} ({}); fetch it again", name_,
                                  before_ + used_, reason));
  }

 private:
  void refill() {
    before_ += size_;
    used_ = 0;
    size_ = from_->read(input_);
    from_ended_ = size_ < input_.size();
  }

  /// Returns false if only padding follows.
  bool begin_member() {
    bool padded = false;
    while (pads_with_zeros() && used_ != size_ && input_[used_] == '\0') {
      padded = true;
      ++used_;
      if (used_ == size_ && !from_ended_) refill();
    }
    if (used_ == size_) {
      at_end_ = true;
      return false;
    }
    if (padded) refuse("bytes after its padding");
    in_member_ = true;
    if (!first_) restart();
    first_ = false;
    return true;
  }

  std::string name_;
  std::unique_ptr<byte_stream> from_;
  std::array<char, 256 * 1024> input_;
  std::size_t used_ = 0;
  std::size_t size_ = 0;
  std::uint64_t before_ = 0;  // bytes before input_
  bool from_ended_ = false;
  bool in_member_ = false;
  bool first_ = true;
  bool at_end_ = false;
};

/// Unlike record's inflater, is given its input in pieces, and accepts zero padding.
class gzip_decompressor final : public decompressor {
 public:
  gzip_decompressor(const std::string& name, std::unique_ptr<byte_stream> from) : decompressor(name, std::move(from)) {
    constexpr int gzip_format = 16;  // zlib's flag for a gzip header and trailer
    if (inflateInit2(&stream_, gzip_format + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~gzip_decompressor() override { inflateEnd(&stream_); }
  gzip_decompressor(const gzip_decompressor&) = delete;
  gzip_decompressor& operator=(const gzip_decompressor&) = delete;

 private:
  std::size_t step(std::span<char> buffer) override {
    stream_.next_in = reinterpret_cast<Bytef*>(input().data());
    stream_.avail_in = static_cast<uInt>(input().size());
    stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream_.avail_out = static_cast<uInt>(buffer.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    use(input().size() - stream_.avail_in);
    if (result == Z_STREAM_END) {
      end_member();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      refuse(stream_.msg != nullptr ? stream_.msg : "not a gzip member");
    }
    return buffer.size() - stream_.avail_out;
  }
  void restart() override { inflateReset(&stream_); }
  bool pads_with_zeros() const override { return true; }

  z_stream stream_{};
};

class zstd_decompressor final : public decompressor {
 public:
  zstd_decompressor(const std::string& name, std::unique_ptr<byte_stream> from)
      : decompressor(name, std::move(from)), stream_(ZSTD_createDStream()) {
    if (!stream_) throw std::bad_alloc();
  }

 private:
  std::size_t step(std::span<char> buffer) override {
    ZSTD_inBuffer in{input().data(), input().size(), 0};
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    const std::size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
    use(in.pos);
    if (ZSTD_isError(result) != 0) refuse(ZSTD_getErrorName(result));
    if (result == 0) end_member();
    return out.pos;
  }
  void restart() override { ZSTD_DCtx_reset(stream_.get(), ZSTD_reset_session_only); }

  struct deleter {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, deleter> stream_;
};

class bzip2_decompressor final : public decompressor {
 public:
  bzip2_decompressor(const std::string& name, std::unique_ptr<byte_stream> from) : decompressor(name, std::move(from)) {
    begin();
  }
  ~bzip2_decompressor() override { BZ2_bzDecompressEnd(&stream_); }
  bzip2_decompressor(const bzip2_decompressor&) = delete;
  bzip2_decompressor& operator=(const bzip2_decompressor&) = delete;

 private:
  void begin() {
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
  }
  std::size_t step(std::span<char> buffer) override {
    stream_.next_in = input().data();
    stream_.avail_in = static_cast<unsigned>(input().size());
    stream_.next_out = buffer.data();
    stream_.avail_out = static_cast<unsigned>(buffer.size());
    const int result = BZ2_bzDecompress(&stream_);
    use(input().size() - stream_.avail_in);
    if (result == BZ_STREAM_END) {
      end_member();
    } else if (result != BZ_OK) {
      refuse(fmt::format("libbz2 error {}", result));
    }
    return buffer.size() - stream_.avail_out;
  }
  void restart() override {
    BZ2_bzDecompressEnd(&stream_);
    stream_ = {};
    begin();
  }

  bz_stream stream_{};
};

class xz_decompressor final : public decompressor {
 public:
  xz_decompressor(const std::string& name, std::unique_ptr<byte_stream> from) : decompressor(name, std::move(from)) {
    // liblzma itself handles padding and consecutive members.
    if (lzma_stream_decoder(&stream_, std::numeric_limits<std::uint64_t>::max(), LZMA_CONCATENATED) != LZMA_OK) {
      throw std::bad_alloc();
    }
  }
  ~xz_decompressor() override { lzma_end(&stream_); }
  xz_decompressor(const xz_decompressor&) = delete;
  xz_decompressor& operator=(const xz_decompressor&) = delete;

 private:
  std::size_t step(std::span<char> buffer) override {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(input().data());
    stream_.avail_in = input().size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(buffer.data());
    stream_.avail_out = buffer.size();
    const lzma_ret result = lzma_code(&stream_, input_ended() ? LZMA_FINISH : LZMA_RUN);
    use(input().size() - stream_.avail_in);
    if (result == LZMA_STREAM_END) {
      end_member();
    } else if (result != LZMA_OK && result != LZMA_BUF_ERROR) {
      refuse(fmt::format("liblzma error {}", static_cast<int>(result)));
    }
    return buffer.size() - stream_.avail_out;
  }
  void restart() override { refuse("bytes after its end"); }

  lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

std::unique_ptr<byte_stream> decompress(content kind, const std::string& name, std::unique_ptr<byte_stream> from) {
  switch (kind) {
    case content::gzip:
      return std::make_unique<gzip_decompressor>(name, std::move(from));
    case content::zstd:
      return std::make_unique<zstd_decompressor>(name, std::move(from));
    case content::bzip2:
      return std::make_unique<bzip2_decompressor>(name, std::move(from));
    case content::xz:
      return std::make_unique<xz_decompressor>(name, std::move(from));
    case content::text:
    case content::zip:
      break;
  }
  return from;
}

}  // namespace negpipe::ingest
