#include <fmt/format.h>

#include <charconv>
#include <span>
#include <string>

#include "digest.hpp"
#include "negpipe/shards.hpp"

namespace negpipe {

std::uint64_t shard_seed(std::uint64_t seed, std::uint32_t shard, std::uint32_t shard_count) {
  support::md5 digest;
  const std::string text = fmt::format("negpipe shard {} of {}, seed {}", shard, shard_count, seed);
  digest.update(std::as_bytes(std::span(text)));
  const std::string hex = digest.hex();
  std::uint64_t made = 0;
  for (std::size_t byte = 8; byte-- > 0;) {
    unsigned value = 0;
    std::from_chars(hex.data() + 2 * byte, hex.data() + 2 * byte + 2, value, 16);
    made = made << 8 | value;
  }
  return made;
}

}  // namespace negpipe
