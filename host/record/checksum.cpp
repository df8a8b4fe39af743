#include "checksum.hpp"

namespace negpipe::record {

namespace {

constexpr std::uint32_t polynomial = 0x82F63B78U;  // Castagnoli's, bits reflected: the highest bit is x^0

/// Returns a * b modulo the polynomial.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (int bit = 31; bit >= 0; --bit) {  // without branches: the bits of checksums cannot be predicted
    product ^= b & (0U - ((a >> bit) & 1U));
    b = (b >> 1) ^ (polynomial & (0U - (b & 1U)));
  }
  return product;
}

/// Returns x^(8 * length) modulo the polynomial, by repeated squaring.
constexpr std::uint32_t power_of_x8(std::uint64_t length) {
  std::uint32_t result = 1U << 31;  // x^0
  std::uint32_t square = 1U << 23;  // x^8
  for (; length != 0; length >>= 1) {
    if ((length & 1) != 0) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

}  // namespace

crc32c_carry::crc32c_carry(std::uint64_t length) : power_(power_of_x8(length)) {}

std::uint32_t crc32c_carry::join(std::uint32_t crc_a, std::uint32_t crc_b) const {
  return multiply(power_, crc_a) ^ crc_b;
}

crc32c_of_records::crc32c_of_records(std::uint64_t record_count, std::uint64_t record_bytes)
    : record_count_(record_count) {
  std::uint32_t power = power_of_x8(record_bytes);
  for (std::uint32_t& next : powers_) {
    next = power;
    power = multiply(power, power);
  }
}

void crc32c_of_records::add(std::uint64_t i, std::uint32_t record_crc) {
  std::uint64_t after = record_count_ - 1 - i;
  for (std::size_t j = 0; after != 0; ++j, after >>= 1) {
    if ((after & 1) != 0) record_crc = multiply(record_crc, powers_[j]);
  }
  sum_.fetch_xor(record_crc, std::memory_order_relaxed);
}

}  // namespace negpipe::record
