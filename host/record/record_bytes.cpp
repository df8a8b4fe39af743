#include "record_bytes.hpp"

#include <algorithm>
#include <cstring>

#include "checksum.hpp"
#include "digest.hpp"
#include "format.hpp"
#include "little_endian.hpp"

namespace negpipe::record {

namespace {

constexpr std::size_t min_read_bytes = std::size_t{64} << 10;
constexpr std::size_t compressed_bytes = std::size_t{256} << 10;
/// Memory for more than this grows with the bytes that were read, so a false length allocates nothing.
constexpr std::size_t first_step_bytes = std::size_t{4} << 20;

/// The two magic bytes of gzip may also be the first bytes of a plain record's length. The length's checksum decides.
bool starts_gzip(std::span<const std::byte> bytes) {
  if (bytes.size() < 2 || bytes[0] != std::byte{0x1F} || bytes[1] != std::byte{0x8B}) return false;
  return bytes.size() < frame_header_bytes || !header_is_sound(bytes.first(frame_header_bytes));
}

}  // namespace

bool header_is_sound(std::span<const std::byte> header) {
  return mask_crc(support::crc32c(header.first(8))) == load_le<std::uint32_t>(header.data() + 8);
}

record_bytes::record_bytes(const std::filesystem::path& path) : file_(support::file::open_read(path)) {
  fill(frame_header_bytes);
  if (!starts_gzip({memory_.get() + begin_, end_ - begin_})) return;
  offset_ = 0;
  begin_ = end_ = 0;
  compressed_.resize(compressed_bytes);
  unzipped_.emplace([this] { return next_compressed(); });
}

std::span<std::byte> record_bytes::take(std::uint64_t count) {
  if (end_ - begin_ < count) fill(count);
  const std::span<std::byte> taken(memory_.get() + begin_, std::min<std::uint64_t>(count, end_ - begin_));
  begin_ += taken.size();
  return taken;
}

std::shared_ptr<std::byte[]> record_bytes::share() {
  is_shared_ = true;
  return memory_;
}

void record_bytes::fill(std::uint64_t count) {
  while (end_ - begin_ < count) {
    const std::size_t have = end_ - begin_;
    // With the header of the next record, so that a large record needs one read.
    const std::uint64_t missing = count - have + frame_header_bytes;
    const std::size_t wanted =
        std::max<std::size_t>(min_read_bytes, std::min<std::uint64_t>(missing, std::max(have, first_step_bytes)));
    reserve(have + wanted);
    const std::size_t got = read({memory_.get() + end_, wanted});
    end_ += got;
    if (got < wanted) return;
  }
}

void record_bytes::reserve(std::size_t wanted) {
  const std::size_t have = end_ - begin_;
  if (is_shared_ || wanted > capacity_) {
    std::shared_ptr<std::byte[]> memory(new std::byte[wanted]);
    std::copy_n(memory_.get() + begin_, have, memory.get());
    memory_ = std::move(memory);
    capacity_ = wanted;
    is_shared_ = false;
  } else if (begin_ != 0) {
    std::memmove(memory_.get(), memory_.get() + begin_, have);
  }
  begin_ = 0;
  end_ = have;
}

std::size_t record_bytes::read(std::span<std::byte> to) {
  if (unzipped_) return unzipped_->read(to);
  const std::size_t got = file_.read_at(offset_, to);
  offset_ += got;
  return got;
}

std::span<const std::byte> record_bytes::next_compressed() {
  const std::size_t got = file_.read_at(offset_, compressed_);
  offset_ += got;
  const auto part = std::span(compressed_).first(got);
  compressed_crc32c_ = support::crc32c(part, compressed_crc32c_);
  return part;
}

}  // namespace negpipe::record
