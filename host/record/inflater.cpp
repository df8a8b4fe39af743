#include "inflater.hpp"

#include <fmt/core.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <utility>

#include "negpipe/error.hpp"

namespace negpipe::record {

struct inflater::state {
  explicit state(std::function<std::span<const std::byte>()> next_part) : next(std::move(next_part)) {
    constexpr int gzip_window_bits = 15 + 16;  // the largest window, in a gzip wrapper
    if (::inflateInit2(&stream, gzip_window_bits) != Z_OK) throw std::bad_alloc();
  }
  ~state() { ::inflateEnd(&stream); }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  /// Passes zlib some more of the input: its counters have 32 bits.
  void refill() {
    constexpr std::size_t step = std::size_t{1} << 30;
    if (rest.empty()) rest = next();
    const auto part = rest.first(std::min(step, rest.size()));
    // zlib's interface lacks const here.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(part.data()));
    stream.avail_in = static_cast<uInt>(part.size());
    rest = rest.subspan(part.size());
  }

  std::function<std::span<const std::byte>()> next;
  std::span<const std::byte> rest;  ///< of the last part: what zlib has not been given yet
  z_stream stream{};
  bool between_members = false;
};

inflater::inflater(std::function<std::span<const std::byte>()> next)
    : state_(std::make_unique<state>(std::move(next))) {}
inflater::~inflater() = default;

std::size_t inflater::read(std::span<std::byte> to) {
  constexpr std::size_t step = std::size_t{1} << 30;
  z_stream& stream = state_->stream;
  std::size_t done = 0;
  while (done < to.size()) {
    if (stream.avail_in == 0) state_->refill();
    if (stream.avail_in == 0) {
      if (state_->between_members) return done;
      throw format_error("the gzip stream ends early; the file is truncated");
    }
    const std::size_t wanted = std::min(step, to.size() - done);
    stream.next_out = reinterpret_cast<Bytef*>(to.data() + done);
    stream.avail_out = static_cast<uInt>(wanted);
    const int code = ::inflate(&stream, Z_NO_FLUSH);
    done += wanted - stream.avail_out;
    state_->between_members = code == Z_STREAM_END;
    if (code == Z_STREAM_END) {
      ::inflateReset(&stream);
    } else if (code != Z_OK) {
      throw format_error(fmt::format("the gzip stream is damaged ({})", stream.msg != nullptr ? stream.msg : "zlib"));
    }
  }
  return done;
}

}  // namespace negpipe::record
