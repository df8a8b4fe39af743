// Digests and checksums, from libcrypto and ISA-L.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace negpipe::support {

class mapped_file;

/// MD5 of a byte stream: a fingerprint, as in the 2018 pipeline, not a protection against tampering.
class md5 {
 public:
  md5();
  ~md5();
  md5(md5&&) noexcept;
  md5& operator=(md5&&) noexcept;

  void update(std::span<const std::byte> bytes);
  /// Returns the lower-case hexadecimal digest of the bytes so far; the stream may continue.
  std::string hex() const;

 private:
  struct context_deleter {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, context_deleter> context_;
};

/// Returns the CRC-32C (Castagnoli) of bytes. crc: the checksum of the preceding bytes, 0 at the start.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);
/// Returns that of a whole file, and holds a few MiB of it in memory at a time.
std::uint32_t crc32c(const mapped_file& file);

}  // namespace negpipe::support
