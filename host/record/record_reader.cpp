#include "negpipe/tfrecord.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "checksum.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "format.hpp"
#include "inflater.hpp"
#include "little_endian.hpp"
#include "negpipe/error.hpp"

namespace negpipe {

namespace {

using namespace record;

bool header_is_sound(std::span<const std::byte> header) {
  return mask_crc(support::crc32c(header.first(8))) == load_le<std::uint32_t>(header.data() + 8);
}

/// The two magic bytes of gzip may also be the first bytes of a plain record's length. The length's checksum decides.
bool is_gzip(std::span<const std::byte> bytes) {
  if (bytes.size() < 2 || bytes[0] != std::byte{0x1F} || bytes[1] != std::byte{0x8B}) return false;
  return bytes.size() < frame_header_bytes || !header_is_sound(bytes.first(frame_header_bytes));
}

}  // namespace

struct record_reader::state {
  explicit state(const std::filesystem::path& file_path)
      : path(file_path), file(file_path), rest(file.bytes()) {
    if (is_gzip(rest)) unzipped.emplace(rest);
  }
  state(const std::filesystem::path& file_path, compression_type compression, std::uint64_t max_payload)
      : state(file_path) {
    max_payload_bytes = std::min(max_payload, max_payload_bytes);
    if (unzipped.has_value() == (compression == compression_type::gzip)) return;
    throw format_error(fmt::format("{}: is {}compressed by gzip, but {} says \"compression\": \"{}\"", path.string(),
                                   unzipped ? "" : "not ", ready_file_name, unzipped ? "none" : "gzip"));
  }

  /// Returns the next count bytes, or fewer at the end of the file. They are valid until the next call.
  std::span<const std::byte> take(std::uint64_t count);
  [[noreturn]] void fail(const std::string& what) const {
    throw format_error(fmt::format("{}: record {} at byte {}{}: {}", path.string(), record, offset,
                                   unzipped ? " (uncompressed)" : "", what));
  }

  std::filesystem::path path;
  support::mapped_file file;
  std::span<const std::byte> rest;    ///< plain: bytes not read yet
  std::optional<inflater> unzipped;   ///< gzip
  std::vector<std::byte> buffer;      ///< gzip: bytes returned by the last take()
  std::uint64_t record = 0;           ///< index of the record being read
  std::uint64_t offset = 0;           ///< of its first byte, uncompressed
  std::uint64_t max_payload_bytes = record::max_payload_bytes;

 private:
  /// Takes what was read before the last call out of memory: a reader holds a few MiB of a large file.
  void release_read() {
    constexpr std::size_t step = std::size_t{1} << 23;
    const std::size_t read = file.bytes().size() - (unzipped ? unzipped->unused() : rest.size());
    if (read - released < step) return;
    file.release(released, read);
    released = read;
  }

  std::size_t released = 0;
};

std::span<const std::byte> record_reader::state::take(std::uint64_t count) {
  release_read();
  if (!unzipped) {
    const auto taken = rest.first(std::min<std::uint64_t>(count, rest.size()));
    rest = rest.subspan(taken.size());
    return taken;
  }
  // The buffer grows with the bytes read, so a false length allocates nothing.
  constexpr std::uint64_t step = std::uint64_t{1} << 22;
  std::size_t have = 0;
  while (have < count) {
    const auto wanted = static_cast<std::size_t>(std::min(step, count - have));
    if (buffer.size() < have + wanted) buffer.resize(have + wanted);
    std::size_t got = 0;
    try {
      got = unzipped->read(std::span(buffer).subspan(have, wanted));
    } catch (const format_error& e) {
      fail(e.what());
    }
    have += got;
    if (got < wanted) break;
  }
  return std::span(buffer).first(have);
}

record_reader::record_reader(const std::filesystem::path& file) : state_(std::make_unique<state>(file)) {}
record_reader::record_reader(const std::filesystem::path& file, compression_type compression,
                             std::uint64_t max_payload_bytes)
    : state_(std::make_unique<state>(file, compression, max_payload_bytes)) {}
record_reader::~record_reader() = default;
record_reader::record_reader(record_reader&&) noexcept = default;
record_reader& record_reader::operator=(record_reader&&) noexcept = default;

bool record_reader::next(std::span<const std::byte>& payload) {
  state& s = *state_;
  const auto header = s.take(frame_header_bytes);
  if (header.empty()) return false;
  if (header.size() < frame_header_bytes) {
    s.fail(fmt::format("the file ends after {} of the header's {} bytes; it is truncated", header.size(),
                       frame_header_bytes));
  }
  const auto length = load_le<std::uint64_t>(header.data());
  if (!header_is_sound(header)) {
    s.fail(fmt::format("the length {} does not match its checksum; the file is damaged or holds no TFRecords", length));
  }
  if (length > s.max_payload_bytes) {
    s.fail(fmt::format("its length is {} bytes, at most {} wanted ({})", length, s.max_payload_bytes,
                       s.max_payload_bytes == max_payload_bytes ? "protobuf's limit" : "by the batch size"));
  }
  const auto body = s.take(length + frame_footer_bytes);
  if (body.size() < length + frame_footer_bytes) {
    s.fail(fmt::format("the file ends after {} of {} bytes; it is truncated", body.size(),
                       length + frame_footer_bytes));
  }
  payload = body.first(length);
  const auto stored = unmask_crc(load_le<std::uint32_t>(body.data() + length));
  if (const auto found = support::crc32c(payload); found != stored) {
    s.fail(fmt::format("the CRC-32C of its {} bytes is {:08x}, {:08x} wanted; the file is damaged", length, found,
                       stored));
  }
  ++s.record;
  s.offset += frame_bytes + length;
  return true;
}

}  // namespace negpipe
