// The seed of the nightly statistics.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace negpipe::test {

/// NEGPIPE_NIGHTLY_SEED, which scripts/test draws afresh for each night and shows, so that a failure can be had again;
/// 42 where it is not set. Fixed seeds say only that the streams that they name were lucky.
inline std::uint64_t nightly_seed() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("NEGPIPE_NIGHTLY_SEED");
    return given == nullptr || *given == '\0' ? std::uint64_t{42} : std::stoull(given);
  }();
  return seed;
}

}  // namespace negpipe::test
