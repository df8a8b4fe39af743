#include "negpipe/tfrecord.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "checksum.hpp"
#include "digest.hpp"
#include "format.hpp"
#include "little_endian.hpp"
#include "negpipe/error.hpp"
#include "record_bytes.hpp"

namespace negpipe {

using namespace record;

struct record_reader::state {
  explicit state(const std::filesystem::path& file_path) : path(file_path), content(file_path) {}
  state(const std::filesystem::path& file_path, compression_type compression, std::uint64_t max_payload)
      : state(file_path) {
    max_payload_bytes = std::min(max_payload, max_payload_bytes);
    if (content.is_gzip() == (compression == compression_type::gzip)) return;
    throw format_error(fmt::format("{}: is {}compressed by gzip, but {} says \"compression\": \"{}\"", path.string(),
                                   content.is_gzip() ? "" : "not ", ready_file_name,
                                   content.is_gzip() ? "none" : "gzip"));
  }

  /// Like content.take(); errors name the record.
  std::span<const std::byte> take(std::uint64_t count) {
    try {
      return content.take(count);
    } catch (const format_error& failure) {
      fail(failure.what());
    }
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw format_error(fmt::format("{}: record {} at byte {}{}: {}", path.string(), record, offset,
                                   content.is_gzip() ? " (uncompressed)" : "", what));
  }

  /// Continues plain_crc32c over a frame. Uses the checksum of the payload, so that no byte is read twice.
  void add_frame(std::uint32_t crc_with_header, std::span<const std::byte> body, std::uint32_t payload_crc) {
    const std::uint64_t payload_bytes = body.size() - frame_footer_bytes;
    if (payload_bytes != carried_bytes) {  // records of one size are the rule
      over_payload = crc32c_carry(payload_bytes);
      carried_bytes = payload_bytes;
    }
    plain_crc32c = support::crc32c(body.last(frame_footer_bytes), over_payload.join(crc_with_header, payload_crc));
  }

  std::filesystem::path path;
  record_bytes content;
  std::uint64_t record = 0;  ///< index of the record being read
  std::uint64_t offset = 0;  ///< of its first byte, uncompressed
  std::uint64_t max_payload_bytes = record::max_payload_bytes;
  std::uint32_t plain_crc32c = 0;  ///< of the frames read so far, uncompressed
  std::uint64_t carried_bytes = 0;
  crc32c_carry over_payload{0};    ///< over carried_bytes bytes
};

record_reader::record_reader(const std::filesystem::path& file) : state_(std::make_unique<state>(file)) {}
record_reader::record_reader(const std::filesystem::path& file, compression_type compression,
                             std::uint64_t max_payload_bytes)
    : state_(std::make_unique<state>(file, compression, max_payload_bytes)) {}
record_reader::~record_reader() = default;
record_reader::record_reader(record_reader&&) noexcept = default;
record_reader& record_reader::operator=(record_reader&&) noexcept = default;

std::shared_ptr<const std::byte[]> record_reader::share() { return state_->content.share(); }

std::uint32_t record_reader::file_crc32c() const {
  return state_->content.is_gzip() ? state_->content.compressed_crc32c() : state_->plain_crc32c;
}

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
  const std::uint32_t crc_with_header = support::crc32c(header, s.plain_crc32c);
  const auto body = s.take(length + frame_footer_bytes);
  if (body.size() < length + frame_footer_bytes) {
    s.fail(fmt::format("the file ends after {} of {} bytes; it is truncated", body.size(),
                       length + frame_footer_bytes));
  }
  payload = body.first(length);
  const auto stored = unmask_crc(load_le<std::uint32_t>(body.data() + length));
  const auto found = support::crc32c(payload);
  if (found != stored) {
    s.fail(fmt::format("the CRC-32C of its {} bytes is {:08x}, {:08x} wanted; the file is damaged", length, found,
                       stored));
  }
  s.add_frame(crc_with_header, body, found);
  ++s.record;
  s.offset += frame_bytes + length;
  return true;
}

}  // namespace negpipe
