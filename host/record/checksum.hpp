// TFRecord's masked CRC-32C, and the CRC-32C of concatenated bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace negpipe::record {

inline constexpr std::uint32_t crc_mask_delta = 0xA282EAD8U;

/// Returns the masked form of a CRC. Without masking, the CRC of bytes that contain their own CRC is a constant.
constexpr std::uint32_t mask_crc(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + crc_mask_delta; }

/// The inverse of mask_crc.
constexpr std::uint32_t unmask_crc(std::uint32_t masked) {
  const std::uint32_t rotated = masked - crc_mask_delta;
  return (rotated >> 17) | (rotated << 15);
}
static_assert(unmask_crc(mask_crc(0xDEADBEEFU)) == 0xDEADBEEFU && mask_crc(0) == crc_mask_delta);

/// Combines CRC-32Cs: the CRC of bytes A followed by `length` bytes B is crc(A) carried over B, xor crc(B).
/// Source: Mark Adler's crc32_combine in zlib, with Castagnoli's polynomial.
class crc32c_carry {
 public:
  /// length is the number of bytes of B. O(log length).
  explicit crc32c_carry(std::uint64_t length);

  /// Returns the CRC of A followed by B.
  std::uint32_t join(std::uint32_t crc_a, std::uint32_t crc_b) const;

 private:
  std::uint32_t power_;  ///< x^(8 * length) modulo the polynomial, bits reflected
};

/// CRC-32C of a file of equal-sized records, from the CRCs of its records in any order. Constant memory.
/// Method: crc(file) is the xor of all crc(record i), each carried over the bytes that follow the record.
class crc32c_of_records {
 public:
  crc32c_of_records(std::uint64_t record_count, std::uint64_t record_bytes);

  /// Adds record i. Each record must be added once. O(log record_count). Thread-safe.
  void add(std::uint64_t i, std::uint32_t record_crc);
  /// Returns the checksum of the file. All records must have been added.
  std::uint32_t value() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::uint64_t record_count_;
  std::array<std::uint32_t, 64> powers_;  ///< x^(8 * record_bytes * 2^j) modulo the polynomial
  std::atomic<std::uint32_t> sum_{0};
};

}  // namespace negpipe::record
