#include "digest.hpp"

#include <isa-l/crc.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>

#include "files.hpp"

namespace negpipe::support {

namespace {
EVP_MD_CTX* as_context(void* pointer) { return static_cast<EVP_MD_CTX*>(pointer); }

void require(int ok) {
  if (ok != 1) throw std::runtime_error("MD5 is not available from libcrypto");
}
}  // namespace

void md5::context_deleter::operator()(void* context) const { EVP_MD_CTX_free(as_context(context)); }

md5::md5() : context_(EVP_MD_CTX_new()) {
  if (!context_) throw std::bad_alloc();
  require(EVP_DigestInit_ex(as_context(context_.get()), EVP_md5(), nullptr));
}
md5::~md5() = default;
md5::md5(md5&&) noexcept = default;
md5& md5::operator=(md5&&) noexcept = default;

void md5::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()));
}

std::string md5::hex() const {
  const md5 copy;
  require(EVP_MD_CTX_copy_ex(as_context(copy.context_.get()), as_context(context_.get())));
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned length = 0;
  require(EVP_DigestFinal_ex(as_context(copy.context_.get()), value.data(), &length));
  static constexpr char digit[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += digit[value[i] >> 4];
    text += digit[value[i] & 15];
  }
  return text;
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc) {
  // ISA-L's routine takes an int length, omits the final inversion, and does not write through its pointer.
  constexpr std::size_t step = std::size_t{1} << 30;
  crc = ~crc;
  while (!bytes.empty()) {
    const auto part = bytes.first(bytes.size() < step ? bytes.size() : step);
    crc = crc32_iscsi(reinterpret_cast<unsigned char*>(const_cast<std::byte*>(part.data())),
                      static_cast<int>(part.size()), crc);
    bytes = bytes.subspan(part.size());
  }
  return ~crc;
}

std::uint32_t crc32c(const mapped_file& file) {
  constexpr std::size_t step = std::size_t{1} << 23;
  const auto bytes = file.bytes();
  std::uint32_t crc = 0;
  for (std::size_t begin = 0; begin < bytes.size(); begin += step) {
    const std::size_t count = std::min(step, bytes.size() - begin);
    crc = crc32c(bytes.subspan(begin, count), crc);
    file.release(begin, begin + count);
  }
  return crc;
}

}  // namespace negpipe::support
