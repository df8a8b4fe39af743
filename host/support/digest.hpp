// Digests and checksums, by libcrypto and ISA-L.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace negpipe::support {

/// MD5 of a stream of bytes: a fingerprint, as the pipeline of 2018 printed it, not a protection.
class md5 {
 public:
  md5();
  ~md5();
  md5(md5&&) noexcept;
  md5& operator=(md5&&) noexcept;

  void update(std::span<const std::byte> bytes);
  /// The digest of everything so far, in lower-case hexadecimal; the stream may go on.
  std::string hex() const;

 private:
  struct context_deleter {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, context_deleter> context_;
};

/// CRC-32C (Castagnoli) of bytes; crc is the checksum of what came before, 0 at the start.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);


}  // namespace negpipe::support
